"""Rules that take fields out of a head and put others in, made of those of all levels once, when they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.header_rules import RequestHeaders, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from config.header_rules import ResponseHeaders
    from proxy.http.heads import RequestHead

_TOLD_BY_US = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")

_OF_REQUEST: dict[str, Callable[[RequestHead], bytes]] = {
    "client": lambda request: request.client.encode("latin-1"),
    "host": lambda request: request.authority,
    "method": lambda request: request.method,
    "path": lambda request: request.target.partition(b"?")[0],
    "request_id": lambda request: request.request_id,
    "scheme": lambda request: request.origin.scheme(request),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A line with placeholders, which are the pieces that are str."""

    name: bytes
    pieces: tuple[bytes | str, ...]

    def line(self, request: RequestHead | None, service: str, endpoint: str) -> bytes:
        """Write it; b"" when nothing is left to say: a request that was not understood tells nothing."""
        told = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                told.append(piece)
            elif piece == "service":
                told.append(service.encode())
            elif piece == "endpoint":
                told.append(endpoint.encode("ascii", "replace"))
            elif request is not None:
                told.append(_OF_REQUEST[piece](request))
        value = b"".join(told).strip(b" \t")
        return self.name + b": " + value if value else b""


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """What is taken out of a head, and which lines come in; `lines` in their order, those with placeholders not made.

    `host` is what an instance is asked for instead, b"" for what the client asks. `by_us` says that fields are taken
    out which we write ourselves to say where a request came from, `via` that Via is.
    """

    taken: re.Pattern[bytes] | None = None
    lines: tuple[bytes | Made, ...] = ()
    host: bytes = b""
    by_us: bool = False
    via: bool = False

    def without(self, fields: Iterable[bytes]) -> list[bytes]:
        """Return the fields that no rule takes out."""
        if self.taken is None:
            return list(fields)
        takes = self.taken.match
        return [field for field in fields if not takes(field)]

    def applied(
        self, fields: Iterable[bytes], request: RequestHead | None, service: str = "", endpoint: str = ""
    ) -> list[bytes]:
        """Return the fields as the rules want them; the names are those that placeholders stand for."""
        kept = self.without(fields)
        for line in self.lines:
            if isinstance(line, bytes):
                kept.append(line)
            elif made := line.line(request, service, endpoint):
                kept.append(made)
        return kept


def compiled(*levels: RequestHeaders | ResponseHeaders | None) -> HeaderRules | None:
    """Make one set of rules of those of several levels, the first of which comes first; None when there are none.

    What a level takes out it takes out of what those before it have put in, too. Within a level, `remove` comes before
    `set`, and `set` before `add`. Of a request, X_User goes where X-User does: CGI and WSGI make one of both.
    """
    names: dict[str, None] = {}
    beginnings: dict[str, None] = {}
    lines: list[tuple[str, str, str]] = []  # in lower case, as it is written, the value
    for level in levels:
        if level is None:
            continue
        for name in map(str.lower, level.remove):
            if name.endswith("*"):
                beginnings[name[:-1]] = None
                lines = [line for line in lines if not line[0].startswith(name[:-1])]
            else:
                names[name] = None
                lines = [line for line in lines if line[0] != name]
        for name, value in level.set.items():
            names[name.lower()] = None
            lines = [line for line in lines if line[0] != name.lower()]
            lines.append((name.lower(), name, value))
        lines += [(name.lower(), name, value) for name, value in level.add.items()]
    if not (names or beginnings or lines):
        return None
    host = next((value for lower, _, value in lines if lower == "host"), "")
    taken = _taken(names, beginnings, loosely=any(isinstance(level, RequestHeaders) for level in levels))
    return HeaderRules(
        taken,
        tuple(_line(name, value) for lower, name, value in lines if lower != "host"),
        host.encode(),
        by_us=taken is not None and any(taken.match(name + b":") for name in _TOLD_BY_US),
        via=taken is not None and taken.match(b"via:") is not None,
    )


def _taken(names: Iterable[str], beginnings: Iterable[str], *, loosely: bool) -> re.Pattern[bytes] | None:
    """Return what matches the lines that are taken out: one look at each, whatever the number of rules.

    `loosely` takes _ for -.
    """
    forms = [re.escape(name.encode()) + rb":" for name in names if name != "host"]
    forms += [re.escape(beginning.encode()) for beginning in beginnings]
    form = b"|".join(forms)
    return re.compile(form.replace(rb"\-", b"[-_]") if loosely else form, re.IGNORECASE) if forms else None


def _line(name: str, value: str) -> bytes | Made:
    pieces = tuple(piece[0] if isinstance(piece, tuple) else piece.encode() for piece in pieces_of(value))
    texts = [piece for piece in pieces if isinstance(piece, bytes)]
    if len(texts) == len(pieces):
        return b"%b: %b" % (name.encode(), b"".join(texts))
    return Made(name.encode(), pieces)
