"""Connections that serve one exchange after another, on both sides."""

from __future__ import annotations

import asyncio

import pytest

from proxy.http.terms import Timeouts
from proxy.routes import Route
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, proxying, until


async def test_one_connection_to_the_instance_serves_many_clients() -> None:
    async with proxying() as proxy:
        _, instance = await proxy.served()
        for _ in range(3):
            client = await proxy.client()
            await client.send(GET)
            await instance.gets(GET_SENT)
            await instance.send(OK)
            await client.gets(OK_SENT)
        assert [connections.open for connections in proxy.service.connections.values()] == [1]


async def test_two_requests_at_a_time_need_two_connections_and_the_last_used_is_lent_first() -> None:
    async with proxying() as proxy:
        (first, one), (second, two) = await proxy.asking(), await proxy.asking()
        for client, instance in ((first, one), (second, two)):
            await instance.gets(GET_SENT)
            await instance.send(OK)
            await client.gets(OK_SENT)
        assert proxy.idle == 2
        await first.send(GET)
        await two.gets(GET_SENT)
        await two.send(OK)
        await first.gets(OK_SENT)


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
async def test_a_client_says_whether_its_connection_stays(version: bytes, connection: bytes, stays: bool) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/" + version + b"\r\nHost: shop\r\n" + connection + b"\r\n")
        await instance.through()
        await instance.send(OK)
        _, head, content = await client.response()
        assert content == b"ok"
        assert (b"\r\nConnection: close\r\n" in head) is not stays
        assert (b"\r\nConnection: keep-alive\r\n" in head) is (stays and version == b"1.0")
        if not stays:
            assert await client.rest() == b""
        else:
            await client.send(GET)
            await instance.gets(GET_SENT)
        assert proxy.service.connections[proxy.endpoints[0]].open == 1


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_what_an_instance_says_unasked_is_told_to_nobody_however_soon_the_next_request_comes(
    method: bytes,
) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.served()
        # Both are there when the loop looks again; either may be read first.
        instance.send_what_fits(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        client.send_what_fits(GET.replace(b"GET", method))
        other = await proxy.instance.accept() if method == b"POST" else None
        if other is not None:
            await other.through()
            await other.send(OK)
            await client.gets(OK_SENT)


async def test_idle_connections_are_closed_quietly_on_both_sides() -> None:
    async with proxying(timeouts=Timeouts(keepalive=5.0)) as proxy:
        client, instance = await proxy.served()
        proxy.pass_time(4.0)
        assert (proxy.idle, proxy.listener.clients) == (1, 1)
        proxy.pass_time(6.0)
        assert await client.rest() == b""
        assert proxy.idle == 1
        proxy.pass_time(61.0)
        assert await instance.rest() == b""
        assert proxy.idle == 0


async def test_no_state_is_left_over_from_one_exchange_to_the_next() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        instance = None
        for connection in (b"Connection: keep-alive, X\r\nX: 1\r\n", b"Expect: 100-continue\r\n", b""):
            for framing, body in (
                (b"Content-Length: 4\r\n", b"body"),
                (b"Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n"),
                (b"", b""),
            ):
                await client.send(b"POST / HTTP/1.1\r\nHost: shop\r\n" + connection + framing + b"\r\n")
                await client.send(body)
                instance = instance or await proxy.instance.accept()
                head = await instance.through()
                assert b"\r\nX: 1\r\n" not in head
                await instance.gets(body)
                await instance.send(OK)
                await client.gets(OK_SENT)
                [downstream] = proxy.listener._clients
                left = (downstream.held, downstream.paused, downstream._bounded, downstream._ahead, downstream._body)
                assert left == (False, False, False, b"", None)
        await client.send(GET)
        assert instance is not None
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_connection_on_which_the_request_still_waits_is_not_used_again() -> None:
    # The loop says once that a connection is full: of the next request's body it would say nothing.
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        [downstream] = proxy.listener._clients
        assert downstream._exchange is not None
        upstream = downstream._exchange.upstream
        assert upstream is not None
        upstream.pause_writing()
        await instance.send(OK)
        await client.gets(OK_SENT)
        await instance.gone()
        assert not downstream.held
        await client.send(GET)
        other = await proxy.instance.accept()
        await other.gets(GET_SENT)
        await other.send(OK)
        await client.gets(OK_SENT)


async def test_a_connection_whose_last_piece_was_too_much_for_the_client_is_read_again() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        [downstream] = proxy.listener._clients
        assert downstream._exchange is not None
        upstream = downstream._exchange.upstream
        assert upstream is not None
        downstream.pause_writing()
        assert not upstream.transport.is_reading()
        upstream.data_received(OK)
        assert upstream.transport.is_reading()
        assert proxy.idle == 1
        # Nor is the client's next request begun before it has read this answer.
        await client.send(GET)
        await until(lambda: downstream._ahead)
        assert proxy.endpoints[0].requests == 1
        downstream.resume_writing()
        await client.gets(OK_SENT)
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_client_held_back_is_read_again_once_its_waiting_requests_are_answered() -> None:
    async with proxying(routes=lambda service: [Route(service, path=b"/only")]) as proxy:
        client, instance = await proxy.asking(GET.replace(b"/", b"/only", 1))
        await instance.through()
        [downstream] = proxy.listener._clients
        sending = asyncio.ensure_future(client.send(GET * 5000))
        await until(lambda: downstream.paused)
        await instance.send(OK)
        await client.gets(OK_SENT)
        for _ in range(5000):
            assert (await client.response())[0] == 404
        await sending
        assert not downstream.paused
