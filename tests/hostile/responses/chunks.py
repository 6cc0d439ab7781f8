"""Chunks and trailers from an instance: read strictly, written anew, and broken off where they turn bad."""

from __future__ import annotations

from tests.hostile.chunks import BAD_CHUNKS, good_part
from tests.hostile.rows import CHUNKED, WHOLE, Response, answering, answers, bad


def chunked(body: bytes) -> bytes:
    return answering(CHUNKED, body)


def begun(content: bytes) -> bytes:
    """Write what may reach a client of chunks that turn bad behind this content."""
    return answers(CHUNKED, b"%x\r\n%b\r\n" % (len(content), content) if content else b"")


def anew(name: str, sent: bytes, reaches: bytes) -> Response:
    """Name chunks that are good, and how we write them."""
    return Response(name, chunked(sent), answers(CHUNKED, reaches), WHOLE)


def trailing(name: str, trailers: bytes, left: bytes = b"") -> Response:
    return anew(name, b"1\r\nx\r\n0\r\n" + trailers + b"\r\n", b"1\r\nx\r\n0\r\n" + left + b"\r\n")


ROWS = [
    *(bad(name, chunked(chunks), begins=begun(good_part(chunks))) for name, chunks in BAD_CHUNKS.items()),
    bad("good chunks, and then a bad one", chunked(b"2\r\nok\r\n2\r\nabc\r\n"), begins=begun(b"okab")),
    bad("good chunks, and then a response", chunked(b"2\r\nok\r\nHTTP/1.1 200 OK\r\n\r\n"), begins=begun(b"ok")),
    anew("chunks are written anew", b"2\r\nok\r\n1;x\r\n!\r\n0\r\n\r\n", b"3\r\nok!\r\n0\r\n\r\n"),
    anew("extensions are dropped", b'01 ; a="\t"\r\nx\r\n0;b=c\r\n\r\n', b"1\r\nx\r\n0\r\n\r\n"),
    anew("no chunk at all", b"0\r\n\r\n", b"0\r\n\r\n"),
    trailing("a trailer", b"X-Sum: 1\r\nEmpty:\r\n", b"X-Sum: 1\r\nEmpty: \r\n"),
    trailing("trailers that frame", b"Content-Length: 5\r\nTransfer-Encoding: x\r\nX-Sum: 1\r\n", b"X-Sum: 1\r\n"),
    trailing("trailers of this hop", b"Connection: close\r\nTE: x\r\nUpgrade: foo\r\nKeep-Alive: 1\r\n"),
    trailing("trailers that a client would store", b"Set-Cookie: a=b\r\nContent-Type: text/html\r\n"),
    trailing("a Via for a trailer", b"Via: 1.1 theirs\r\n"),
]
