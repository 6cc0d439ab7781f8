"""Where a request came from: what an instance is told of it, and what the access log believes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.trusted import TrustedProxies, parse_trusted_proxies
from config.units import Bind
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import HeadLimits, RequestHead, RequestReader
from proxy.listener import ListenerOptions
from tests.proxy.http.scripted import ID, proxying

if TYPE_CHECKING:
    from pathlib import Path

MODES = {"x_forwarded": (True, False), "rfc7239": (False, True), "both": (True, True), "none": (False, False)}
HERE = parse_trusted_proxies(["127.0.0.0/8", "::1", "unix"])
NOBODY = TrustedProxies()

NOTHING = b""
CHAIN = b"X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nx-forwarded-proto: https\r\n"
ALL = (
    b"X-Forwarded-For: 1.1.1.1\r\nX-FORWARDED-FOR:2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: bank\r\n"
    b"X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /a\r\nX-Real-IP: 3.3.3.3\r\n"
)
ELEMENT = b'Forwarded: for="[2001:db8::1]:4711";proto=https\r\n'
EVERYTHING = ALL + ELEMENT + b"Forwarded: by=_me\r\n"

OURS = b'for=127.0.0.1;host="shop";proto=http'


def forwarding(mode: str, trusted: TrustedProxies) -> Forwarding:
    x_forwarded, rfc7239 = MODES[mode]
    return Forwarding(trusted, x_forwarded=x_forwarded, rfc7239=rfc7239)


def options(mode: str, trusted: TrustedProxies) -> ListenerOptions:
    return ListenerOptions(forwarding=forwarding(mode, trusted))


async def told(sent: bytes, settings: ListenerOptions, connection: bytes = b"") -> list[bytes]:
    """Return the fields that reach the instance, but for Host and those that are always there."""
    async with proxying(options=settings) as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.1\r\nHost: shop\r\n" + connection + sent + b"\r\n")
        head = await instance.through()
    start, end = b"GET / HTTP/1.1\r\nHost: shop\r\n", b"Via: 1.1 pointsman\r\n\r\n"
    assert head.startswith(start)
    assert head.endswith(end)
    return [line for line in head[len(start) : -len(end)].split(b"\r\n")[:-1] if line != ID[:-2]]


# What anybody's request leads to, whatever he writes into it.
OF_ANYBODY = {
    "x_forwarded": [b"X-Forwarded-Host: shop", b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http"],
    "rfc7239": [b"Forwarded: " + OURS],
    "both": [
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: shop",
        b"Forwarded: " + OURS,
    ],
    "none": [],
}


@pytest.mark.parametrize("sent", [NOTHING, CHAIN, ALL, ELEMENT, EVERYTHING])
@pytest.mark.parametrize("mode", MODES)
async def test_what_anybody_says_is_dropped(mode: str, sent: bytes) -> None:
    assert await told(sent, options(mode, NOBODY)) == OF_ANYBODY[mode]


@pytest.mark.parametrize("mode", MODES)
async def test_so_is_what_one_says_who_is_not_among_the_trusted(mode: str) -> None:
    elsewhere = parse_trusted_proxies(["10.0.0.0/8", "::1", "unix"])
    assert sorted(await told(EVERYTHING, options(mode, elsewhere))) == sorted(OF_ANYBODY[mode])


OTHERS = [b"X-Forwarded-Port: 443", b"X-Forwarded-Prefix: /a", b"X-Real-IP: 3.3.3.3"]
KEPT = [b"X-Forwarded-Proto: https", b"X-Forwarded-Host: bank", *OTHERS]
CHAINED = b"X-Forwarded-For: 1.1.1.1, 2.2.2.2"
FROM_TRUSTED = {
    ("x_forwarded", NOTHING): [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: shop"],
    ("x_forwarded", CHAIN): [CHAINED + b", 127.0.0.1", b"X-Forwarded-Host: shop", b"X-Forwarded-Proto: https"],
    ("x_forwarded", ALL): [CHAINED + b", 127.0.0.1", *KEPT],
    ("x_forwarded", ELEMENT): [
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: shop",
        ELEMENT[:-2] + b", " + OURS,  # a chain that lacks us would be taken for a shorter one
    ],
    ("x_forwarded", EVERYTHING): [CHAINED + b", 127.0.0.1", *KEPT, ELEMENT[:-2] + b", by=_me, " + OURS],
    ("rfc7239", NOTHING): [b"Forwarded: " + OURS],
    ("rfc7239", CHAIN): [CHAINED + b", 127.0.0.1", b"X-Forwarded-Proto: https", b"Forwarded: " + OURS],
    ("rfc7239", ALL): [CHAINED + b", 127.0.0.1", *KEPT, b"Forwarded: " + OURS],
    ("rfc7239", ELEMENT): [ELEMENT[:-2] + b", " + OURS],
    ("both", NOTHING): OF_ANYBODY["both"],
    ("both", EVERYTHING): [CHAINED + b", 127.0.0.1", *KEPT, ELEMENT[:-2] + b", by=_me, " + OURS],
    ("none", NOTHING): [],
    ("none", CHAIN): [CHAINED, b"X-Forwarded-Proto: https"],
    ("none", EVERYTHING): [CHAINED, *KEPT, ELEMENT[:-2] + b", by=_me"],
}


@pytest.mark.parametrize(("mode", "sent", "expected"), [(*case, lines) for case, lines in FROM_TRUSTED.items()])
async def test_what_a_trusted_proxy_says_is_kept_and_we_are_added(
    mode: str, sent: bytes, expected: list[bytes]
) -> None:
    assert await told(sent, options(mode, HERE)) == expected


@pytest.mark.parametrize("trusted", [NOBODY, HERE])
@pytest.mark.parametrize("mode", MODES)
async def test_nobody_removes_by_connection_what_we_write(mode: str, trusted: TrustedProxies) -> None:
    names = b"X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP, Forwarded, Via, Host, X-Request-Id"
    named = await told(EVERYTHING, options(mode, trusted), b"Connection: close, %b\r\n" % names)
    assert named == await told(EVERYTHING, options(mode, trusted))


@pytest.mark.parametrize("empty", [b"X-Forwarded-For:\r\n", b"X-Forwarded-For: \t\r\nForwarded:\r\n"])
async def test_what_says_nothing_adds_nothing(empty: bytes) -> None:
    assert await told(empty, options("both", HERE)) == OF_ANYBODY["both"]
    assert await told(empty, options("none", HERE)) == []


async def test_an_ipv6_address_is_quoted_where_the_grammar_wants_it() -> None:
    settings = options("both", NOBODY)
    async with proxying(bind=Bind("::1", 0), options=settings) as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
        await instance.gets(
            b"GET / HTTP/1.1\r\nHost: [::1]:80\r\nX-Forwarded-For: ::1\r\nX-Forwarded-Proto: http\r\n"
            b'X-Forwarded-Host: [::1]:80\r\nForwarded: for="[::1]";host="[::1]:80";proto=http\r\n'
            + ID + b"Via: 1.1 pointsman\r\n\r\n"
        )  # fmt: skip


@pytest.mark.parametrize(
    ("trusted", "sent", "lines"),
    [
        (NOBODY, CHAIN, [b"X-Forwarded-Proto: http", b"X-Forwarded-Host: shop"]),
        (HERE, CHAIN, [CHAINED, b"X-Forwarded-Host: shop", b"X-Forwarded-Proto: https"]),
        (HERE, NOTHING, [b"X-Forwarded-Proto: http", b"X-Forwarded-Host: shop"]),
    ],
)
async def test_the_client_of_a_unix_socket_has_no_address(
    tmp_path: Path, trusted: TrustedProxies, sent: bytes, lines: list[bytes]
) -> None:
    settings = options("both", trusted)
    async with proxying(bind=Bind(path=str(tmp_path / "s")), options=settings) as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.1\r\nHost: shop\r\n" + sent + b"\r\n")
        await instance.gets(
            b"\r\n".join([b"GET / HTTP/1.1\r\nHost: shop", *lines, b'Forwarded: for=unknown;host="shop";proto=http'])
            + b"\r\n" + ID + b"Via: 1.1 pointsman\r\n\r\n"
        )  # fmt: skip


async def test_a_client_of_http_1_0_that_names_no_host_has_none() -> None:
    async with proxying(options=options("both", NOBODY)) as proxy:
        _, instance = await proxy.asking(b"GET / HTTP/1.0\r\n\r\n")
        head = await instance.through()
        assert b"X-Forwarded-Host" not in head
        assert b"\r\nForwarded: for=127.0.0.1;proto=http\r\n" in head
        assert head.endswith(b"\r\nVia: 1.0 pointsman\r\n\r\n")


def read(fields: bytes) -> RequestHead:
    return RequestReader(HeadLimits()).read(b"GET / HTTP/1.1\r\nHost: shop\r\n" + fields + b"\r\n")


TRUSTED = parse_trusted_proxies(["10.0.0.0/8", "fd00::/8", "192.0.2.1"])
# The client's address, what it sends, and who is then taken for the client.
BELIEVED = {
    "nobody is between": ("10.0.0.1", b"", "10.0.0.1"),
    "one whom we do not trust": ("203.0.113.9", b"X-Forwarded-For: 1.1.1.1\r\n", "203.0.113.9"),
    "the last whom we do not trust": (
        "10.0.0.1",
        b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1, 10.9.9.9\r\n",
        "2.2.2.2",
    ),
    "in several lines": ("10.0.0.1", b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n", "2.2.2.2"),
    "the first when all are trusted": ("10.0.0.1", b"X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
    "whatever stands before what is no address is not believed": (
        "10.0.0.1",
        b"X-Forwarded-For: 1.1.1.1, nonsense, 10.0.0.2\r\n",
        "10.0.0.2",
    ),
    "nonsense alone": ("10.0.0.1", b"X-Forwarded-For: nonsense\r\n", "10.0.0.1"),
    "an empty place": ("10.0.0.1", b"X-Forwarded-For: 1.1.1.1,\r\n", "10.0.0.1"),
    "IPv6": ("fd00::1", b"X-Forwarded-For: 2001:db8::1, fd00::2\r\n", "2001:db8::1"),
    "an IPv4 address in IPv6": ("::ffff:10.0.0.1", b"X-Forwarded-For: 2.2.2.2\r\n", "2.2.2.2"),
    "a link-local one with its zone": ("fe80::1%eth0", b"X-Forwarded-For: 2.2.2.2\r\n", "fe80::1%eth0"),
    "X-Real-IP counts for nothing": ("10.0.0.1", b"X-Real-IP: 2.2.2.2\r\n", "10.0.0.1"),
}


@pytest.mark.parametrize(("peer", "sent", "client"), BELIEVED.values(), ids=BELIEVED.keys())
def test_the_client_is_the_last_whom_we_do_not_trust(peer: str, sent: bytes, client: str) -> None:
    origin = Origin(Forwarding(TRUSTED), (peer, 4711))
    assert origin.client(read(sent)) == client


def test_a_unix_socket_s_client_may_be_trusted_with_another_s_address() -> None:
    sent = read(b"X-Forwarded-For: 2.2.2.2\r\n")
    assert Origin(Forwarding(parse_trusted_proxies(["unix"])), "").client(sent) == "2.2.2.2"
    assert Origin(Forwarding(TRUSTED), "").client(sent) == ""


async def test_the_access_log_has_the_client_that_is_believed() -> None:
    async with proxying(options=options("x_forwarded", HERE), logged=True) as proxy:
        client, instance = await proxy.asking(
            b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 9.9.9.9, 2.2.2.2\r\n\r\n"
        )
        await instance.through()
        await instance.send(b"HTTP/1.1 204 No\r\n\r\n")
        await client.through()
        await client.send(b"GET * HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n")
        assert (await client.response())[0] == 400
        first, second = proxy.records
        assert (first.client, second.client) == ("2.2.2.2", "127.0.0.1")
