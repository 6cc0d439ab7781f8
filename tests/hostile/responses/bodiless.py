"""Responses that have no body, whatever their fields say: to HEAD, 204, 205 and 304."""

from __future__ import annotations

from tests.hostile.responses.surplus import HEAD
from tests.hostile.rows import CHUNKED, PLAIN, VIA, WHOLE, Asked, Peer, Response, answering, answers, bad

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
RESET = b"HTTP/1.1 205 Reset Content\r\n"
SAME = b"HTTP/1.1 304 Not Modified\r\n"
PARTIAL = b"HTTP/1.1 206 Partial Content\r\n"
EMPTY = b"Content-Length: 0\r\n"
SIX = b"Content-Length: 6\r\n"
OPTIONS = Asked(b"OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", PLAIN.reaches.replace(b"GET /", b"OPTIONS *", 1))


def bodiless(
    name: str, line: bytes, fields: bytes, left: bytes = b"", *, body: bytes = b"", asked: Asked = PLAIN
) -> Response:
    """Say which fields are left of these; a `body` all the same costs the instance its connection."""
    return Response(name, line + fields + b"\r\n" + body, line + left + VIA, WHOLE, asked, kept=not body)


def to_head(name: str, fields: bytes, left: bytes = b"", *, body: bytes = b"") -> Response:
    return bodiless(name, b"HTTP/1.1 200 OK\r\n", fields, left, body=body, asked=HEAD)


ROWS = [
    to_head("to HEAD, with a length", SIX, SIX),
    to_head("to HEAD, with a length and the body", SIX, SIX, body=b"secret"),
    to_head("to HEAD, with chunks", CHUNKED),
    to_head("to HEAD, with chunks and the body", CHUNKED, body=b"0\r\n\r\n"),
    to_head("to HEAD, with neither", b""),
    to_head("to HEAD, with neither and a body", b"", body=b"secret"),
    bad("to HEAD, with two lengths", answering(b"Content-Length: 1\r\nContent-Length: 2\r\n"), asked=HEAD),
    bad("to HEAD, with length and coding", answering(SIX + CHUNKED), asked=HEAD),
    bad("to HEAD, with a bad length", answering(b"Content-Length: x\r\n"), asked=HEAD),
    bodiless("204 to HEAD", NO_CONTENT, b"", asked=HEAD),
    bodiless("204", NO_CONTENT, b""),
    bodiless("204 with a length", NO_CONTENT, SIX),
    bodiless("204 with a length and a body", NO_CONTENT, SIX, body=b"secret"),
    bodiless("204 with chunks", NO_CONTENT, CHUNKED, body=b"6\r\nsecret\r\n0\r\n\r\n"),
    bad("204 with two lengths", NO_CONTENT + EMPTY * 2 + b"\r\n"),
    bodiless("304", SAME, b""),
    bodiless("304 with a length", SAME, SIX, SIX),
    bodiless("304 with a length and a body", SAME, SIX, SIX, body=b"secret"),
    bodiless("304 with chunks", SAME, CHUNKED, body=b"0\r\n\r\n"),
    bodiless("205", RESET, EMPTY, EMPTY),
    bodiless("205 with a byte behind", RESET, EMPTY, EMPTY, body=b"!"),
    bad("205 with content", RESET + SIX + b"\r\nsecret"),
    bad(
        "205 with chunks of content",
        RESET + CHUNKED + b"\r\n6\r\nsecret\r\n0\r\n\r\n",
        begins=RESET + CHUNKED + VIA,
    ),
    Response("205 with no chunk", RESET + CHUNKED + b"\r\n0\r\n\r\n", RESET + CHUNKED + VIA + b"0\r\n\r\n", WHOLE),
    bad("205 with neither and a body", RESET + b"\r\nsecret", begins=RESET + CHUNKED + VIA),
    Response(
        "205 that only an end ends",
        RESET + b"\r\n",
        RESET + CHUNKED + VIA + b"0\r\n\r\n",
        WHOLE,
        then=Peer.finish,
        kept=False,
    ),
    Response("206 without a range", PARTIAL + EMPTY + b"\r\n", PARTIAL + EMPTY + VIA, WHOLE),
    Response("200 to OPTIONS of everything", answering(EMPTY), answers(EMPTY), WHOLE, OPTIONS),
]
