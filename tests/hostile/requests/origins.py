"""Fields that say where a request comes from, written by somebody whom nobody trusts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from config.trusted import TrustedProxies
from proxy.http.forwarding import Forwarding
from tests.hostile.rows import OPTIONS, asks_get, get, passed, refused

ASKS = asks_get()
_FORWARDED_ONLY = replace(OPTIONS, forwarding=Forwarding(x_forwarded=False, rfc7239=True))
_LOCAL = TrustedProxies((ip_network("127.0.0.0/8"),))
_TRUSTING = replace(OPTIONS, forwarding=Forwarding(trusted=_LOCAL))
_MAKE = replace(OPTIONS, request_id="make")
_NONE = replace(OPTIONS, request_id="none")
_ASKS_WITHOUT = ASKS.replace(b"X-Request-Id: made\r\n", b"")
_ASKS_RFC7239 = (
    b'GET / HTTP/1.1\r\nHost: shop\r\nForwarded: for=127.0.0.1;host="shop";proto=http\r\nX-Request-Id: made\r\n'
    b"Via: 1.1 pointsman\r\n\r\n"
)


def trusting(chain: bytes = b"") -> bytes:
    """Write a plain GET as it reaches the instance from a client that is trusted, and told of this chain."""
    return (
        b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: " + chain + b"127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: shop\r\nX-Request-Id: made\r\nVia: 1.1 pointsman\r\n\r\n"
    )


def with_id(value: bytes) -> bytes:
    return ASKS.replace(b"X-Request-Id: made", b"X-Request-Id: " + value)


ROWS = [
    passed("X-Forwarded-For", get(b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n"), ASKS),
    passed("X-Forwarded-For in capitals", get(b"X-FORWARDED-FOR: 1.2.3.4\r\n"), ASKS),
    passed("X-Forwarded-Proto and -Host", get(b"x-forwarded-proto: https\r\nX-Forwarded-Host: bank\r\n"), ASKS),
    passed("any other X-Forwarded", get(b"X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /a\r\nX-Forwarded-: x\r\n"), ASKS),
    passed(
        "underscores", get(b"X_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Proto: https\r\nx_forwarded-server: a\r\n"), ASKS
    ),
    passed("Forwarded", get(b'Forwarded: for=1.2.3.4;host=bank;proto=https, for="[::1]"\r\n'), ASKS),
    passed("X-Real-IP", get(b"X-Real-IP: 1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\n"), ASKS),
    passed("underscores in what frames", get(b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\n"), ASKS),
    passed(
        "underscores in what routes", get(b"Max_Forwards: 0\r\nX_Request_Id: x\r\nProxy_Authorization: x\r\n"), ASKS
    ),
    passed("httpoxy", get(b"Proxy: http://evil\r\nPROXY: http://evil\r\n"), ASKS),
    passed(
        "what only sounds like these",
        get(b"X-Forwarded: 1\r\nForwarded-For: 1\r\nX--Forwarded-For: 1\r\nProxy-X: 1\r\n"),
        asks_get(b"X-Forwarded: 1\r\nForwarded-For: 1\r\nX--Forwarded-For: 1\r\nProxy-X: 1\r\n"),
    ),
    passed(
        "where Forwarded is written",
        get(b"Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n"),
        _ASKS_RFC7239,
        options=_FORWARDED_ONLY,
        plain=_ASKS_RFC7239,
    ),
    # From a proxy that is trusted, what it says is taken over; what its own client made it say is its business.
    passed(
        "X-Forwarded-For of a trusted proxy",
        get(b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n"),
        trusting(b"1.2.3.4, 5.6.7.8, "),
        options=_TRUSTING,
        plain=trusting(),
    ),
    passed(
        "what Connection names, of a trusted proxy",
        get(b"X-Forwarded-For: 1.2.3.4\r\nConnection: X-Forwarded-For\r\n"),
        trusting(b"1.2.3.4, "),
        options=_TRUSTING,
        plain=trusting(),
    ),
    passed(
        "underscores of a trusted proxy",
        get(b"X_Forwarded_For: 1.2.3.4\r\nProxy: http://evil\r\n"),
        trusting(),
        options=_TRUSTING,
        plain=trusting(),
    ),
    refused(
        "a line end from a trusted proxy",
        get(b"X-Forwarded-For: 1.2.3.4\rX: y\r\n"),
        options=_TRUSTING,
        plain=trusting(),
    ),
    passed("a Via of somebody before us stays", get(b"Via: 1.0 cache\r\n"), asks_get(b"Via: 1.0 cache\r\n")),
    passed("an ID", get(b'X-Request-Id: 1f-"<&>~\r\n'), with_id(b'1f-"<&>~')),
    passed("an ID in capitals", get(b"X-REQUEST-ID: theirs\r\n"), with_id(b"theirs")),
    passed("two IDs", get(b"X-Request-Id: first\r\nX-Request-Id: second\r\n"), with_id(b"second")),
    passed("an ID and a bad one", get(b"X-Request-Id: first\r\nX-Request-Id: a b\r\n"), ASKS),
    passed("an empty ID", get(b"X-Request-Id:\r\n"), ASKS),
    passed("an ID with a blank", get(b"X-Request-Id: a b\r\n"), ASKS),
    passed("an ID beyond ASCII", get(b"X-Request-Id: \xe9\r\n"), ASKS),
    passed("a long ID", get(b"X-Request-Id: " + b"x" * 128 + b"\r\n"), with_id(b"x" * 128)),
    passed("an ID that is too long", get(b"X-Request-Id: " + b"x" * 129 + b"\r\n"), ASKS),
    passed("an ID that nobody wants", get(b"X-Request-Id: theirs-too\r\n"), ASKS, options=_MAKE),
    passed(
        "an ID where none are made",
        get(b"X-Request-Id: kept\r\n"),
        with_id(b"kept"),
        options=_NONE,
        plain=_ASKS_WITHOUT,
    ),
    passed(
        "a bad ID where none are made",
        get(b"X-Request-Id: not kept\r\n"),
        _ASKS_WITHOUT,
        options=_NONE,
        plain=_ASKS_WITHOUT,
    ),
]
