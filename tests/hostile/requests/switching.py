"""Upgrade, CONNECT, TRACE and Max-Forwards: what may become of a connection, and how far a request may go."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.rows import (
    CHUNKED,
    HOST,
    OPTIONS,
    VIA,
    Request,
    Tunnel,
    asks,
    asks_chunked,
    asks_get,
    asks_post,
    get,
    passed,
    post,
    refused,
    target,
)

CONNECTING = replace(OPTIONS, allow_connect=True)
TRACING = replace(OPTIONS, allow_trace=True)
ANY = b"Connection: Upgrade\r\nUpgrade: foo\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
EVIL = b"GET /evil HTTP/1.1\r\n" + HOST + b"\r\n"


def upgrading(wanted: bytes) -> bytes:
    return asks(b"GET /", framing=b"Connection: Upgrade\r\nUpgrade: " + wanted + b"\r\n")


def own(name: str, sent: bytes, *, ends: bool = False, options: object = OPTIONS) -> Request:
    """Name a request that goes no further than here, and is answered well."""
    assert isinstance(options, type(OPTIONS))
    return Request(name, sent, (), (200,), ends, options=options)


def forwards(count: bytes, method: bytes = b"OPTIONS") -> bytes:
    return method + b" / HTTP/1.1\r\n" + HOST + b"Max-Forwards: " + count + b"\r\n\r\n"


ROWS: list[Request] = [
    # An upgrade that the instance does not grant: the next request is a request, and was not there before the answer.
    passed("a request behind an upgrade that is not granted", get(ANY) + EVIL, upgrading(b"foo"), asks(b"GET /evil")),
    refused(
        "bytes behind an upgrade that is not granted", get(ANY) + b"\x00\x01\x02\r\n\r\n", behind=(upgrading(b"foo"),)
    ),
    passed(
        "a request behind a WebSocket that is not granted",
        get(WEBSOCKET) + EVIL,
        upgrading(b"websocket"),
        asks(b"GET /evil"),
    ),
    passed(
        "an upgrade that Connection does not name",
        get(b"Upgrade: websocket\r\n") + EVIL,
        asks_get(),
        asks(b"GET /evil"),
    ),
    passed("an upgrade that only Connection names", get(b"Connection: Upgrade\r\n"), asks_get()),
    passed(
        "an upgrade with a body",
        post(WEBSOCKET + b"Content-Length: 1\r\n", b"x"),
        asks_post(b"Content-Length: 1\r\n", b"x"),
    ),
    passed(
        "an upgrade with chunks",
        post(WEBSOCKET + CHUNKED, b"0\r\n\r\n" + EVIL),
        asks_chunked(b"0\r\n\r\n"),
        asks(b"GET /evil"),
    ),
    passed(
        "an upgrade to HTTP/2",
        get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
        asks_get(),
    ),
    passed("HTTP/2 hidden among others", get(b"Connection: Upgrade\r\nUpgrade: foo, H2C\r\n"), upgrading(b"foo")),
    passed(
        "HTTP/2 hidden in another field",
        get(b"Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n"),
        upgrading(b"foo"),
    ),
    passed("HTTP/2 by its other names", get(b"Connection: Upgrade\r\nUpgrade: h2, HTTP/2.0, h2c/1\r\n"), asks_get()),
    passed("HTTP/2 folded into a name", get(b'Connection: Upgrade\r\nUpgrade: "h2c"\r\n'), asks_get()),
    passed("TLS", get(b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"), asks_get()),
    passed("an upgrade that is malformed", get(b"Connection: Upgrade\r\nUpgrade: web socket, \r\n"), asks_get()),
    passed("an upgrade to nothing", get(b"Connection: Upgrade\r\nUpgrade:\r\n"), asks_get()),
    passed("settings of HTTP/2 without an upgrade", get(b"HTTP2-Settings: AA\r\n"), asks_get()),
    # CONNECT
    refused("CONNECT", target(b"shop:443", b"CONNECT"), 405),
    refused("CONNECT to a path", target(b"/", b"CONNECT"), 405),
    refused("CONNECT with a request behind", target(b"shop:443", b"CONNECT") + EVIL, 405),
    refused("CONNECT without a port", target(b"shop", b"CONNECT"), options=CONNECTING),
    refused("CONNECT to a long port", target(b"shop:123456", b"CONNECT"), options=CONNECTING),
    refused("CONNECT to a path where it is allowed", target(b"/a", b"CONNECT"), options=CONNECTING),
    refused("CONNECT to an absolute target", target(b"http://shop:443/", b"CONNECT"), options=CONNECTING),
    refused("CONNECT with user information", target(b"me@shop:443", b"CONNECT"), options=CONNECTING),
    refused(
        "CONNECT with a body",
        post(b"Content-Length: 1\r\n", b"x").replace(b"POST /", b"CONNECT shop:443"),
        options=CONNECTING,
    ),
    refused(
        "CONNECT with chunks", post(CHUNKED, b"0\r\n\r\n").replace(b"POST /", b"CONNECT shop:443"), options=CONNECTING
    ),
    # TRACE and Max-Forwards
    refused("TRACE", target(b"/", b"TRACE"), 405),
    refused("TRACE that may go no further", forwards(b"0", b"TRACE"), 405),
    refused("TRACE with a body", post(b"Content-Length: 1\r\n", b"x").replace(b"POST", b"TRACE"), options=TRACING),
    refused("TRACE with chunks", post(CHUNKED, b"0\r\n\r\n").replace(b"POST", b"TRACE"), options=TRACING),
    passed("TRACE where it is allowed", target(b"/", b"TRACE"), asks(b"TRACE /"), options=TRACING),
    passed("TRACE that may go on", forwards(b"2", b"TRACE"), asks(b"TRACE /", b"Max-Forwards: 1\r\n"), options=TRACING),
    own("TRACE that may go no further where it is allowed", forwards(b"0", b"TRACE"), options=TRACING),
    own("OPTIONS that may go no further", forwards(b"0")),
    own("OPTIONS that may go no further, with zeros", forwards(b"000")),
    own(
        "OPTIONS that may go no further, with a body",
        forwards(b"0").replace(b"\r\n\r\n", b"\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"),
        ends=True,
    ),
    own(
        "OPTIONS that may go no further, whose body never comes",
        forwards(b"0").replace(b"\r\n\r\n", b"\r\nContent-Length: 99\r\n\r\n" + EVIL),
        ends=True,
    ),
    passed("OPTIONS that may go on", forwards(b"1"), asks(b"OPTIONS /", b"Max-Forwards: 0\r\n")),
    passed("Max-Forwards of GET", forwards(b"0", b"GET"), asks_get(b"Max-Forwards: 0\r\n")),
    passed("Max-Forwards of GET that is no number", forwards(b"x", b"GET"), asks_get(b"Max-Forwards: x\r\n")),
    refused("Max-Forwards with a sign", forwards(b"+1")),
    refused("Max-Forwards below nothing", forwards(b"-1")),
    refused("Max-Forwards that is no number", forwards(b"x")),
    refused("two Max-Forwards", forwards(b"1").replace(b"\r\n\r\n", b"\r\nMax-Forwards: 2\r\n\r\n")),
    refused("a list of Max-Forwards", forwards(b"1, 1")),
    refused("Max-Forwards without end", forwards(b"1" * 20)),
]

GRANTED = b"HTTP/1.1 101 Switching Protocols\r\n"
SWITCHED = GRANTED + b"Connection: Upgrade\r\nUpgrade: foo\r\n" + VIA
CONNECTED = b"HTTP/1.1 200 OK\r\n" + VIA
CONNECT = target(b"shop:443", b"CONNECT")
ASKS_CONNECT = asks(b"CONNECT shop:443", host=b"shop:443")

TUNNELS = [
    Tunnel("an upgrade", get(ANY), upgrading(b"foo"), GRANTED + ANY + b"\r\n", SWITCHED),
    Tunnel("a request behind an upgrade", get(ANY) + EVIL, upgrading(b"foo"), GRANTED + ANY + b"\r\n", SWITCHED, EVIL),
    Tunnel(
        "bytes behind an upgrade",
        get(ANY) + b"\x00\r\n\r\n\xff",
        upgrading(b"foo"),
        GRANTED + ANY + b"\r\n",
        SWITCHED,
        b"\x00\r\n\r\n\xff",
    ),
    Tunnel(
        "an upgrade with a length",
        get(ANY + b"Content-Length: 0\r\n"),
        asks(b"GET /", b"Content-Length: 0\r\n", framing=ANY),
        GRANTED + ANY + b"Content-Length: 5\r\n\r\n",
        SWITCHED,
    ),
    Tunnel("an upgrade with a coding", get(ANY), upgrading(b"foo"), GRANTED + ANY + CHUNKED + b"\r\n", SWITCHED),
    Tunnel(
        "a choice of upgrades",
        get(b"Connection: upgrade\r\nUpgrade: FOO, h2c, bar/1\r\n"),
        upgrading(b"FOO, bar/1"),
        GRANTED + ANY + b"\r\n",
        SWITCHED,
    ),
    Tunnel(
        "an upgrade by HEAD",
        get(ANY).replace(b"GET", b"HEAD"),
        upgrading(b"foo").replace(b"GET", b"HEAD"),
        GRANTED + ANY + b"\r\n",
        SWITCHED,
    ),
    Tunnel(
        "an upgrade of a last request",
        get(ANY + b"Connection: close\r\n"),
        upgrading(b"foo"),
        GRANTED + ANY + b"\r\n",
        SWITCHED,
    ),
    Tunnel(
        "an upgrade behind early hints",
        get(ANY),
        upgrading(b"foo"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + GRANTED + ANY + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + SWITCHED,
    ),
    Tunnel("bytes behind the 101", get(ANY), upgrading(b"foo"), GRANTED + ANY + b"\r\nhello", SWITCHED + b"hello"),
    Tunnel("CONNECT that is granted", CONNECT, ASKS_CONNECT, b"HTTP/1.1 200 OK\r\n\r\n", CONNECTED, options=CONNECTING),
    Tunnel(
        "bytes behind CONNECT",
        CONNECT + EVIL,
        ASKS_CONNECT,
        b"HTTP/1.1 200 OK\r\n\r\n",
        CONNECTED,
        EVIL,
        options=CONNECTING,
    ),
    Tunnel(
        "CONNECT that is granted with a length",
        CONNECT,
        ASKS_CONNECT,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        CONNECTED + b"hello",
        options=CONNECTING,
    ),
    Tunnel(
        "CONNECT that is granted with a coding",
        CONNECT,
        ASKS_CONNECT,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CONNECTED + b"0\r\n\r\n",
        options=CONNECTING,
    ),
    Tunnel(
        "CONNECT with an absolute Host",
        CONNECT.replace(HOST, b"Host: bank\r\n"),
        ASKS_CONNECT,
        b"HTTP/1.1 200 OK\r\n\r\n",
        CONNECTED,
        options=CONNECTING,
    ),
]
