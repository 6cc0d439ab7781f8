"""Responses to a request that is not whole: both connections end, and what the client still sends reaches nobody."""

from __future__ import annotations

from tests.hostile.rows import (
    CHUNKED,
    CLOSE,
    HOST,
    OK,
    OK_SENT,
    REFUSED,
    VIA,
    WHOLE,
    Asked,
    Peer,
    Response,
    answering,
    answers,
    asks,
    asks_post,
    post,
)

EVIL = b"GET /evil HTTP/1.1\r\n" + HOST + b"\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(EVIL)
EXPECT = b"Expect: 100-continue\r\n"
HALF = Asked(post(LENGTH, EVIL[:4]), asks_post(LENGTH, EVIL[:4]), EVIL[4:] + EVIL)
NONE = Asked(post(LENGTH), asks_post(LENGTH), EVIL * 2)
PART = Asked(post(CHUNKED, b"1\r\nx\r\n"), asks(b"POST /", framing=CHUNKED, body=b"1\r\nx\r\n"), b"0\r\n\r\n" + EVIL)
WAITS = Asked(post(EXPECT + LENGTH), asks(b"POST /", LENGTH, framing=EXPECT), EVIL * 2)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DENIED = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
DENIED_SENT = DENIED + CLOSE + VIA
CLOSED = OK_SENT.replace(b"Via", CLOSE + b"Via")
IN_CHUNKS = answers(CHUNKED + CLOSE, b"2\r\nok\r\n0\r\n\r\n")


def early(name: str, sent: bytes, reaches: bytes, asked: Asked) -> Response:
    return Response(name, sent, reaches, WHOLE, asked, kept=False, ends=True)


def none(name: str, sent: bytes, asked: Asked) -> Response:
    """Name what is no response, and is answered for before the request is whole."""
    return Response(name, sent, b"", REFUSED, asked, then=Peer.finish, kept=False, ends=True)


ROWS = [
    early("before any of the body", OK, CLOSED, NONE),
    early("before half of the body", OK, CLOSED, HALF),
    early("before the last chunk", OK, CLOSED, PART),
    early("told to be kept", answering(b"Connection: keep-alive\r\nContent-Length: 2\r\n", b"ok"), CLOSED, HALF),
    early("in chunks", answering(CHUNKED, b"2\r\nok\r\n0\r\n\r\n"), IN_CHUNKS, HALF),
    early("and a second one", OK + OK, CLOSED, HALF),
    early("no to an expectation", DENIED + b"\r\n", DENIED_SENT, WAITS),
    early("no behind a yes to an expectation", CONTINUE + DENIED + b"\r\n", CONTINUE + DENIED_SENT, WAITS),
    early("yes to an expectation, and the response at once", CONTINUE + OK, CONTINUE + CLOSED, WAITS),
    early("yes twice, and the response at once", CONTINUE * 2 + OK, CONTINUE * 2 + CLOSED, WAITS),
    early("204", b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 204 No\r\n" + CLOSE + VIA, HALF),
    Response(
        "that ends with the connection",
        answering(b"", b"ok"),
        IN_CHUNKS,
        WHOLE,
        HALF,
        Peer.finish,
        kept=False,
        ends=True,
    ),
    Response("that makes no sense", answering(b"X : y\r\n"), b"", REFUSED, HALF, kept=False, ends=True),
    none("half a head", b"HTTP/1.1 2", HALF),
    none("half a head instead of a yes", b"HTTP/1.1 10", WAITS),
]
