"""What a route wants of a request beside its host and path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from config.expressions import LONGEST_MATCHED
from proxy.http.fields import BadMessageError

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from config.trusted import TrustedProxies
    from proxy.http.forwarding import Origin

_ROOM = 4096  # addresses that are remembered with whether they are among the networks


class Asked(Protocol):
    """What routes look at of a request."""

    @property
    def method(self) -> bytes: ...
    @property
    def authority(self) -> bytes: ...
    @property
    def forwarded(self) -> list[tuple[bytes, bytes]] | None: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def target(self) -> bytes: ...
    @property
    def client(self) -> str: ...
    def values(self, name: bytes, /) -> Sequence[bytes]: ...


@dataclass(frozen=True, slots=True)
class Field:
    """What a header, or a field of the query, must be: one of those of that name, where there are several.

    With neither `value` nor `expression` it must be there or, if not `present`, not be there.
    """

    name: bytes
    present: bool = True
    value: bytes | None = None
    expression: re.Pattern[bytes] | None = None

    def holds(self, values: Sequence[bytes], status: int) -> bool:
        """Tell whether values fit; a longer one than is matched raises a BadMessageError with this status."""
        if self.value is not None:
            return self.value in values
        if self.expression is None:
            return bool(values) is self.present
        for value in values:
            if len(value) > LONGEST_MATCHED:
                raise BadMessageError(f"a field of more than {LONGEST_MATCHED} bytes, which is too long here", status)
            if self.expression.search(value):
                return True
        return False


class Clients:
    """Knows whether addresses are among some networks; a look at one that was seen before costs next to nothing."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: TrustedProxies) -> None:
        self._networks = networks
        self._known: dict[str, bool] = {"": networks.unix}

    def has(self, address: str) -> bool:
        """Tell whether an address is; "" is the client of a unix socket."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _ROOM:
                self._known = {"": self._networks.unix}
            known = self._known[address] = self._networks.trusts(address.partition("%")[0])
        return known


class Unlike(Protocol):
    """Something that takes only requests for which it would change something: a redirect."""

    def changes(self, request: Asked, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that a route wants beside host and path; what is empty or None is no condition. `headers` in lower case."""

    methods: frozenset[bytes] = frozenset()
    clients: Clients | None = None
    headers: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    unlike: Unlike | None = None

    def hold(self, request: Asked) -> bool:
        """Tell whether all of them hold. Raises BadMessageError for what is too long to be looked at."""
        if self.methods and request.method not in self.methods:
            return False
        if self.clients is not None and not self.clients.has(request.client):
            return False
        for field in self.headers:
            if not field.holds(_values(request, field.name), 431):
                return False
        if self.query:
            fields = _query(request.target)
            for field in self.query:
                if not field.holds(fields.get(field.name, ()), 414):
                    return False
        return self.unlike is None or self.unlike.changes(request)


# Several routes look at one request, and mostly for the same: what was found of the last one is remembered.
_last: tuple[bytes, Mapping[bytes, Sequence[bytes]]] = (b"", {})
_last_headers: tuple[Asked | None, dict[bytes, Sequence[bytes]]] = (None, {})


def _values(request: Asked, name: bytes) -> Sequence[bytes]:
    global _last_headers
    known, values = _last_headers
    if known is not request:
        values = {}
        _last_headers = (request, values)
    found = values.get(name)
    if found is None:
        found = values[name] = request.values(name)
    return found


def _query(target: bytes) -> Mapping[bytes, Sequence[bytes]]:
    """Return the fields of a target's query, decoded."""
    global _last
    known, fields = _last
    if known is target:
        return fields
    found: dict[bytes, list[bytes]] = {}
    query = target.partition(b"?")[2]
    encoded = b"%" in query or b"+" in query
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        if encoded:
            name, value = unquote_to_bytes(name.replace(b"+", b" ")), unquote_to_bytes(value.replace(b"+", b" "))
        found.setdefault(name, []).append(value)
    _last = (target, found)
    return found
