"""Responses that break off: the client can tell, wherever it is and however the instance leaves."""

from __future__ import annotations

from tests.hostile.responses.framing import KEPT_OLD
from tests.hostile.responses.surplus import HEAD, LAST, LAST_SENT, NINE, NINE_SENT
from tests.hostile.rows import (
    BROKEN,
    CHUNKED,
    CLOSE,
    OK,
    OK_SENT,
    PLAIN,
    REFUSED,
    WHOLE,
    Asked,
    Peer,
    Response,
    answering,
    answers,
)

TEN = b"Content-Length: 10\r\n"
KEPT = b"Connection: keep-alive\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
ABC = answers(CHUNKED, b"3\r\nabc\r\n")

# What an instance sends before it leaves, and what of it may reach the client.
MOMENTS = {
    "in the status line": (b"HTTP/1.", b""),
    "behind the status line": (b"HTTP/1.1 200 OK\r\n", b""),
    "in a field": (b"HTTP/1.1 200 OK\r\nX-Fie", b""),
    "before the empty line": (answering(TEN)[:-2], b""),
    "in the empty line": (answering(TEN)[:-1], b""),
    "behind an interim response": (HINTS, HINTS),
    "in the head behind an interim response": (HINTS + b"HTTP/1.1 200 OK\r\n", HINTS),
    "behind the head": (answering(TEN), answers(TEN)),
    "in the body": (answering(TEN, b"abc"), answers(TEN, b"abc")),
    "one byte before the end": (answering(TEN, b"012345678"), answers(TEN, b"012345678")),
    "behind the head of chunks": (answering(CHUNKED), answers(CHUNKED)),
    "in the size of a chunk": (answering(CHUNKED, b"a"), answers(CHUNKED)),
    "behind the size of a chunk": (answering(CHUNKED, b"a\r\n"), answers(CHUNKED)),
    "in a chunk": (answering(CHUNKED, b"a\r\nabc"), ABC),
    "behind a chunk": (answering(CHUNKED, b"3\r\nabc"), ABC),
    "between two chunks": (answering(CHUNKED, b"3\r\nabc\r\n"), ABC),
    "in the last chunk": (answering(CHUNKED, b"3\r\nabc\r\n0"), ABC),
    "behind the last chunk": (answering(CHUNKED, b"3\r\nabc\r\n0\r\n"), ABC),
    "in a trailer": (answering(CHUNKED, b"3\r\nabc\r\n0\r\nX: y"), ABC),
    "before the very end": (answering(CHUNKED, b"3\r\nabc\r\n0\r\nX: y\r\n\r"), ABC),
}


def breaks(name: str, sent: bytes, reaches: bytes, leave: str, asked: Asked = PLAIN) -> Response:
    outcome = BROKEN if b" 200 " in reaches else REFUSED
    then = Peer.finish if leave == "ends" else Peer.reset
    return Response(f"{leave} {name}", sent, reaches, outcome, asked, then, kept=False)


def leaves(name: str, sent: bytes, reaches: bytes, leave: str, asked: Asked = PLAIN) -> Response:
    """Name a response that is whole when the instance leaves."""
    then = Peer.finish if leave == "ends" else Peer.reset
    return Response(f"{leave} {name}", sent, reaches, WHOLE, asked, then, kept=False)


ROWS = [
    *(breaks(name, *moment, leave) for name, moment in MOMENTS.items() for leave in ("ends", "is reset")),
    breaks("in a body that only an end would end", answering(b"", b"abc"), ABC, "is reset"),
    breaks("in such a body, for HTTP/1.0", answering(b"", b"abc"), answers(CLOSE, b"abc"), "is reset", KEPT_OLD),
    breaks("in chunks, for HTTP/1.0", answering(CHUNKED, b"3\r\nabc\r\n"), answers(CLOSE, b"abc"), "ends", KEPT_OLD),
    breaks("in a body, for HTTP/1.0", answering(TEN, b"abc"), answers(TEN + KEPT, b"abc"), "ends", KEPT_OLD),
    leaves("behind a whole response", OK, OK_SENT, "ends"),
    leaves("behind a whole response", OK, OK_SENT, "is reset"),
    leaves("behind the last chunk and its end", LAST, LAST_SENT, "ends"),
    leaves("behind the response to HEAD", NINE, NINE_SENT, "ends", HEAD),
]
