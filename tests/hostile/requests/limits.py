"""Requests that are too much, and those that are just not."""

from __future__ import annotations

from tests.hostile.rows import HOST, LIMITS, asks, asks_get, asks_post, get, passed, post, refused, target

_FULL = LIMITS.request_line - len(b"GET / HTTP/1.1")
_LEFT = LIMITS.headers - len(HOST) - len(b"X: \r\n")

ROWS = [
    refused("a long request line", target(b"/" + b"x" * 1000), 414),
    refused("a request line of one byte too many", target(b"/" + b"x" * (_FULL + 1)), 414),
    refused("an endless request line", b"GET /" + b"x" * 1100, 414),
    refused("an endless method", b"G" * 1100, 414),
    refused("an endless host in an absolute target", target(b"http://" + b"x" * 1000 + b"/"), 414),
    refused("large fields", get(b"X: %b\r\n" % (b"x" * 5000)), 431),
    refused("fields that are just too large, all on one line", get(b"X: %b\r\n" % (b"x" * (_LEFT + 1))), 431),
    refused("endless fields", b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"x" * 90) * 60, 431),
    refused("an endless field", b"GET / HTTP/1.1\r\nX: " + b"x" * 6000, 431),
    refused("an endless name", b"GET / HTTP/1.1\r\n" + b"x" * 6000, 431),
    refused("an endless Host", b"GET / HTTP/1.1\r\nHost: " + b"x" * 6000 + b"\r\n\r\n", 431),
    refused("many fields", get(b"X: y\r\n" * 20), 431),
    refused("many fields that are dropped", get(b"Keep-Alive: y\r\n" * 20), 431),
    refused("many cookies", get(b"Cookie: a=b\r\n" * 25), 431),
    refused("a body of more than it may have", post(b"Content-Length: 11\r\n", b"x" * 11), 413, body=10),
    refused("a body of far more, none of it sent", post(b"Content-Length: 999999999999999999\r\n"), 413, body=10),
    passed("as much of a request line as there may be", target(b"/" + b"x" * _FULL), asks(b"GET /" + b"x" * _FULL)),
    passed("as large as fields may be", get(b"X: %b\r\n" % (b"x" * _LEFT)), asks_get(b"X: %b\r\n" % (b"x" * _LEFT))),
    passed("as many fields as there may be", get(b"X: y\r\n" * 19), asks_get(b"X: y\r\n" * 19)),
    passed("an empty line before does not count", b"\r\n" * 600 + get(b""), asks_get()),
    passed(
        "a body of ten", post(b"Content-Length: 10\r\n", b"x" * 10), asks_post(b"Content-Length: 10\r\n", b"x" * 10)
    ),
]
