"""More than one response: what was not asked for reaches nobody, and the connection is used no more."""

from __future__ import annotations

from tests.hostile.rows import CHUNKED, OK, OK_SENT, PLAIN, VIA, WHOLE, Asked, Response, answering, answers, of_length

SECRET = of_length(b"secret")
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
EMPTY_SENT = b"HTTP/1.1 204 No Content\r\n" + VIA
LAST = answering(CHUNKED, b"0\r\n\r\n")
LAST_SENT = answers(CHUNKED, b"0\r\n\r\n")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
NINE = answering(b"Content-Length: 9\r\n")
NINE_SENT = answers(b"Content-Length: 9\r\n")
HEAD = Asked(b"HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n", PLAIN.reaches.replace(b"GET", b"HEAD", 1))


def surplus(name: str, more: bytes, sent: bytes = OK, reaches: bytes = OK_SENT, asked: Asked = PLAIN) -> Response:
    return Response(name, sent + more, reaches, WHOLE, asked, kept=False)


def later(name: str, more: bytes, sent: bytes = OK, reaches: bytes = OK_SENT, asked: Asked = PLAIN) -> Response:
    return Response(name, sent, reaches, WHOLE, asked, later=more)


ROWS = [
    surplus("a second response", SECRET),
    surplus("half a second response", SECRET[:20]),
    surplus("a hundred more", SECRET * 100),
    surplus("a byte", b"!"),
    surplus("NUL", b"\x00"),
    surplus("an empty line", b"\r\n"),
    surplus("a line feed", b"\n"),
    surplus("an interim response behind the final one", b"HTTP/1.1 100 Continue\r\n\r\n"),
    surplus("switching protocols behind the final one", SWITCH),
    surplus("a response behind an empty one", SECRET, of_length(b""), answers(b"Content-Length: 0\r\n")),
    surplus("a response behind the last chunk", SECRET, LAST, LAST_SENT),
    surplus("a byte behind the last chunk", b"!", LAST, LAST_SENT),
    surplus("the last chunk twice", b"0\r\n\r\n", LAST, LAST_SENT),
    surplus("a response behind 204", SECRET, EMPTY, EMPTY_SENT),
    surplus("a response behind the one to HEAD", SECRET, NINE, NINE_SENT, HEAD),
    surplus("more than the length tells", b"secret", of_length(b"ok"), OK_SENT),
    later("a second response later", SECRET),
    later("a second response in chunks later", answering(CHUNKED, b"6\r\nsecret\r\n0\r\n\r\n")),
    later("a time-out later", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    later("an interim response later", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    later("switching protocols later", SWITCH),
    later("half a head later", b"HTTP/1.1 200 OK\r\nX-"),
    later("a byte later", b"!"),
    later("an empty line later", b"\r\n"),
    later("the body of 204 later", b"secret", EMPTY, EMPTY_SENT),
    later("the body for HEAD later", b"secret123", NINE, NINE_SENT, HEAD),
    later("a response behind the last chunk later", SECRET, LAST, LAST_SENT),
]
