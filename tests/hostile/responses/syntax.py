"""Heads of responses: as strictly as those of requests, and no larger."""

from __future__ import annotations

from tests.hostile.rows import LIMITS, OK, OK_SENT, WHOLE, Response, answering, answers, bad, of_length

EMPTY = b"Content-Length: 0\r\n"
_LEFT = LIMITS.headers - len(b"HTTP/1.1 200 OK\r\nX: \r\n" + EMPTY + b"\r\n")
_OF_REQUESTS = b"Host: bank\r\nX-Forwarded-For: 1.2.3.4\r\nProxy: x\r\n"


def field(value: bytes) -> bytes:
    return answering(value + b"\r\n" + EMPTY)


def passed(name: str, fields: bytes, left: bytes = b"") -> Response:
    """Name a head of which these fields are left, or all."""
    return Response(name, answering(fields + EMPTY), answers((left or fields) + EMPTY), WHOLE)


ROWS = [
    bad("a blank before the colon", field(b"X : y")),
    bad("a blank before the colon of a length", answering(b"Content-Length : 0\r\n")),
    bad("a folded field", field(b"X: y\r\n z")),
    bad("a folded first field", field(b" X: y")),
    bad("a folded field, by a tab", field(b"X: y\r\n\tz")),
    bad("no colon", field(b"X")),
    bad("no name", field(b": y")),
    bad("a blank in a name", field(b"X Y: z")),
    bad("a letter beyond ASCII in a name", field(b"X\xe9: y")),
    bad("NUL in a value", field(b"X: \x00")),
    bad("NUL in a name", field(b"X\x00: y")),
    bad("a control character in a value", field(b"X: \x01")),
    bad("DEL in a value", field(b"X: \x7f")),
    bad("a bare carriage return", field(b"X: a\rb")),
    bad("a field behind a bare carriage return", field(b"X: a\rSet-Cookie: a=b")),
    bad("a carriage return too many", field(b"X: a\r")),
    bad("a bare line feed", field(b"X: a\nY: b")),
    bad("a response behind a bare end", answering(EMPTY + b"X: y\n\r\n" + OK)),
    bad("bare line feeds throughout", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    bad("bare line feeds, but for the end", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
    bad("bare carriage returns throughout", b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok\r\n\r\n"),
    bad("large fields", field(b"X: " + b"x" * 5000)),
    bad("a head of one byte too many", field(b"X: " + b"x" * (_LEFT + 1))),
    bad("a head without an end", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000),
    bad("a status line without an end", b"HTTP/1.1 200 " + b"x" * 5000),
    bad("fields without an end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 800),
    bad("many fields", field(b"X: y\r\n" * 20 + b"X: y")),
    passed("as large as a head may be", b"X: " + b"x" * _LEFT + b"\r\n"),
    passed("as many fields as there may be", b"X: y\r\n" * 19),
    passed("fields are passed on as they came", b"set-cookie:a\r\nSet-Cookie: b\r\nX-Odd:\t\xff \r\nETag:\r\n"),
    passed("a line end in another writing", b"Location: /%0d%0aSet-Cookie: a\r\n"),
    Response(
        "fields of a request", of_length(b"ok", _OF_REQUESTS), OK_SENT.replace(b"Via", _OF_REQUESTS + b"Via"), WHOLE
    ),
]
