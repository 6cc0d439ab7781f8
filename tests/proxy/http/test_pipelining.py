"""Requests that do not wait for the response to the one before: answered in their order, each on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from bench.micro.exchanges import Exchanges, Transport
from proxy.http.downstream import Downstream
from proxy.routes import Route
from tests.proxy.http.scripted import FORWARDED, GET, OK, OK_SENT, Peer, proxying, turns, until

if TYPE_CHECKING:
    import asyncio

HOST = b"Host: shop\r\n"


def numbered(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\n" % number + HOST + b"\r\n"


async def answer(instance: Peer, number: int) -> None:
    """Be asked for this number, and answer with it."""
    assert (await instance.through()).startswith(b"GET /%d " % number)
    await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)


@pytest.mark.parametrize("slowly", [False, True])
async def test_requests_are_answered_in_their_order_one_at_a_time(slowly: bool) -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        requests = b"".join(map(numbered, range(5)))
        await (client.send_slowly(requests) if slowly else client.send(requests))
        instance = await proxy.instance.accept()
        for number in range(5):
            assert proxy.traffic.in_flight == 1
            await answer(instance, number)
            assert (await client.response())[2] == b"%d" % number
        assert proxy.endpoints[0].requests == 5


async def test_bodies_do_not_run_into_the_next_request() -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send(
            b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
            b"POST /b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
            b"PUT /c HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n" + GET
        )  # fmt: skip
        instance = await proxy.instance.accept()
        forwarded = b"X-Forwarded-Host: shop\r\n"
        for request in (
            b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n" + forwarded + FORWARDED + b"abc",
            b"POST /b HTTP/1.1\r\n" + HOST + forwarded + b"Transfer-Encoding: chunked\r\n" + FORWARDED
            + b"2\r\nde\r\n0\r\nX: y\r\n\r\n",
            b"PUT /c HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n" + forwarded + FORWARDED,
            b"GET / HTTP/1.1\r\n" + HOST + forwarded + FORWARDED,
        ):  # fmt: skip
            await instance.gets(request)
            await instance.send(OK)
            await client.gets(OK_SENT)


async def test_the_next_request_may_come_in_the_piece_that_ends_a_body() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\na")
        await instance.through()
        await instance.gets(b"a")
        await client.send(b"bc" + numbered(1) + numbered(2)[:10])
        await instance.gets(b"bc")
        await instance.send(OK)
        await client.gets(OK_SENT)
        await answer(instance, 1)
        assert (await client.response())[2] == b"1"
        await client.send(numbered(2)[10:])
        await answer(instance, 2)
        assert (await client.response())[2] == b"2"


async def test_answers_of_our_own_keep_their_place() -> None:
    async with proxying(routes=lambda service: [Route(service, path=b"/1")]) as proxy:
        client = await proxy.client()
        await client.send(numbered(0) + numbered(1) + numbered(0) + numbered(0) + numbered(1) + b"nonsense\r\n\r\n")
        instance = await proxy.instance.accept()
        for status in (404, 200, 404, 404, 200, 400):
            if status == 200:
                await answer(instance, 1)
            assert (await client.response())[0] == status
        assert await client.rest() == b""


async def test_what_follows_the_last_request_of_a_connection_is_dropped() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET.replace(b"shop\r\n", b"shop\r\nConnection: close\r\n") + GET)
        await instance.through()
        await instance.send(OK)
        assert await client.rest() == OK_SENT.replace(b"Via", b"Connection: close\r\nVia")
        assert proxy.endpoints[0].requests == 1


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    # The answers are ours, and so cost no instance anything: what waits to be written must stay bounded all the same.
    async with proxying(routes=lambda service: [Route(service, b"bank")]) as proxy:
        client = await proxy.client(receives=4096)
        requests = GET * 1000
        sent = taken = 0
        refused = -1
        while taken or refused != proxy.listener.refused:
            refused = proxy.listener.refused
            taken = client.send_what_fits(requests[sent % len(GET) :])
            sent += taken
            await turns()
        assert 0 < refused < sent // len(GET)
        [downstream] = proxy.listener._clients
        assert downstream.full
        assert downstream.transport.get_write_buffer_size() < 256 * 1024
        assert len(downstream._ahead) < 512 * 1024
        # When it reads at last, all goes on.
        for _ in range(refused + 1):
            assert (await client.response())[0] == 404
        assert proxy.listener.refused > refused


async def test_a_client_that_does_not_read_its_response_starts_no_other() -> None:
    async with proxying() as proxy:
        client = await proxy.client(receives=4096)
        instance = None
        for number in range(100):
            await client.send(numbered(number))
            await turns()
            if proxy.endpoints[0].requests == number:
                break
            instance = instance or await proxy.instance.accept()
            await answer_at_length(instance, number)
            await until(lambda: proxy.traffic.in_flight == 0)
        assert 0 < proxy.endpoints[0].requests < 100
        [downstream] = proxy.listener._clients
        assert downstream.transport.get_write_buffer_size() < 1024 * 1024
        # When it reads at last, all goes on.
        served = proxy.endpoints[0].requests
        for _ in range(served):
            assert (await client.response())[2] == LONG
        assert instance is not None
        await answer(instance, served)
        assert (await client.response())[2] == b"%d" % served


LONG = b"x" * 60_000


async def answer_at_length(instance: Peer, number: int) -> None:
    """Be asked for this number, and answer with a lot."""
    assert (await instance.through()).startswith(b"GET /%d " % number)
    await instance.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LONG) + LONG)


class Broken(Transport):
    """A client's connection on which the first write fails: it is closing from then on."""

    __slots__ = ("closing",)

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def write(self, data: bytes) -> None:
        super().write(data)
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def test_nobody_is_asked_for_a_client_who_cannot_be_answered() -> None:
    stage, transport = Exchanges(), Broken()
    client = Downstream(stage._downstream.listener)
    client.connection_made(cast("asyncio.Transport", transport))
    client.data_received(numbered(0) + numbered(1))
    [asked] = [upstream for upstream in stage._upstreams if upstream.exchange is not None]
    asked.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0")
    assert transport.written.endswith(b"0")
    assert [upstream.exchange for upstream in stage._upstreams] == [None, None, None]
