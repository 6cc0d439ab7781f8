"""The fields of a request that a guard writes, and that no client may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from proxy.http.heads import RequestHead


def name_of(field: bytes) -> bytes:
    """Return a field's name in lower case, with - for _.

    CGI and WSGI make one of both: to many an instance X_User is the same as X-User.
    """
    return field.partition(b":")[0].lower().replace(b"_", b"-")


def replace(request: RequestHead, names: Collection[bytes], fields: Iterable[bytes] = ()) -> None:
    """Take all fields of these names, as `name_of` has them, out of what the instance gets, and add others."""
    request.fields = [field for field in request.fields if name_of(field) not in names]
    request.fields.extend(fields)
    if request.forwarded:
        request.forwarded = [told for told in request.forwarded if name_of(told[0]) not in names]
