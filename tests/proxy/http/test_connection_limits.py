"""How many connections a listener has, how many of them one client, and how many requests each of them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from config.units import Bind
from proxy.listener import ListenerOptions
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, Peer, Proxy, proxying, until

if TYPE_CHECKING:
    from pathlib import Path


async def connected(proxy: Proxy, *, address: str = "127.0.0.1") -> Peer:
    """Connect a client from one of the machine's own addresses, and have it accepted."""
    before = proxy.listener.accepted
    if address == "127.0.0.1":
        client = await proxy.client()
    else:
        client = Peer(await asyncio.to_thread(connect, proxy.listener.ports[0], address))
        proxy.clients.append(client)
    await until(lambda: proxy.listener.accepted > before)
    return client


def connect(port: int, address: str) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", port), source_address=(address, 0))


async def refused(client: Peer, why: str) -> None:
    status, head, content = await client.response()
    assert (status, b"\r\nRetry-After: 1\r\n" in head, b"\r\nConnection: close\r\n" in head) == (503, True, True)
    assert json.loads(content) == {"error": why}
    assert await client.rest() == b""


async def serve(proxy: Proxy, client: Peer, instance: Peer | None = None) -> Peer:
    await client.send(GET)
    instance = instance or await proxy.instance.accept()
    await instance.gets(GET_SENT)
    await instance.send(OK)
    await client.gets(OK_SENT)
    return instance


async def test_one_connection_too_many_is_503_and_the_others_do_not_notice() -> None:
    async with proxying(options=ListenerOptions(connections=2), logged=True) as proxy:
        clients = [await connected(proxy) for _ in range(2)]
        refused_one = await connected(proxy)
        await refused(refused_one, "more than 2 connections")
        instance = await serve(proxy, clients[0])
        await serve(proxy, clients[1], instance)
        assert (proxy.listener.overflowed, proxy.listener.refused) == (1, 1)
        assert [record.status for record in proxy.records] == [503, 200, 200]
        clients[0].close()
        await until(lambda: proxy.listener.clients == 2)  # one is refused and has not left yet
        await serve(proxy, await connected(proxy), instance)


async def test_what_a_refused_client_sent_is_not_read_as_a_request() -> None:
    async with proxying(options=ListenerOptions(connections=1)) as proxy:
        await connected(proxy)
        client = await proxy.client()
        await client.send(GET)
        await refused(client, "more than 1 connections")
        assert proxy.traffic.requests == 0


async def test_refused_ones_that_do_not_leave_take_nobody_s_place() -> None:
    async with proxying(options=ListenerOptions(connections=1)) as proxy:
        first = await connected(proxy)
        for _ in range(3):
            await refused(await connected(proxy), "more than 1 connections")
        first.close()
        await until(lambda: proxy.listener.clients == 3)
        second = await connected(proxy)
        await serve(proxy, second)
        proxy.pass_time(2.1)
        await until(lambda: proxy.listener.clients == 1)


async def test_a_client_has_so_many_connections_and_others_do_not_notice() -> None:
    async with proxying(options=ListenerOptions(connections_per_client=2)) as proxy:
        clients = [await connected(proxy) for _ in range(2)]
        await refused(await connected(proxy), "more than 2 connections of one client")
        other = await connected(proxy, address="127.0.0.2")
        instance = await serve(proxy, clients[0])
        head = GET_SENT.replace(b"127.0.0.1", b"127.0.0.2")
        await other.send(GET)
        await instance.gets(head)
        await instance.send(OK)
        await other.gets(OK_SENT)


async def test_a_client_s_place_is_free_when_it_has_left_whatever_was_refused_meanwhile() -> None:
    async with proxying(options=ListenerOptions(connections_per_client=2)) as proxy:
        clients = [await connected(proxy) for _ in range(2)]
        for _ in range(3):  # which are not closed by the client
            await refused(await connected(proxy), "more than 2 connections of one client")
        clients[0].close()
        await until(lambda: proxy.listener.clients == 4)
        await serve(proxy, await connected(proxy))
        await refused(await connected(proxy), "more than 2 connections of one client")


async def test_nothing_is_remembered_of_those_who_have_left() -> None:
    async with proxying(options=ListenerOptions(connections=3, connections_per_client=1)) as proxy:
        clients = [await connected(proxy, address=f"127.0.0.{number}") for number in (1, 1, 2, 3, 4)]
        assert proxy.listener.overflowed == 2
        assert sum(proxy.listener._by_address.values()) == 3
        for client in clients:
            client.close()
        await until(lambda: not proxy.listener.clients)
        assert not proxy.listener._by_address
        assert not proxy.listener._refusing


async def test_both_limits_hold() -> None:
    async with proxying(options=ListenerOptions(connections=3, connections_per_client=2)) as proxy:
        for number in (1, 1, 2):
            await connected(proxy, address=f"127.0.0.{number}")
        await refused(await connected(proxy), "more than 2 connections of one client")
        await refused(await connected(proxy, address="127.0.0.3"), "more than 3 connections")


async def test_the_clients_of_a_unix_socket_are_not_one_client(tmp_path: Path) -> None:
    bind = Bind(path=str(tmp_path / "s"))
    async with proxying(options=ListenerOptions(connections_per_client=1), bind=bind) as proxy:
        for _ in range(3):
            client = await proxy.client()
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.response())[0] == 400


async def test_a_crowd_that_is_refused_is_not_kept() -> None:
    async with proxying(options=ListenerOptions(connections=1)) as proxy:
        await connected(proxy)
        crowd = [await proxy.client() for _ in range(300)]
        await until(lambda: proxy.listener.accepted == 301)
        await until(lambda: proxy.listener.clients <= 257)
        assert proxy.listener.overflowed == 300
        for client in crowd:
            client.close()
        await until(lambda: proxy.listener.clients == 1)


@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_connection_ends_with_so_many_requests(pipelined: bool) -> None:
    async with proxying(options=ListenerOptions(requests_per_connection=3)) as proxy:
        client = await proxy.client()
        instance: Peer | None = None
        if pipelined:
            await client.send(GET * 5)
        for number in range(3):
            if not pipelined:
                await client.send(GET)
            instance = instance or await proxy.instance.accept()
            await instance.gets(GET_SENT)
            await instance.send(OK)
            await client.gets(OK_SENT.replace(b"Via", b"Connection: close\r\nVia") if number == 2 else OK_SENT)
        assert await client.rest() == b""
        assert (proxy.traffic.requests, proxy.idle) == (3, 1)


async def test_requests_that_are_refused_count_too() -> None:
    async with proxying(options=ListenerOptions(requests_per_connection=2), routes=lambda terms: []) as proxy:
        client = await proxy.client()
        for closes in (False, True):
            await client.send(GET)
            status, head, _ = await client.response()
            assert (status, b"\r\nConnection: close\r\n" in head) == (404, closes)
        assert await client.rest() == b""


async def test_a_limit_of_one_closes_every_connection() -> None:
    async with proxying(options=ListenerOptions(requests_per_connection=1)) as proxy:
        client, instance = await proxy.asking()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        assert await client.rest() == OK_SENT.replace(b"Via", b"Connection: close\r\nVia")
