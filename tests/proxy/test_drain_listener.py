"""Draining: nobody new, and everybody under way is answered."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.http.scripted import GET, OK, OK_SENT, proxying, turns, until

LAST = OK_SENT.replace(b"Via", b"Connection: close\r\nVia")


async def test_nobody_new_is_accepted() -> None:
    async with proxying() as proxy:
        port = proxy.listener.ports[0]
        proxy.listener.drain()
        await turns()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_request_in_flight_is_answered_and_its_connection_closed() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        proxy.listener.drain()
        await instance.send(OK)
        assert await client.rest() == LAST
        await until(lambda: not proxy.listener.clients)


async def test_a_response_begun_before_is_finished() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(OK[:-2])
        await client.through()
        proxy.listener.drain()
        await instance.send(b"ok")
        assert await client.rest() == b"ok"


async def test_an_idle_client_has_one_last_chance() -> None:
    async with proxying() as proxy:
        (quiet, _), late = await proxy.served(), await proxy.client()
        proxy.listener.drain()
        await late.send(GET)
        instance = proxy.instance.peers[0]
        await instance.through()
        await instance.send(OK)
        assert await late.rest() == LAST
        assert proxy.listener.clients == 1
        proxy.pass_time(1.1)
        assert await quiet.rest() == b""
        await until(lambda: not proxy.listener.clients)


async def test_of_pipelined_requests_the_first_is_the_last() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET * 3)
        await instance.through()
        proxy.listener.drain()
        await instance.send(OK)
        assert await client.rest() == LAST
        await client.send(GET)  # read and dropped: no reset takes the answer back


async def test_a_refusal_is_the_last_answer_too() -> None:
    async with proxying(routes=lambda service: []) as proxy:
        client = await proxy.client()
        await until(lambda: proxy.listener.clients)
        proxy.listener.drain()
        await client.send(GET)
        assert b"\r\nConnection: close\r\n" in (await client.response())[1]
        assert await client.rest() == b""


async def test_an_abort_ends_all_at_once() -> None:
    async with proxying() as proxy:
        idle, _ = await proxy.served()
        busy = await proxy.client()
        await busy.send(GET)
        await until(lambda: proxy.traffic.in_flight)
        proxy.listener.drain()
        proxy.listener.abort()
        assert proxy.traffic.in_flight == 0
        assert await idle.rest() == b""
        await busy.gone()
