"""Other versions of HTTP, and what is no HTTP at all."""

from __future__ import annotations

from tests.hostile.rows import CLOSE, FORWARDED_1_0, GET, HOST, asks, get, passed, post, refused

KEEP = b"Connection: keep-alive\r\n"
ASKS_OLD = asks(b"GET /", old=True)


def version(value: bytes) -> bytes:
    return b"GET / " + value + b"\r\n" + HOST + b"\r\n"


ROWS = [
    refused("no version", b"GET /\r\n" + HOST + b"\r\n"),
    refused("no version, and nothing behind", b"GET /\r\n\r\n"),
    refused("HTTP/0.9", b"GET /\r\n", 408, waits=True),
    refused("HTTP/0.9 by its name", version(b"HTTP/0.9"), 505),
    refused("a version in lower case", version(b"http/1.1")),
    refused("a version with more before", version(b"xHTTP/1.1")),
    refused("a version with more behind", version(b"HTTP/1.1x")),
    refused("a version without a minor one", version(b"HTTP/1")),
    refused("a version with a point and no more", version(b"HTTP/1.")),
    refused("a version of two digits", version(b"HTTP/1.10")),
    refused("a version with zeros before", version(b"HTTP/01.1")),
    refused("a version with a comma", version(b"HTTP/1,1")),
    refused("a version with a blank in it", version(b"HTTP/ 1.1")),
    refused("a version of other digits", version("HTTP/1.\N{ARABIC-INDIC DIGIT ONE}".encode())),
    refused("HTTP/1.2", version(b"HTTP/1.2"), 505),
    refused("HTTP/2.0", version(b"HTTP/2.0"), 505),
    refused("HTTP/3.0", version(b"HTTP/3.0"), 505),
    refused("HTTP/2 as it begins", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    refused("HTTP/2 as it begins, of HTTP/1.1", b"PRI * HTTP/1.1\r\n" + HOST + b"\r\nSM\r\n\r\n"),
    refused("another protocol", b"DESCRIBE / RTSP/1.0\r\n\r\n"),
    refused("a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)), 400),
    refused("TLS with an end of a head in it", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    refused("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n", 408, waits=True),
    refused("mail", b"EHLO shop\r\nMAIL FROM:<a@b>\r\n\r\n"),
    refused("a proxy's greeting of version 1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + GET),
    refused(
        "a proxy's greeting of version 2",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x00\x51" + GET,
    ),
    refused("garbage", bytes(range(128, 256)) + b"\r\n\r\n"),
    passed("HTTP/1.0", get(b"", b"1.0"), ASKS_OLD, ends=True),
    passed("HTTP/1.0 that is kept", get(KEEP, b"1.0"), ASKS_OLD),
    passed("HTTP/1.0 that is kept, and another", get(KEEP, b"1.0") * 2, ASKS_OLD, ASKS_OLD),
    passed("HTTP/1.0 that is kept and closed", get(KEEP + CLOSE, b"1.0"), ASKS_OLD, ends=True),
    passed("what follows a request of HTTP/1.0", get(b"", b"1.0") + GET, ASKS_OLD, ends=True),
    # A request's body never ends with the connection (RFC 9112 6.3): what stands behind the head is no body.
    passed(
        "a body of HTTP/1.0 without a length", post(b"", b"abc" + GET, b"1.0"), asks(b"POST /", old=True), ends=True
    ),
    refused(
        "a body of HTTP/1.0 without a length on a kept connection",
        post(KEEP, b"abc\r\n\r\n", b"1.0"),
        behind=(asks(b"POST /", old=True),),
    ),
    passed(
        "a body of HTTP/1.0",
        post(KEEP + b"Content-Length: 3\r\n", b"abc", b"1.0"),
        asks(b"POST /", b"Content-Length: 3\r\n", body=b"abc", old=True),
    ),
    passed("an absolute target without a Host in HTTP/1.0", b"GET http://shop/ HTTP/1.0\r\n\r\n", ASKS_OLD, ends=True),
    passed(
        "an expectation in HTTP/1.0",
        post(KEEP + b"Expect: 100-continue\r\nContent-Length: 1\r\n", b"x", b"1.0"),
        asks(b"POST /", b"Content-Length: 1\r\n", body=b"x", old=True),
    ),
    passed(
        "an upgrade in HTTP/1.0", get(b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", b"1.0"), ASKS_OLD
    ),
    passed(
        "everything, of HTTP/1.0",
        b"OPTIONS * HTTP/1.0\r\n" + HOST + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"X-Forwarded-Host: shop\r\n" + FORWARDED_1_0,
        ends=True,
    ),
]
