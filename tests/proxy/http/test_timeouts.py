"""Every wait has an end. The sweep is told the time, so that no test waits for it."""

from __future__ import annotations

import json
import time

import pytest

from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import GET, GET_SENT, OK, OK_SENT, fill, proxying, turns, until

TIMES = Timeouts(request_head=10.0, body_idle=30.0, connect=3.0, response_head=40.0, stream_idle=300.0, keepalive=75.0)
PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n"


async def test_a_client_that_says_nothing_is_let_go_without_a_word() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client = await proxy.client()
        await until(lambda: proxy.listener.clients)
        proxy.pass_time(9.0)
        assert proxy.listener.clients == 1
        proxy.pass_time(10.1)
        assert await client.rest() == b""


@pytest.mark.parametrize("first", [b"", GET], ids=["on a new connection", "on a kept one"])
async def test_a_head_must_arrive_in_time_however_often_a_little_of_it_comes(first: bytes) -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, _ = await proxy.served() if first else (await proxy.client(), None)
        await client.send(b"GET / HTTP/1.1\r\n")
        await until(lambda: any(one._ahead for one in proxy.listener._clients))
        [downstream] = proxy.listener._clients
        before = downstream.deadline
        await client.send(b"X: y\r\n")
        await until(lambda: len(downstream._ahead) > 16)
        assert downstream.deadline == before
        proxy.pass_time(10.1)
        status, head, content = await client.response()
        assert (status, b"\r\nConnection: close\r\n" in head) == (408, True)
        assert json.loads(content) == {"error": "the request's head did not arrive in time"}
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "pieces", [[b"\x16\x03\x01\x00\xc8\x01"], [b"\x16", b"\x03\x01"]], ids=["at once", "in pieces"]
)
async def test_a_client_that_speaks_tls_is_told_at_once_that_nobody_does_here(pieces: list[bytes]) -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client = await proxy.client()
        for piece in pieces:
            await client.send(piece)
            await turns()
        status, _, content = await client.response()
        assert (status, "plain HTTP is spoken on this port" in content.decode()) == (400, True)
        assert await client.rest() == b""


async def test_empty_lines_are_no_head() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, _ = await proxy.served()
        await client.send(b"\r\n")
        [downstream] = proxy.listener._clients
        await until(lambda: downstream._head_begun)
        await client.send(b"\r\n" * 100)
        proxy.pass_time(10.1)
        assert await client.rest() == b""


async def test_a_body_that_stops_is_408() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await proxy.asking(PUT + b"some")
        await instance.through()
        await instance.gets(b"some")
        proxy.pass_time(29.0)
        proxy.pass_time(30.1)
        assert (await client.response())[0] == 408
        assert await client.rest() == b""
        await instance.gone()
        assert proxy.traffic.by_class[4] == 1


async def test_an_instance_that_takes_no_more_of_a_body_is_504() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, _ = await proxy.asking(PUT.replace(b"9", b"99999999"))
        [downstream] = proxy.listener._clients
        await fill(client, b"x" * 50_000_000, lambda: downstream.held)
        await until(lambda: downstream.held)
        proxy.pass_time(299.0)  # longer than a client may keep us waiting: this is not its fault
        assert proxy.traffic.in_flight == 1
        proxy.pass_time(300.1)
        assert (await client.response())[0] == 504


async def test_no_answer_in_time_is_504_and_the_client_s_connection_stays() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await proxy.asking(PUT + b"some text")
        await instance.through()
        await instance.gets(b"some text")
        proxy.pass_time(39.0)
        assert proxy.traffic.in_flight == 1
        proxy.pass_time(40.1)
        assert (await client.response())[0] == 504
        await instance.gone()
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)


@pytest.mark.parametrize("drip", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n"])
async def test_neither_interim_responses_nor_parts_of_a_head_put_the_end_off(drip: bytes) -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        [downstream] = proxy.listener._clients
        before = downstream.deadline
        for _ in range(3):
            await instance.send(drip)
            await turns()
        assert downstream.deadline == before
        proxy.pass_time(40.1)
        if b"103" in drip:
            await client.gets(drip * 3)
        assert (await client.response())[0] == 504


async def test_a_flood_of_interim_responses_to_a_client_that_does_not_read_stays_bounded_and_ends() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client = await proxy.client(receives=32768)
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.through()
        [downstream] = proxy.listener._clients
        before = downstream.deadline
        flood = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 1_000_000
        exchange = downstream._exchange
        assert exchange is not None
        upstream = exchange.upstream
        assert upstream is not None
        await fill(instance, flood, lambda: upstream._paused)
        assert downstream.transport.get_write_buffer_size() < 1_000_000
        assert downstream.deadline == before
        proxy.pass_time(40.1)
        await until(lambda: proxy.traffic.in_flight == 0)


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_response_that_stops_is_cut(framing: bytes) -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(
            b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + (b"1\r\nx\r\n" if b"chunk" in framing else b"x")
        )
        await client.through()
        proxy.pass_time(299.0)
        proxy.pass_time(300.1)
        assert b"0\r\n\r\n" not in await client.broken()
        await instance.gone()


async def test_a_client_that_stops_reading_is_cut() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client = await proxy.client(receives=32768)
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.through()
        [downstream] = proxy.listener._clients
        await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        await fill(instance, b"x" * 50_000_000, lambda: downstream.full)
        proxy.pass_time(300.1)
        await client.broken()
        assert proxy.traffic.broken == 1


async def test_a_refused_client_that_does_not_leave_is_left() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client = await proxy.client()
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.response())[0] == 400
        assert await client.rest() == b""
        assert proxy.listener.clients == 1
        await client.send(b"more nonsense")
        proxy.pass_time(2.1)
        await until(lambda: not proxy.listener.clients)


async def test_a_client_kept_waiting_by_the_instance_has_its_whole_time_again() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await proxy.asking(PUT.replace(b"9", b"99999999"))
        await instance.through()
        [downstream] = proxy.listener._clients
        sent = await fill(client, b"x" * 50_000_000, lambda: downstream.held)
        await instance.exactly(sent)
        await until(lambda: not downstream.held)
        assert 29.0 < downstream.deadline - time.monotonic() <= 30.0
        assert downstream.transport.is_reading()
