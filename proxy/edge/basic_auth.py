"""Basic authentication (RFC 7617): a name and a password with each request."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING

from proxy.edge.request_fields import replace
from proxy.http.answers import refusal

if TYPE_CHECKING:
    from proxy.edge.step import Decided
    from proxy.edge.users_file import UsersFile
    from proxy.http.answers import Answer
    from proxy.http.heads import RequestHead

_AUTHORIZATION = b"authorization:"
_LONGEST = 1024  # bytes of a name and its password
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")  # RFC 7617 2 leaves them out of both
_PATIENCE = 5.0  # seconds that a password may wait for its turn, and be checked


def read_credentials(request: RequestHead) -> tuple[bytes, bytes] | None:
    """Return the name and the password; None when there are none, more than one of them, or malformed ones."""
    start = len(_AUTHORIZATION)
    given = [field[start:] for field in request.fields if field[:start].lower() == _AUTHORIZATION]
    if len(given) != 1:
        return None
    scheme, _, coded = given[0].strip(b" \t").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        whole = b64decode(coded.strip(b" "), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, password = whole.partition(b":")
    if not colon or not name or len(whole) > _LONGEST or _CONTROLS.search(whole):
        return None
    return name, password


class BasicAuth:
    """Lets pass who has a name and a password of a file.

    `header`, if given, is the field in which the instance gets the name; a client's own is taken out.
    """

    def __init__(self, file: UsersFile, *, realm: str, header: str = "", remove: bool = False) -> None:
        self.file = file
        quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
        self._challenge = f'WWW-Authenticate: Basic realm="{quoted}", charset="UTF-8"'.encode()
        self._header = header.encode()
        self._names = {self._header.lower().replace(b"_", b"-")} if header else set()
        if remove:
            self._names.add(b"authorization")
        self.refused = 0

    def judge(self, request: RequestHead, now: float) -> Answer | Check | None:
        """Let a request pass (None), answer it, or return what must be waited for."""
        credentials = read_credentials(request)
        if credentials is None:
            return self.refuse("no name and password")
        name, password = credentials
        key = self.file.verdicts.key(name, password)
        good = self.file.verdicts.find(key, now)
        if good is None:
            return Check(self, request, name, password, key)
        if not good:
            return self.refuse("an unknown name, or the wrong password")
        self.accept(request, name)
        return None

    def accept(self, request: RequestHead, name: bytes) -> None:
        """Write the user's name into the request."""
        request.user = name
        if self._names:
            replace(request, self._names, [self._header + b": " + name] if self._header else ())

    def refuse(self, why: str) -> Answer:
        """Ask for a name and a password."""
        self.refused += 1
        return refusal(401, f"{why}: this wants basic authentication", fields=(self._challenge,))


class Check:
    """A password that is being checked."""

    __slots__ = ("_auth", "_decided", "_key", "_name", "_password", "_request")

    patience = _PATIENCE

    def __init__(self, auth: BasicAuth, request: RequestHead, name: bytes, password: bytes, key: bytes) -> None:
        self._auth = auth
        self._request = request
        self._name = name
        self._password = password
        self._key = key
        self._decided: Decided

    def start(self, decided: Decided) -> None:
        """Have it checked."""
        self._decided = decided
        if not self._auth.file.check(self._name, self._password, self._key, self._told):
            decided(refusal(503, "too many passwords are being checked"))

    def timed_out(self) -> Answer | None:
        """Refuse: whether it is right is not known."""
        self.drop()
        return refusal(503, "the password was not checked in time")

    def drop(self) -> None:
        """Want to know no more."""
        self._auth.file.forget(self._key, self._told)

    def _told(self, good: bool | None) -> None:
        if good:
            self._auth.accept(self._request, self._name)
            self._decided(None)
        elif good is None:
            self._decided(refusal(503, "the password could not be checked"))
        else:
            self._decided(self._auth.refuse("an unknown name, or the wrong password"))
