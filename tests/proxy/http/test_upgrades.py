"""Asking an instance for another protocol, and what may come of that: up to the 101."""

from __future__ import annotations

import pytest

from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import FORWARDED, GET, GET_SENT, OK, OK_SENT, Peer, Proxy, fill, proxying, until

VIA = b"Via: 1.1 pointsman\r\n\r\n"
WEBSOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WEBSOCKET_SENT = (
    b"GET /chat HTTP/1.1\r\nHost: shop\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"X-Forwarded-Host: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + FORWARDED
)
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + ACCEPT + b"\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\n" + ACCEPT + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + VIA
)  # fmt: skip


def upgrade(protocols: bytes, connection: bytes = b"upgrade") -> bytes:
    return GET[:-2] + b"Connection: %b\r\nUpgrade: %b\r\n\r\n" % (connection, protocols)


def upgraded(protocols: bytes) -> bytes:
    return GET_SENT.replace(FORWARDED, b"Connection: Upgrade\r\nUpgrade: " + protocols + b"\r\n" + FORWARDED)


async def test_a_websocket_is_asked_for_and_granted_to_the_byte() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(WEBSOCKET)
        await instance.gets(WEBSOCKET_SENT)
        await instance.send(SWITCHING)
        await client.gets(SWITCHED)
        assert proxy.traffic.tunnels == 1


async def test_both_heads_may_arrive_byte_by_byte() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send_slowly(WEBSOCKET)
        instance = await proxy.instance.accept()
        await instance.gets(WEBSOCKET_SENT)
        await instance.send_slowly(SWITCHING + b"x")
        await client.gets(SWITCHED + b"x")


# What a client asks to switch to, and what of it an instance is asked for.
ASKED = {
    "any protocol": (upgrade(b"IRC/6.9"), upgraded(b"IRC/6.9")),
    "several, in their order": (upgrade(b"foo/1, websocket"), upgraded(b"foo/1, websocket")),
    "in two lines": (
        GET[:-2] + b"Upgrade: foo\r\nConnection: Upgrade\r\nUpgrade: bar\r\n\r\n",
        upgraded(b"foo, bar"),
    ),
    "never h2c, which would carry requests past us": (upgrade(b"h2c"), GET_SENT),
    "nor with its settings": (
        GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
        GET_SENT,
    ),
    "nor in other letters": (upgrade(b"H2C"), GET_SENT),
    "nor HTTP/2 by its full name": (upgrade(b"HTTP/2.0"), GET_SENT),
    "nor TLS, which would end at the instance": (upgrade(b"TLS/1.2"), GET_SENT),
    "but the rest of the list": (upgrade(b"h2c, websocket, TLS/1.0"), upgraded(b"websocket")),
    "not where Connection does not name it": (GET[:-2] + b"Upgrade: websocket\r\n\r\n", GET_SENT),
    "not for nothing": (upgrade(b""), GET_SENT),
    "not when malformed": (upgrade(b"web socket"), GET_SENT),
    "not in HTTP/1.0": (
        upgrade(b"websocket").replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET_SENT.replace(b"1.1 p", b"1.0 p"),
    ),
    "not with a body": (
        upgrade(b"websocket")[:-2] + b"Content-Length: 2\r\n\r\nhi",
        GET_SENT.replace(b"X-Forwarded-Host", b"Content-Length: 2\r\nX-Forwarded-Host") + b"hi",
    ),
    "not with a body of chunks": (
        upgrade(b"websocket")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET_SENT.replace(FORWARDED, b"Transfer-Encoding: chunked\r\n" + FORWARDED) + b"0\r\n\r\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "reaches"), ASKED.values(), ids=ASKED.keys())
async def test_what_an_instance_is_asked_to_switch_to(sent: bytes, reaches: bytes) -> None:
    async with proxying() as proxy:
        _, instance = await proxy.asking(sent)
        await instance.gets(reaches)


async def ahead(proxy: Proxy, sent: bytes) -> tuple[Peer, Peer]:
    """Have a client ask for a WebSocket and send this ahead of the answer; return when it was read, or is held back."""
    client, instance = await proxy.asking(WEBSOCKET)
    await client.send(sent)
    [downstream] = proxy.listener._clients
    await until(lambda: len(downstream._ahead) == len(sent))
    await instance.gets(WEBSOCKET_SENT)
    return client, instance


async def test_nothing_of_the_client_s_follows_the_request_until_the_101() -> None:
    async with proxying() as proxy:
        client, instance = await ahead(proxy, b"\x81\x85\x00\x00\x00\x00hello")
        assert instance.send_what_fits(SWITCHING) == len(SWITCHING)
        await client.gets(SWITCHED)
        await client.send(b"more")
        await instance.gets(b"\x81\x85\x00\x00\x00\x00hellomore")


async def test_what_is_sent_ahead_is_read_in_bounds_and_handed_over_whole() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(WEBSOCKET)
        await instance.gets(WEBSOCKET_SENT)
        [downstream] = proxy.listener._clients
        sent = await fill(client, b"x" * 50_000_000, lambda: downstream.paused)
        assert len(downstream._ahead) <= 64 * 1024 + 256 * 1024
        await instance.send(SWITCHING)
        await client.gets(SWITCHED)
        assert await instance.exactly(sent) == b"x" * sent
        await client.send(b"y")
        await instance.gets(b"y")


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nno",
    ],
)
async def test_an_upgrade_that_is_refused_goes_on_as_http(refusal: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await ahead(proxy, GET)
        await instance.send(refusal)
        status = refusal.partition(b"\r\n")[0]
        await client.gets(status + b"\r\nContent-Length: 2\r\n" + VIA + b"no")
        if b"close" in refusal:
            instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)  # what came ahead was the next request
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert (proxy.traffic.tunnels, proxy.idle) == (0, 1)


