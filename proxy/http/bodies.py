"""Where a body ends: the framings of HTTP/1.1, read strictly and written anew.

A reader is fed what arrives and hands on the content. It says when the body is whole, and keeps what lies behind it.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from mypy_extensions import mypyc_attr

from proxy.http.buffers import JOINED
from proxy.http.fields import BadMessageError

Content: TypeAlias = bytes | memoryview  # a large piece stays where it lies: see behind()

_MAX_CHUNK_LINE = 256  # bytes of a chunk's size with its extensions, which nobody uses
_MAX_TRAILERS = 8192  # bytes of all trailer fields together, those that are dropped included
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[\t !#-\[\]-~]*"))?)*'
)
_TRAILER = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
# RFC 9110 6.5.1: what steers framing, routing or trust has no business behind the body. Nor has what is dropped from a
# head: some servers take trailers for fields of the head (lighttpd 1.4.80, CVE-2025-12642).
_NOT_IN_TRAILERS = frozenset(
    b"""transfer-encoding content-length host connection trailer te upgrade expect authorization cookie set-cookie
    content-encoding content-type content-range forwarded x-real-ip x-request-id keep-alive proxy-connection via
    proxy proxy-authorization proxy-authenticate http2-settings max-forwards x-pointsman-mirror""".split()
)


@mypyc_attr(allow_interpreted_subclasses=True)
class BodyReader:
    """Reads a body: `whole` once it has ended, `rest` is what lay behind it, `trailers` are its fields, as lines."""

    __slots__ = ("rest", "trailers", "whole")

    def __init__(self) -> None:
        self.whole = False
        self.rest = b""
        self.trailers = b""  # ready to be written behind the last chunk

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what of it is content. Raises BadMessageError."""
        raise NotImplementedError


class LengthBody(BodyReader):
    """A body of a length told in the head."""

    __slots__ = ("_missing",)

    def __init__(self, length: int) -> None:
        super().__init__()
        self._missing = length
        self.whole = length == 0

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what of it is content."""
        missing = self._missing - len(data)
        if missing > 0:
            self._missing = missing
            return data
        self.whole = True
        if missing == 0:
            self._missing = 0
            return data
        self.rest = data[self._missing :]
        data = data[: self._missing]
        self._missing = 0
        return data


class CloseBody(BodyReader):
    """A response's body that ends where the connection does, so that it is never known to be whole."""

    __slots__ = ("_room",)

    def __init__(self, most: float = float("inf")) -> None:
        super().__init__()
        self._room = most

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, all of which is content. Raises BadMessageError."""
        self._room -= len(data)
        if self._room < 0:
            raise BadMessageError("more content than there may be")
        return data


class ChunkedBody(BodyReader):
    """A body in chunks (RFC 9112 7.1), of `most` bytes. Extensions are understood and dropped, as are bad trailers."""

    __slots__ = ("_left", "_most", "_pending", "_room", "_state", "_trailer_room")

    def __init__(self, most: float = float("inf")) -> None:
        super().__init__()
        self._most = self._room = most
        self._pending = b""  # the part of a line that has arrived so far
        self._left = 0  # bytes missing of the present chunk
        self._trailer_room = _MAX_TRAILERS
        self._state = self._size

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what of it is content. Raises BadMessageError."""
        if self._pending:
            data = self._pending + data
            self._pending = b""
        content: list[bytes] = []
        at = 0
        while at < len(data) and not self.whole:
            advanced = self._state(data, at, content)
            if advanced < 0:
                self._pending = data[at:]
                return b"".join(content)
            at = advanced
        if self.whole:
            self.rest = data[at:]
        return content[0] if len(content) == 1 else b"".join(content)

    def narrow(self, most: float, received: int) -> None:
        """Take no more than `most` bytes in all, of which so many were received. Raises BadMessageError."""
        self._most, self._room = most, most - received - self._left
        if self._room < 0:
            raise BadMessageError(f"a body of more than {most:.0f} bytes", 413)

    # Each state reads from `at` on and returns where it stopped, or -1 when it needs more of a line.

    def _size(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = _line_end(data, at, _MAX_CHUNK_LINE)
        if end < 0:
            return -1
        line = _CHUNK_LINE.fullmatch(data, at, end)
        if line is None:
            raise BadMessageError("a malformed chunk size")
        self._left = int(line[1], 16)
        self._room -= self._left
        if self._room < 0:
            raise BadMessageError(f"a body of more than {self._most:.0f} bytes", 413)
        self._state = self._data if self._left else self._trailer
        return end + 2

    def _data(self, data: bytes, at: int, content: list[bytes]) -> int:
        piece = data[at : at + self._left]
        content.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._state = self._data_end
        return at + len(piece)

    def _data_end(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = data[at : at + 2]
        if end == b"\r":
            return -1
        if end != b"\r\n":
            raise BadMessageError("a chunk longer than its size")
        self._state = self._size
        return at + 2

    def _trailer(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = _line_end(data, at, self._trailer_room)
        if end < 0:
            return -1
        if end == at:
            self.whole = True
            return end + 2
        field = _TRAILER.fullmatch(data, at, end)
        if field is None:
            raise BadMessageError("a malformed trailer field")
        self._trailer_room -= end + 2 - at
        name, value = field.groups()
        plain = name.lower().replace(b"_", b"-")
        if plain not in _NOT_IN_TRAILERS and not plain.startswith(b"x-forwarded-"):
            self.trailers += name + b": " + value + b"\r\n"
        return end + 2


def narrow(body: BodyReader | None, length: int | None, received: int, most: float) -> None:
    """Have a body be of no more than `most` bytes after all, of which some were received; None for one that is whole.

    `length` is what its head told, None for chunks. Raises BadMessageError.
    """
    if isinstance(body, ChunkedBody):
        body.narrow(most, received)
    elif (received if length is None else length) > most:
        raise BadMessageError(f"a body of more than {most:.0f} bytes", 413)


def behind(data: bytes, at: int) -> Content:
    """Return what lies behind `at`; as a view if it is large, which takes 4 % off the cost of 64 KiB."""
    return data[at:] if len(data) - at <= JOINED else memoryview(data)[at:]


def chunk(content: Content) -> bytes:
    """Write content as one chunk; none at all for no content, which would end the body."""
    return b"".join((b"%x\r\n" % len(content), content, b"\r\n")) if content else b""


def last_chunk(trailers: bytes = b"") -> bytes:
    """Write the end of a chunked body."""
    return b"0\r\n%b\r\n" % trailers


def _line_end(data: bytes, at: int, limit: int) -> int:
    end = data.find(b"\r\n", at, at + limit + 2)
    if end < 0 and len(data) - at > limit + 1:  # one more may be the CR
        raise BadMessageError(f"a line of more than {limit} bytes in a chunked body")
    if data.find(b"\n", at, end if end >= 0 else len(data)) >= 0:
        raise BadMessageError("a bare line feed in a chunked body")
    return end
