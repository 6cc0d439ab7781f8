"""Somebody leaves in the middle: the other side learns the truth, and every exchange ends once."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from proxy.http.retries import RetryPolicy
from tests.proxy.http.scripted import GET, OK, OK_SENT, Peer, Proxy, proxying, turns, until

if TYPE_CHECKING:
    from collections.abc import Callable

PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nsome"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LEAVING = {"closes": Peer.close, "breaks": Peer.reset}


# What the instance has sent before it leaves, and whether the client was then sent the head already.
PHASES = {
    "nothing": (b"", False),
    "part of the head": (b"HTTP/1.1 200 OK\r\nContent-", False),
    "an interim response": (b"HTTP/1.1 103 Early Hints\r\n\r\n", False),
    "the head": (LENGTH, True),
    "part of the body": (LENGTH + b"some", True),
    "the head of chunks": (CHUNKED, True),
    "a chunk": (CHUNKED + b"4\r\nsome\r\n", True),
    "part of a chunk": (CHUNKED + b"8\r\nsome", True),
    "the last chunk without its end": (CHUNKED + b"4\r\nsome\r\n0\r\n", True),
    "a trailer": (CHUNKED + b"4\r\nsome\r\n0\r\nX: y\r\n", True),
}


@pytest.mark.parametrize("request_", [GET, PUT, b"GET / HTTP/1.0\r\n\r\n"], ids=["GET", "PUT", "HTTP/1.0"])
@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING.keys())
@pytest.mark.parametrize(("sent", "begun"), PHASES.values(), ids=PHASES.keys())
async def test_an_instance_that_leaves_makes_no_response_whole(
    sent: bytes, begun: bool, leave: Callable[[Peer], None], request_: bytes
) -> None:
    async with proxying(retries=RetryPolicy(attempts=0)) as proxy:
        client, instance = await proxy.asking(request_)
        await instance.through()
        await instance.send(sent)
        if begun or (b"103" in sent and b"1.0" not in request_):
            await client.through()
        leave(instance)
        if begun:
            assert b"0\r\n\r\n" not in await client.broken()
            assert proxy.traffic.broken == 1
        else:
            assert (await client.response())[0] == 502
        assert proxy.traffic.in_flight == 0
        assert proxy.endpoints[0].broken == 1
        assert proxy.idle == 0


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_response_that_only_the_connection_ends_breaks_with_it(version: bytes) -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/" + version + b"\r\nHost: shop\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await client.through(b"some")
        instance.reset()
        assert b"0\r\n\r\n" not in await client.broken()


# What the client has sent, and what the instance has sent, when the client leaves.
MOMENTS = {
    "part of a head": (b"GET / HT", None),
    "before the answer": (GET, b""),
    "in its body": (PUT, b""),
    "in the head": (GET, b"HTTP/1.1 2"),
    "in the response": (GET, LENGTH + b"some"),
    "in chunks": (GET, CHUNKED + b"4\r\nsome\r\n"),
    "while both bodies are under way": (PUT, LENGTH + b"some"),
    "with another request waiting": (GET + GET, b""),
}


@pytest.mark.parametrize("leave", [*LEAVING.values(), Peer.finish], ids=[*LEAVING.keys(), "ends its stream"])
@pytest.mark.parametrize(("sent", "answered"), MOMENTS.values(), ids=MOMENTS.keys())
async def test_a_client_that_leaves_is_worked_for_no_further(
    sent: bytes, answered: bytes | None, leave: Callable[[Peer], None]
) -> None:
    async with proxying() as proxy:
        client = await proxy.client()
        await client.send(sent)
        if answered is None:
            await until(lambda: proxy.listener.clients)
            leave(client)
        else:
            instance = await proxy.instance.accept()
            await instance.through()
            await instance.send(answered)
            if b"200" in answered:
                await client.through()
            leave(client)
            await until(lambda: proxy.traffic.abandoned == 1)
            try:
                await instance.rest()
            except ConnectionResetError:
                pass
        await until(lambda: not proxy.listener.clients)
        assert proxy.traffic.in_flight == 0
        assert proxy.idle == 0


async def test_half_of_a_close_delimited_response_is_not_the_whole_even_to_a_client_that_ended_its_stream() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/1.0\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await client.through(b"some")
        client.finish()
        await client.broken()


async def test_cutting_a_response_short_shows() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"GET / HTTP/1.0\r\n\r\n")
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await client.through(b"some")
        proxy.listener.abort()
        await client.broken()
        assert proxy.traffic.in_flight == 0


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_every_exchange_ends_once(seed: int) -> None:
    """Twelve clients and three instances that do at random what they should and should not; the fixture counts."""
    source = random.Random(seed)
    async with proxying(instances=3) as proxy:
        serving = [asyncio.ensure_future(misbehave(proxy, number, source)) for number in range(3)]
        try:
            await asyncio.gather(*(ask_at_random(proxy, source) for _ in range(12)))
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
        for client in proxy.clients:
            client.close()
        await until(lambda: not proxy.listener.clients)
        assert proxy.traffic.in_flight == 0
        assert sum(proxy.traffic.by_class) == sum(proxy.traffic.latency)
        assert [endpoint.in_flight for endpoint in proxy.endpoints] == [0, 0, 0]


REQUESTS = [
    GET,
    GET * 3,
    PUT,
    PUT + b"x" * 96,
    PUT + b"x" * 96 + GET,
    GET.replace(b"GET", b"POST"),
    b"nonsense\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + GET,
    b"GET /",
]
RESPONSES = [
    OK,
    OK,
    OK,
    OK + OK,
    LENGTH + b"x" * 100,
    LENGTH,
    CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"2\r\nok",
    b"x",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"nonsense\r\n\r\n",
    b"",
]


async def ask_at_random(proxy: Proxy, source: random.Random) -> None:
    for _ in range(10):
        client = await proxy.client()
        try:
            for _ in range(source.randrange(1, 4)):
                await client.send(source.choice(REQUESTS))
                await turns()
        except OSError:
            pass
        try:
            source.choice([Peer.close, Peer.reset, Peer.finish])(client)
        except OSError:
            pass  # it was broken off before


async def misbehave(proxy: Proxy, number: int, source: random.Random) -> None:
    async def serve(peer: Peer) -> None:
        try:
            while True:
                await peer.through()
                await peer.send(source.choice(RESPONSES))
                if source.random() < 0.2:
                    source.choice([Peer.close, Peer.reset])(peer)
                    return
        except (OSError, AssertionError, ValueError):
            peer.close()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(serve(await proxy.instances[number].accept()))


async def test_after_any_failure_the_next_client_is_served() -> None:
    async with proxying(retries=RetryPolicy(attempts=0)) as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        instance.reset()
        assert (await client.response())[0] == 502
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.through()
        await instance.send(OK)
        await client.gets(OK_SENT)


async def test_a_client_that_leaves_while_it_is_held_back_is_noticed() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 99999999\r\n\r\n")
        await instance.through()
        [downstream] = proxy.listener._clients
        while not downstream.held:  # and no further: an end behind bytes that we have no room for cannot arrive
            client.send_what_fits(b"x" * 10_000)
            await asyncio.sleep(0)
        proxy.pass_time(0.0)
        assert proxy.traffic.in_flight == 1
        client.close()
        await until(downstream.is_gone)
        proxy.pass_time(0.0)
        assert (proxy.traffic.in_flight, proxy.traffic.abandoned) == (0, 1)
        await until(lambda: not proxy.listener.clients)