# What an instance requires with a 426, and what of it the client is told; RFC 9110 15.5.22 wants that told.
REQUIRED = {
    "a protocol": (b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "several": (b"Connection: Upgrade\r\nUpgrade: a/1, h2c, b\r\n", b"Connection: Upgrade\r\nUpgrade: a/1, b\r\n"),
    "one that we do not pass on": (b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", b""),
    "nothing": (b"", b""),
}  # fmt: skip


@pytest.mark.parametrize(("offered", "told"), REQUIRED.values(), ids=REQUIRED.keys())
async def test_a_426_says_what_is_required(offered: bytes, told: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        await instance.send(b"HTTP/1.1 426 Upgrade Required\r\n" + offered + b"Content-Length: 2\r\n\r\nno")
        await client.gets(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n" + told + VIA + b"no")
        await client.send(GET)
        await instance.gets(GET_SENT)


async def test_what_came_ahead_of_a_refusal_and_is_no_request_is_refused() -> None:
    async with proxying() as proxy:
        client, instance = await ahead(proxy, b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n")
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert (await client.response())[0] == 400
        assert await client.rest() == b""


async def test_an_interim_response_before_the_101_is_passed_on() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(WEBSOCKET)
        await instance.gets(WEBSOCKET_SENT)
        await instance.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + SWITCHING)
        await client.gets(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + SWITCHED)


# Requests, and what of a 101 in answer to them is none.
UNASKED = {
    "nobody asked": (GET, SWITCHING),
    "another protocol": (WEBSOCKET, SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: irc")),
    "one more protocol": (WEBSOCKET, SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: websocket, irc")),
    "no protocol": (WEBSOCKET, SWITCHING.replace(b"Upgrade: websocket\r\n", b"")),
    "a protocol that Connection does not name": (WEBSOCKET, SWITCHING.replace(b"Connection: Upgrade\r\n", b"")),
    "a protocol that we did not pass on": (upgrade(b"h2c, websocket"), SWITCHING.replace(b": websocket", b": h2c")),
    "to a client of HTTP/1.0": (upgrade(b"websocket").replace(b"HTTP/1.1", b"HTTP/1.0"), SWITCHING),
    "to a request with a body": (upgrade(b"websocket")[:-2] + b"Content-Length: 2\r\n\r\nhi", SWITCHING),
    "to HEAD": (GET.replace(b"GET", b"HEAD"), SWITCHING),
}


@pytest.mark.parametrize(("asked", "answered"), UNASKED.values(), ids=UNASKED.keys())
async def test_a_101_that_was_not_asked_for_is_502(asked: bytes, answered: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(asked)
        await instance.through()
        await instance.send(answered + b"smuggled")
        head = await client.through()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert (proxy.traffic.tunnels, proxy.endpoints[0].malformed) == (0, 1)
        await until(lambda: not proxy.service.connections[proxy.endpoints[0]].open)
        assert proxy.idle == 0


async def test_the_protocol_s_letters_do_not_matter() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(upgrade(b"WebSocket"))
        await instance.gets(upgraded(b"WebSocket"))
        await instance.send(SWITCHING)
        await client.gets(SWITCHED)


async def test_an_instance_that_never_answers_is_504() -> None:
    async with proxying(timeouts=Timeouts(response_head=40.0)) as proxy:
        client, instance = await ahead(proxy, GET)
        proxy.pass_time(40.1)
        assert (await client.response())[0] == 504
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)


async def test_a_request_for_an_upgrade_that_a_kept_connection_lost_is_sent_again_with_nothing_behind_it() -> None:
    async with proxying() as proxy:
        client, idle = await proxy.served()
        await client.send(WEBSOCKET + b"ahead")
        await idle.gets(WEBSOCKET_SENT)
        idle.close()
        instance = await proxy.instance.accept()
        await instance.gets(WEBSOCKET_SENT)
        await instance.send(SWITCHING)
        await client.gets(SWITCHED)
        await instance.gets(b"ahead")
