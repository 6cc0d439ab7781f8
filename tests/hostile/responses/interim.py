"""Interim responses: any number of them, in front, and with nothing behind their heads."""

from __future__ import annotations

from tests.hostile.requests.switching import ANY, GRANTED, upgrading
from tests.hostile.responses.framing import KEPT_OLD
from tests.hostile.responses.surplus import HEAD, NINE, NINE_SENT
from tests.hostile.rows import CHUNKED, OK, OK_SENT, REFUSED, VIA, WHOLE, Asked, Peer, Response, answering, bad, get

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
BARE = b"HTTP/1.1 103 Early Hints\r\n"
UPGRADING = Asked(get(ANY), upgrading(b"foo"))
UPGRADING_OLD = Asked(get(b"Connection: Upgrade, keep-alive\r\nUpgrade: foo\r\n", b"1.0"), KEPT_OLD.reaches)
WITH_HTTP_2 = Asked(get(b"Connection: Upgrade\r\nUpgrade: h2c, foo\r\n"), upgrading(b"foo"))


def first(name: str, interim: bytes, left: bytes | None = None) -> Response:
    """Say what is left of an interim response, by default all, in front of the final one."""
    return Response(name, interim + OK, (interim if left is None else left) + OK_SENT, WHOLE)


ROWS = [
    first("100 that nobody waits for", CONTINUE),
    first("100 twice", CONTINUE * 2),
    first("102 and 103", b"HTTP/1.1 102 Processing\r\n\r\n" + HINTS),
    first("199", b"HTTP/1.1 199 Odd\r\n\r\n"),
    first("a flood", HINTS * 500),
    first("of HTTP/1.0", b"HTTP/1.0 100 Continue\r\n\r\n", CONTINUE),
    first(
        "fields of the hop",
        BARE + b"Connection: close, X\r\nX: y\r\nKeep-Alive: 1\r\nUpgrade: foo\r\n\r\n",
        BARE + b"\r\n",
    ),
    first("a length that is none", BARE + b"Content-Length: 0\r\n\r\n", BARE + b"\r\n"),
    first("a coding that is none", BARE + CHUNKED + b"\r\n", BARE + b"\r\n"),
    bad("a body", BARE + b"Content-Length: 6\r\n\r\nsecret\r\n\r\n", reaches=BARE + b"\r\n"),
    bad("chunks", BARE + CHUNKED + b"\r\n0\r\n\r\n" + OK, reaches=BARE + b"\r\n"),
    bad("a bad one behind a good one", HINTS + b"HTTP/1.1 103 x\r\nX : y\r\n\r\n" + OK, reaches=HINTS),
    bad("a bad response behind a good one", HINTS + b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", reaches=HINTS),
    bad("a large one", b"HTTP/1.1 103 x\r\nX: " + b"x" * 5000 + b"\r\n\r\n" + OK),
    bad("an empty line behind it", HINTS + b"\r\n" + OK, reaches=HINTS),
    bad("a flood, and a head without an end", HINTS * 10 + b"HTTP/1.1 103 " + b"x" * 5000, reaches=HINTS * 10),
    Response("nothing behind it", HINTS, HINTS, REFUSED, then=Peer.finish, kept=False),
    Response("for HEAD", HINTS + NINE, HINTS + NINE_SENT, WHOLE, HEAD),
    Response(
        "for HTTP/1.0",
        CONTINUE + HINTS + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n" + VIA + b"ok",
        WHOLE,
        KEPT_OLD,
    ),
    # 101, which only a client that asked for it may get.
    bad("101 unasked", GRANTED + ANY + b"\r\n"),
    bad("101 unasked, with a response behind", GRANTED + ANY + b"\r\n" + OK),
    bad("101 unasked, without saying to what", GRANTED + b"\r\n"),
    bad("101 unasked, behind early hints", HINTS + GRANTED + ANY + b"\r\n", reaches=HINTS),
    bad("101 unasked, to HEAD", GRANTED + ANY + b"\r\n", asked=HEAD),
    bad("101 to a client of HTTP/1.0 that asked", GRANTED + ANY + b"\r\n", asked=UPGRADING_OLD),
    bad("101 to something else", GRANTED + b"Connection: Upgrade\r\nUpgrade: bar\r\n\r\n", asked=UPGRADING),
    bad(
        "101 to more than was asked for", GRANTED + b"Connection: Upgrade\r\nUpgrade: foo, bar\r\n\r\n", asked=UPGRADING
    ),
    bad("101 to HTTP/2, not passed on", GRANTED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", asked=WITH_HTTP_2),
    bad("101 to nothing", GRANTED + b"\r\n", asked=UPGRADING),
    bad("101 that Connection does not name", GRANTED + b"Upgrade: foo\r\n\r\n", asked=UPGRADING),
    bad("101 with a bad head", GRANTED + ANY + b"X : y\r\n\r\n", asked=UPGRADING),
    Response(
        "200 that tells of an upgrade", answering(ANY + b"Content-Length: 2\r\n", b"ok"), OK_SENT, WHOLE, UPGRADING
    ),
    Response("100 and then 200 for an upgrade", CONTINUE + OK, CONTINUE + OK_SENT, WHOLE, UPGRADING),
]
