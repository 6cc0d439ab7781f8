"""Where pointsman and h11 differ, and why: what one of them takes for a whole message and the other one does not.

Whatever is not in this table and differs all the same is a fault in one of them. Each row has an example, which it must
explain alone, so that no row can go stale or hide behind another. There is no row for a message that both take and
understand differently, and there must never be one.

One thing is no matter of a message: behind one of HTTP/1.0 h11 always closes, and pointsman does not when asked to keep
the connection (RFC 9112 9.3). There properties.py stops comparing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tests.fuzz.memory import LIMITS
from tests.fuzz.outcome import Fields, fields_of

if TYPE_CHECKING:
    from collections.abc import Callable

POINTSMAN, H11 = "pointsman", "h11"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_EXTENSION = rb"[ \t]*;[ \t]*" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[\t !#-\[\]-~]*"))?'
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]+(?:" + _EXTENSION + rb")*")
_HOST = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]*)?"
_TARGET = re.compile(rb"/[^#]*|(?i:https?)://" + _HOST + rb"(?:[/?][^#]*)?")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1f\x7f]")
_METHODS = frozenset(
    b"""DELETE GET HEAD POST PUT OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL
    REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK
    QUERY""".split()
)
_MAX_CHUNK_LINE = 256
_MAX_TRAILERS = 8192


class Sample:
    """A message as it came, whole in somebody's opinion, taken apart as loosely as can be."""

    def __init__(self, raw: bytes) -> None:
        end = re.search(rb"\n\r?\n", raw)
        assert end, raw
        self.raw = raw
        self.head = raw[: end.end()]
        self.body = raw[end.end() :]
        self.lines = re.split(rb"\r?\n", self.head)[:-2]
        self.start = self.lines[0]
        is_response = self.start.startswith(b"HTTP/")
        self.version = self.start.partition(b" ")[0] if is_response else self.start.rpartition(b" ")[2]

    @cached_property
    def fields(self) -> Fields:
        """The fields of the head."""
        return fields_of(self.lines[1:])

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field."""
        return [value for found, value in self.fields if found == name]

    @property
    def is_chunked(self) -> bool:
        """Whether it has chunks."""
        return bool(self.values(b"transfer-encoding")) and bool(self.body)

    @cached_property
    def chunk_lines(self) -> list[bytes]:
        """The lines with the sizes of the chunks, the last chunk's among them, without their ends."""
        return self._chunks[0]

    @cached_property
    def trailers(self) -> bytes:
        """What is behind the last chunk."""
        return self._chunks[1]

    @cached_property
    def _chunks(self) -> tuple[list[bytes], bytes]:
        lines: list[bytes] = []
        rest = self.body if self.is_chunked else b""
        while rest:
            line, _, rest = rest.partition(b"\r\n")
            lines.append(line)
            digits = re.match(rb"[0-9A-Fa-f]+", line)
            size = int(digits[0], 16) if digits else 0
            if not size:
                break
            rest = rest[size + 2 :]
        return lines, rest

    @property
    def trailer_lines(self) -> list[bytes]:
        """The lines of the trailers, without their ends."""
        return re.split(rb"\r?\n", self.trailers)[:-2]


@dataclass(frozen=True, slots=True)
class Difference:
    """A kind of message that one side takes and the stricter one does not."""

    name: str
    stricter: str
    reason: str
    shows: Callable[[Sample], bool]
    example: bytes


