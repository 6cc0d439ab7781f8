"""What a route answers by itself: a redirect, or an answer that is always the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.expressions import LONGEST_MATCHED
from proxy.edge.templates import filled
from proxy.http.answers import Answer, refusal
from proxy.paths import compared, plain
from proxy.routes import host_of

if TYPE_CHECKING:
    from proxy.conditions import Asked
    from proxy.http.heads import RequestHead

_PORTS = {b"http": 80, b"https": 443}
_PORT = re.compile(rb":([0-9]{1,5})$")
_SLASHES = re.compile(rb"^[/\\]{2,}")


@dataclass(frozen=True, slots=True)
class Fixed:
    """An answer that is always the same."""

    value: Answer

    def answer(self, request: RequestHead) -> Answer:
        """Return it."""
        return self.value


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends a client elsewhere. What is empty, 0 or None stays as the client asked for it; the query always stays.

    `path` takes in the groups that `expression` matches in the request's path.
    """

    status: int
    scheme: bytes = b""
    host: bytes = b""
    port: int = 0
    path: tuple[bytes | int | str, ...] | None = None
    expression: re.Pattern[bytes] | None = None

    def answer(self, request: RequestHead) -> Answer:
        """Make the answer."""
        place = self.location(request)
        if not place:
            return refusal(400, "no Host, and it cannot be told where to go instead")
        return Answer(self.status, fields=(b"Location: " + place,))

    def location(self, request: RequestHead) -> bytes:
        """Return where to go; b"" where that hangs on a Host that a client of HTTP/1.0 did not send.

        Where scheme, host and port stay it is a path alone (RFC 9110, 10.2.2), so that nothing has to be believed of
        what stands before us. Such a path must not begin with two slashes, or a browser would read a host behind them.
        """
        path, mark, query = request.target.partition(b"?")
        if path[:1] != b"/":
            path = b"/"  # OPTIONS *, CONNECT
        if self.path is not None:
            path = self._made(path if plain(path) else compared(path))
        if not (self.scheme or self.host or self.port):
            return _SLASHES.sub(b"/", path) + mark + query
        name, port = self.host or _name(request.authority), self.port
        if not name:
            return b""
        scheme = self.scheme or request.origin.scheme(request)
        if not port and not self.scheme:
            port = _port(request.authority)
        shown = b":%d" % port if port and port != _PORTS[scheme] else b""
        return scheme + b"://" + name + shown + path + mark + query

    def changes(self, request: Asked) -> bool:
        """Tell whether it would lead elsewhere than where the client asks already."""
        if self.path is not None:
            path = request.target.partition(b"?")[0]
            told = path if plain(path) else compared(path)
            if len(told) > LONGEST_MATCHED or self._made(told) != told:
                return True
        scheme = request.origin.scheme(request)
        if self.scheme and self.scheme != scheme:
            return True
        if self.host and self.host != host_of(request.authority):
            return True
        return bool(self.port) and self.port != (_port(request.authority) or _PORTS[scheme])

    def _made(self, told: bytes) -> bytes:
        """Make the path of one that is told as routes compare it."""
        assert self.path is not None
        return filled(self.path, self.expression.search(told) if self.expression is not None else None)


def _name(authority: bytes) -> bytes:
    return _PORT.sub(b"", authority).removesuffix(b":")


def _port(authority: bytes) -> int:
    found = _PORT.search(authority)
    return int(found[1]) if found else 0
