"""Chunks and trailers: read strictly, written anew."""

from __future__ import annotations

from tests.hostile.chunks import BAD_CHUNKS, good_part
from tests.hostile.rows import CHUNKED, asks_chunked, chunked, passed, refused


def begun(content: bytes) -> bytes:
    """Write what may reach an instance of chunks that turn bad behind this content."""
    return asks_chunked(b"%x\r\n%b\r\n" % (len(content), content) if content else b"")


def trailing(name: str, trailers: bytes, left: bytes = b"") -> tuple[str, bytes, bytes]:
    return name, chunked(b"1\r\nx\r\n0\r\n" + trailers + b"\r\n"), asks_chunked(b"1\r\nx\r\n0\r\n" + left + b"\r\n")


ROWS = [
    *(refused(name, chunked(bad), begins=begun(good_part(bad))) for name, bad in BAD_CHUNKS.items()),
    *(
        refused(f"good chunks, and then {name}", chunked(b"2\r\nab\r\n" + bad), begins=begun(b"ab" + good_part(bad)))
        for name, bad in BAD_CHUNKS.items()
        if name in ("no size", "a digit and no digit", "content longer than told", "a blank before a trailer's colon")
    ),
    refused(
        "more than a body may have",
        chunked(b"5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n"),
        413,
        begins=begun(b"abcde"),
        body=10,
    ),
    refused("a chunk larger than any", chunked(b"fffffffffffffff\r\n"), 413, begins=begun(b""), body=10),
    passed(
        "as many as a body may have",
        chunked(b"a\r\n0123456789\r\n0\r\n\r\n"),
        asks_chunked(b"a\r\n0123456789\r\n0\r\n\r\n"),
    ),
    passed(
        "chunks are written anew",
        chunked(b"3;a=b\r\nabc\r\n002\r\nde\r\n0\r\n\r\n"),
        asks_chunked(b"5\r\nabcde\r\n0\r\n\r\n"),
    ),
    passed(
        "extensions are dropped", chunked(b'1 ; a ;b="c;d"\r\nx\r\n0;e\r\n\r\n'), asks_chunked(b"1\r\nx\r\n0\r\n\r\n")
    ),
    passed(
        "a size in capitals", chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), asks_chunked(b"a\r\n0123456789\r\n0\r\n\r\n")
    ),
    passed(
        "a size with zeros before",
        chunked(b"000000000000001\r\nx\r\n000\r\n\r\n"),
        asks_chunked(b"1\r\nx\r\n0\r\n\r\n"),
    ),
    passed(
        "content that looks like an end",
        chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        asks_chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    ),
    passed(
        "one byte a chunk", chunked(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), asks_chunked(b"3\r\nabc\r\n0\r\n\r\n")
    ),
    passed(*trailing("a trailer", b"X-Sum: 1\r\n", b"X-Sum: 1\r\n")),
    passed(*trailing("blanks around a trailer", b"X-Sum:\t1 \r\n", b"X-Sum: 1\r\n")),
    passed(*trailing("a length for a trailer", b"Content-Length: 5\r\nX-Sum: 1\r\n", b"X-Sum: 1\r\n")),
    passed(*trailing("a coding for a trailer", b"transfer-encoding: chunked\r\n")),
    passed(*trailing("a coding with an underscore for a trailer", b"Transfer_Encoding: chunked\r\n")),
    passed(*trailing("a Host for a trailer", b"Host: bank\r\n")),
    passed(*trailing("options for a trailer", b"Connection: close\r\nKeep-Alive: 5\r\nUpgrade: x\r\nTE: x\r\n")),
    passed(*trailing("a password for a trailer", b"Authorization: Basic x\r\nCookie: a\r\nProxy-Authorization: x\r\n")),
    passed(
        *trailing("a type for a trailer", b"Content-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Range: x\r\n")
    ),
    # lighttpd 1.4.80 took trailers for fields of the head (CVE-2025-12642): what is dropped there is dropped here.
    passed(
        *trailing(
            "an origin for a trailer", b"X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
        )
    ),
    passed(*trailing("another origin for a trailer", b"X-Forwarded-Port: 1\r\nx_forwarded_prefix: /a\r\n")),
    passed(*trailing("a request's ID for a trailer", b"X-Request-Id: theirs\r\n")),
    passed(*trailing("httpoxy for a trailer", b"Proxy: http://evil\r\n")),
    passed(*trailing("Max-Forwards for a trailer", b"Max-Forwards: 0\r\n")),
    passed(
        "a trailer that is announced",
        chunked(b"0\r\nX: y\r\n\r\n").replace(CHUNKED, CHUNKED + b"Trailer: X\r\n"),
        asks_chunked(b"0\r\nX: y\r\n\r\n").replace(b"X-Forwarded-Host", b"Trailer: X\r\nX-Forwarded-Host"),
    ),
]