def _get(rest: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + rest


def _chunked(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body


_OF_ALL = [
    Difference(
        "bare line feeds", POINTSMAN,
        "h11 takes them for line ends, as RFC 9112 2.2 allows; so that no two ever see different lines, we do not",
        lambda it: bool(re.search(rb"(?<!\r)\n", it.head + it.trailers)),
        _get(b"X: y\n\r\n"),
    ),
    Difference(
        "folded lines", POINTSMAN,
        "h11 unfolds them; RFC 9112 5.2 lets a server refuse them instead",
        lambda it: any(line[:1] in (b" ", b"\t") for line in it.lines[1:] + it.trailer_lines),
        _get(b"X: y\r\n z\r\n\r\n"),
    ),
    Difference(
        "control characters", POINTSMAN,
        "h11 lets all but white space and NUL pass in values, for some cookies' sake; RFC 9110 5.5 does not",
        lambda it: any(_CONTROL.search(line) for line in it.lines + it.trailer_lines),
        _get(b"X: \x01\r\n\r\n"),
    ),
    Difference(
        "several lengths that are the same", POINTSMAN,
        "h11 makes one of them; RFC 9110 8.6 lets a recipient refuse them instead",
        lambda it: len(it.values(b"content-length")) > 1 or any(b"," in one for one in it.values(b"content-length")),
        _get(b"Content-Length: 0, 0\r\n\r\n"),
    ),
    Difference(
        "a length of many digits", POINTSMAN,
        "h11 takes twenty; eighteen is what fits into 64 bits everywhere, and no body is longer",
        lambda it: any(len(value) > 18 for value in it.values(b"content-length")),
        _get(b"Content-Length: 0000000000000000000\r\n\r\n"),
    ),
    Difference(
        "a length beside a coding", POINTSMAN,
        "h11 lets the coding win, as RFC 9112 6.3 allows; refusing is what the same paragraph advises",
        lambda it: bool(it.values(b"content-length") and it.values(b"transfer-encoding")),
        _chunked(b"0\r\n\r\n").replace(b"Host", b"Content-Length: 5\r\nHost"),
    ),
    Difference(
        "a coding in HTTP/1.0", POINTSMAN,
        "h11 takes it as in HTTP/1.1; RFC 9112 6.1 calls the framing of such a message faulty",
        lambda it: it.version == b"HTTP/1.0" and bool(it.values(b"transfer-encoding")),
        _chunked(b"0\r\n\r\n").replace(b"1.1", b"1.0"),
    ),
    Difference(
        "a version that is not spoken", POINTSMAN,
        "h11 takes any two digits",
        lambda it: it.version not in (b"HTTP/1.0", b"HTTP/1.1"),
        _get(b"\r\n").replace(b"1.1", b"1.2"),
    ),
    Difference(
        "a chunk line beyond the grammar", POINTSMAN,
        "h11 takes anything behind the semicolon, and blanks before the line's end",
        lambda it: not all(map(_CHUNK_LINE.fullmatch, it.chunk_lines)),
        _chunked(b"0;a\rb\r\n\r\n"),
    ),
    Difference(
        "a chunk size of many digits", POINTSMAN,
        "h11 takes twenty, which overflow 64 bits; we take fifteen",
        lambda it: any(re.match(rb"[0-9A-Fa-f]{16}", line) for line in it.chunk_lines),
        _chunked(b"0000000000000000\r\n\r\n"),
    ),
    Difference(
        "a long chunk line", POINTSMAN,
        "h11 has one limit for everything",
        lambda it: any(len(line) > _MAX_CHUNK_LINE for line in it.chunk_lines),
        _chunked(b"0;" + b"a" * _MAX_CHUNK_LINE + b"\r\n\r\n"),
    ),
    Difference(
        "many trailers", POINTSMAN,
        "h11 has one limit for everything",
        lambda it: len(it.trailers) > _MAX_TRAILERS,
        _chunked(b"0\r\n" + b"X: y\r\n" * (_MAX_TRAILERS // 6 + 1) + b"\r\n"),
    ),
    Difference(
        "many fields", POINTSMAN,
        "h11 counts none",
        lambda it: len(it.lines) - 1 > LIMITS.header_count,
        _get(b"X: y\r\n" * LIMITS.header_count + b"\r\n"),
    ),
    Difference(
        "large fields", POINTSMAN,
        "h11 has one limit for everything",
        lambda it: len(it.head) > LIMITS.headers,
        _get(b"X: " + b"y" * LIMITS.headers + b"\r\n\r\n"),
    ),
    Difference(
        "framing in trailers", H11,
        "h11 judges a length or a coding there as in a head, and we drop it whatever it says (RFC 9110 6.5.1)",
        lambda it: any(
            name in (b"content-length", b"transfer-encoding") for name, _ in fields_of(it.trailer_lines)
        ),
        _chunked(b"0\r\nContent-Length: x\r\n\r\n"),
    ),
]  # fmt: skip

OF_REQUESTS = [
    *_OF_ALL,
    Difference(
        "an unknown method", POINTSMAN,
        "h11 takes any token; llhttp knows those that are registered; CONNECT and TRACE we refuse ourselves",
        lambda it: it.start.partition(b" ")[0] not in _METHODS,
        _get(b"\r\n").replace(b"GET", b"BREW"),
    ),
    Difference(
        "a tab behind a coding", POINTSMAN,
        "llhttp knows only the blank as white space there; nobody sends that",
        lambda it: any(line.lower().startswith(b"transfer-encoding:") and line.endswith(b"\t") for line in it.lines),
        _chunked(b"0\r\n\r\n").replace(b"chunked", b"chunked\t"),
    ),
    Difference(
        "a target of no known form", POINTSMAN,
        "h11 takes any visible characters; RFC 9112 3.2 has four forms, of which we serve three",
        lambda it: not _TARGET.fullmatch(it.start.split(b" ")[1]) and not it.start.startswith(b"OPTIONS * "),
        _get(b"\r\n").replace(b"/ ", b"a "),
    ),
    Difference(
        "a long request line", POINTSMAN,
        "h11 has one limit for everything",
        lambda it: len(it.start) > LIMITS.request_line,
        _get(b"\r\n").replace(b"/ ", b"/" + b"a" * LIMITS.request_line + b" "),
    ),
    Difference(
        "a malformed Host", POINTSMAN,
        "h11 takes any value; RFC 9112 3.2 has a server refuse it",
        lambda it: not all(re.fullmatch(_HOST, value) for value in it.values(b"host")),
        _get(b"\r\n").replace(b"Host: a", b"Host: a/b"),
    ),
    Difference(
        "an expectation that nobody meets", POINTSMAN,
        "h11 does not look; RFC 9110 10.1.1 has a 417 for it",
        lambda it: any(value.lower() != b"100-continue" for value in it.values(b"expect")),
        _get(b"Expect: x\r\n\r\n"),
    ),
    Difference(
        "empty lines before a request", H11,
        "RFC 9112 2.2 has a server ignore at least one; h11 ignores none",
        lambda it: it.raw.startswith(b"\r\n"),
        b"\r\n" + _get(b"\r\n"),
    ),
]  # fmt: skip

OF_RESPONSES = [
    *_OF_ALL,
    Difference(
        "a status that is none", POINTSMAN,
        "h11 takes any three digits from 100 on; RFC 9110 15 ends at 599",
        lambda it: not re.match(rb"HTTP/[0-9.]+ [1-5]", it.start),
        b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    Difference(
        "a 205 with content", POINTSMAN,
        "RFC 9110 15.3.6 forbids it, and clients that do not read it take it for the next response",
        lambda it: re.match(rb"HTTP/[0-9.]+ 205", it.start) is not None,
        b"HTTP/1.1 205 x\r\nContent-Length: 1\r\n\r\nx",
    ),
]  # fmt: skip


def explain(stricter: str, raw: bytes, table: list[Difference]) -> list[Difference]:
    """Return the rows that explain why the stricter side refuses this message."""
    sample = Sample(raw)
    return [row for row in table if row.stricter == stricter and row.shows(sample)]
