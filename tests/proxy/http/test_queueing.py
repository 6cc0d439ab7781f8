"""Requests that wait for a place, through the whole proxy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from balancers.health import Thresholds
from discovery.instance import Instance, Snapshot
from proxy.http.exchange import Exchange
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryPolicy
from proxy.http.terms import Timeouts
from tests.proxy.http.scripted import (
    FORWARDED,
    GET,
    GET_SENT,
    OK,
    OK_SENT,
    Peer,
    Proxy,
    ScriptedInstance,
    fill,
    proxying,
    until,
)
from tests.proxy.http.test_tunnels import tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.http.places import Places

ONE = PlaceLimits(in_flight=1, queue=5)
ONE_EACH = PlaceLimits(in_flight_per_endpoint=1, queue=5)
TIMES = Timeouts(queue=5.0, response_head=40.0)


def places(proxy: Proxy) -> Places:
    found = proxy.service.places
    assert found is not None
    return found


def get(name: bytes) -> bytes:
    return GET.replace(b"/", b"/" + name, 1)


def sent(name: bytes) -> bytes:
    return GET_SENT.replace(b"/", b"/" + name, 1)


async def asks(proxy: Proxy, request: bytes) -> Peer:
    """Connect a client that sends this, and have it read."""
    before = proxy.traffic.requests
    client = await proxy.client()
    await client.send(request)
    await until(lambda: proxy.traffic.requests > before)
    return client


async def answer(instance: Peer, client: Peer) -> None:
    await instance.send(OK)
    await client.gets(OK_SENT)


async def test_first_come_first_served() -> None:
    async with proxying(places=ONE) as proxy:
        clients = [await asks(proxy, get(b"%d" % n)) for n in range(4)]
        instance = await proxy.instance.accept()
        assert (places(proxy).taken, places(proxy).waiting, proxy.traffic.in_flight) == (1, 3, 4)
        for n, client in enumerate(clients):
            await instance.gets(sent(b"%d" % n))
            await answer(instance, client)
        assert (places(proxy).taken, places(proxy).waiting, places(proxy).refused) == (0, 0, 0)
        assert proxy.endpoints[0].requests == 4


async def test_the_next_request_of_a_client_comes_behind_those_who_wait() -> None:
    async with proxying(places=ONE) as proxy:
        first = await asks(proxy, get(b"first") + get(b"next"))
        second = await asks(proxy, get(b"second"))
        instance = await proxy.instance.accept()
        await instance.gets(sent(b"first"))
        await answer(instance, first)
        await instance.gets(sent(b"second"))
        await answer(instance, second)
        await instance.gets(sent(b"next"))
        await answer(instance, first)


@pytest.mark.parametrize(
    "limits",
    [PlaceLimits(in_flight=1), PlaceLimits(in_flight_per_endpoint=1), PlaceLimits(in_flight=1, queue_per_endpoint=1)],
)
async def test_where_there_is_no_queue_the_next_one_is_503(limits: PlaceLimits) -> None:
    async with proxying(places=limits, logged=True) as proxy:
        first = await asks(proxy, GET)
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        second = await proxy.client()
        await second.send(GET)
        status, head, content = await second.response()
        assert (status, b"\r\nRetry-After: 1\r\n" in head) == (503, True)
        assert json.loads(content) == {
            "error": "the service has as many requests under way as it may",
            "service": "shop",
        }
        assert places(proxy).refused == 1
        await answer(instance, first)
        await second.send(GET)  # its connection has stayed
        await instance.gets(GET_SENT)
        await answer(instance, second)
        assert [(record.downstream_end, record.upstream_end) for record in proxy.records] == [
            ("complete", "overload"),
            ("complete", "complete"),
            ("complete", "complete"),
        ]


async def test_a_full_queue_is_503_and_those_who_wait_are_none_the_worse() -> None:
    async with proxying(places=PlaceLimits(in_flight=1, queue=2)) as proxy:
        clients = [await asks(proxy, get(b"%d" % n)) for n in range(3)]
        refused = await proxy.client()
        await refused.send(GET)
        assert (await refused.response())[0] == 503
        instance = await proxy.instance.accept()
        for n, client in enumerate(clients):
            await instance.gets(sent(b"%d" % n))
            await answer(instance, client)


async def test_the_queue_is_as_long_as_there_are_endpoints() -> None:
    limits = PlaceLimits(in_flight=1, queue=5, queue_per_endpoint=1)
    async with proxying(instances=2, places=limits) as proxy:
        for n in range(3):
            await asks(proxy, get(b"%d" % n))
        assert places(proxy).waiting == 2
        refused = await proxy.client()
        await refused.send(GET)
        assert (await refused.response())[0] == 503


async def test_one_who_waits_too_long_is_503_and_his_connection_stays() -> None:
    async with proxying(places=ONE, timeouts=TIMES) as proxy:
        first = await asks(proxy, GET)
        second = await asks(proxy, GET)
        proxy.pass_time(4.9)
        assert places(proxy).waiting == 1
        proxy.pass_time(5.1)
        status, head, content = await second.response()
        assert (status, b"\r\nRetry-After: 1\r\n" in head, b"no place became free in time" in content) == (
            503,
            True,
            True,
        )
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await answer(instance, first)
        await second.send(GET)
        await instance.gets(GET_SENT)
        await answer(instance, second)
        assert proxy.endpoints[0].timeouts == 0


async def test_the_wait_ends_with_the_place_and_not_later() -> None:
    async with proxying(places=ONE, timeouts=TIMES) as proxy:
        first = await asks(proxy, GET)
        second = await asks(proxy, GET)
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await answer(instance, first)
        await instance.gets(GET_SENT)
        proxy.pass_time(39.0)  # it has the whole time for its answer now
        await answer(instance, second)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset, Peer.finish])
@pytest.mark.parametrize("body", [b"", b"half"])
async def test_a_client_that_leaves_while_it_waits_is_asked_nobody_for(
    leave: Callable[[Peer], None], body: bytes
) -> None:
    async with proxying(places=ONE) as proxy:
        first = await asks(proxy, GET)
        put = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 8\r\n\r\nhalf"
        second = await asks(proxy, put if body else GET)
        third = await asks(proxy, GET)
        assert places(proxy).waiting == 2
        leave(second)
        while places(proxy).waiting == 2:  # the one with half a body is not read from, and found out by the sweep
            proxy.pass_time(0.0)
            await asyncio.sleep(0.001)
        instance = await proxy.instance.accept()
        for client in (first, third):
            await instance.gets(GET_SENT)
            await answer(instance, client)
        assert (proxy.traffic.abandoned, proxy.endpoints[0].requests) == (1, 2)


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_body_of_one_who_waits_is_read_in_bounds_and_arrives_whole(chunked: bool) -> None:
    async with proxying(places=ONE) as proxy:
        first = await asks(proxy, GET)
        size = 20_000_000
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % size
        second = await asks(proxy, b"PUT / HTTP/1.1\r\nHost: shop\r\n" + framing + b"\r\n")
        body = b"%x\r\n" % size + b"x" * size if chunked else b"x" * size
        [waiting] = [one for one in proxy.listener._clients if one.paused]
        taken = await fill(second, body, lambda: waiting.paused)
        exchange = waiting._exchange
        assert isinstance(exchange, Exchange)
        assert len(exchange._pending) + len(waiting._ahead) < 400_000
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await answer(instance, first)

        async def receive() -> int:
            await instance.through()
            if not chunked:
                return len(await instance.exactly(size))
            received = 0
            while count := int(await instance.through(b"\r\n"), 16):
                received += count
                await instance.exactly(count + 2)
            await instance.gets(b"\r\n")
            return received

        rest = body[taken:] + (b"\r\n0\r\n\r\n" if chunked else b"")
        _, received = await asyncio.gather(second.send(rest), receive())
        assert received == size
        await answer(instance, second)


async def test_an_endpoint_that_joins_takes_those_who_wait() -> None:
    async with proxying(places=ONE_EACH) as proxy:
        await asks(proxy, get(b"first"))
        second = await asks(proxy, get(b"second"))
        assert places(proxy).waiting == 1
        joining = ScriptedInstance()
        proxy.instances = [*proxy.instances, joining]
        members = [Instance(f"i{n}", "127.0.0.1", one.port) for n, one in enumerate(proxy.instances)]
        proxy.service.follow(Snapshot("shop", tuple(members)))
        proxy.endpoints = list(proxy.service.pool.endpoints)
        instance = await joining.accept()
        await instance.gets(sent(b"second"))
        await answer(instance, second)


async def test_an_endpoint_that_is_readmitted_takes_those_who_wait() -> None:
    thresholds = Thresholds(rise=1, fall=1)
    async with proxying(instances=3, places=ONE_EACH, thresholds=thresholds) as proxy:
        out = proxy.endpoints[2]
        proxy.service.pool.probed(out, False, "HTTP 500", 0.0)
        for n in range(2):
            await asks(proxy, get(b"%d" % n))
        third = await asks(proxy, get(b"third"))
        assert places(proxy).waiting == 1
        proxy.service.pool.probed(out, True, "HTTP 200", 0.0)
        proxy.pass_time(0.0)
        instance = await proxy.instances[2].accept()
        await instance.gets(sent(b"third"))
        await answer(instance, third)


async def test_when_the_last_endpoint_leaves_those_who_wait_are_told_however_many_they_are() -> None:
    crowd = 400
    async with proxying(places=PlaceLimits(in_flight=1, queue=crowd)) as proxy:
        first = await asks(proxy, GET)
        clients = []
        for _ in range(crowd // 10):
            clients.append(client := await proxy.client())
            await client.send(GET)
        await until(lambda: places(proxy).waiting == crowd // 10)
        for client in clients:
            await client.send(GET * 9)  # each behind the one before
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        proxy.service.follow(Snapshot("shop", ()))
        proxy.endpoints = []
        await answer(instance, first)
        for client in clients:
            for _ in range(10):
                status, _, content = await client.response()
                assert (status, b"no instance is registered" in content) == (503, True)


async def test_another_try_comes_before_those_who_wait() -> None:
    async with proxying(instances=2, places=ONE, retries=RetryPolicy(attempts=1)) as proxy:
        first = await asks(proxy, get(b"first"))
        second = await asks(proxy, get(b"second"))
        at = [endpoint.requests for endpoint in proxy.endpoints].index(1)
        instance = await proxy.instances[at].accept()
        await instance.gets(sent(b"first"))
        instance.close()
        other = await proxy.instances[1 - at].accept()
        await other.gets(sent(b"first"))
        assert (places(proxy).taken, places(proxy).waiting) == (1, 1)
        await answer(other, first)
        await until(lambda: sum(endpoint.requests for endpoint in proxy.endpoints) == 3)
        if proxy.endpoints[at].in_flight:
            other = await proxy.instances[at].accept()
        await other.gets(sent(b"second"))
        await answer(other, second)


async def test_another_try_waits_for_an_endpoint_that_is_full_as_the_first_of_all() -> None:
    async with proxying(instances=2, places=ONE_EACH, retries=RetryPolicy(attempts=1)) as proxy:
        names = [b"a", b"b"]
        clients = {name: await asks(proxy, get(name)) for name in names}
        peers = [await instance.accept() for instance in proxy.instances]
        heads = [(await peer.through())[5:6] for peer in peers]
        third = await asks(proxy, get(b"third"))
        peers[0].close()  # its request may only go to the other one, which is full
        await until(lambda: proxy.endpoints[0].broken)
        assert [endpoint.in_flight for endpoint in proxy.endpoints][1] == 1
        await answer(peers[1], clients[heads[1]])
        await peers[1].gets(sent(heads[0]))
        again = await proxy.instances[0].accept()
        await again.gets(sent(b"third"))
        await answer(peers[1], clients[heads[0]])
        await answer(again, third)


async def test_one_who_waits_for_a_certain_endpoint_holds_nobody_up() -> None:
    async with proxying(instances=2, places=ONE_EACH, retries=RetryPolicy(attempts=1)) as proxy:
        clients = {name: await asks(proxy, get(name)) for name in (b"a", b"b")}
        peers = [await instance.accept() for instance in proxy.instances]
        heads = [(await peer.through())[5:6] for peer in peers]
        third = await asks(proxy, get(b"third"))
        peers[0].close()  # its request may only go to the other one, which is full
        again = await proxy.instances[0].accept()
        await again.gets(sent(b"third"))
        fourth = await asks(proxy, get(b"fourth"))
        assert places(proxy).waiting == 2
        await answer(again, third)
        await again.gets(sent(b"fourth"))
        await answer(again, fourth)
        fifth = await asks(proxy, get(b"fifth"))  # it need not wait at all
        await again.gets(sent(b"fifth"))
        assert places(proxy).waiting == 1
        await answer(again, fifth)
        await answer(peers[1], clients[heads[1]])
        await peers[1].gets(sent(heads[0]))
        await answer(peers[1], clients[heads[0]])


async def test_a_drain_answers_those_who_wait() -> None:
    async with proxying(places=ONE) as proxy:
        clients = [await asks(proxy, get(b"%d" % n)) for n in range(3)]
        proxy.listener.drain()
        instance = await proxy.instance.accept()
        for n, client in enumerate(clients):
            await instance.gets(sent(b"%d" % n))
            await instance.send(OK)
            assert await client.rest() == OK_SENT.replace(b"Via", b"Connection: close\r\nVia")
        await until(lambda: not proxy.listener.clients)


async def test_a_tunnel_keeps_its_place() -> None:
    async with proxying(places=ONE) as proxy:
        client, instance = await tunnel(proxy)
        second = await asks(proxy, GET)
        assert (places(proxy).taken, places(proxy).waiting) == (1, 1)
        client.finish()
        instance.finish()
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await answer(instance, second)


async def test_whoever_fails_gives_his_place_back() -> None:
    async with proxying(places=ONE, retries=RetryPolicy(attempts=0)) as proxy:
        for ending in (Peer.close, Peer.reset):
            client, instance = await proxy.asking()
            await instance.gets(GET_SENT)
            ending(instance)
            assert (await client.response())[0] == 502
            assert places(proxy).taken == 0
        client, instance = await proxy.asking(GET.replace(b"shop", b"shop" * 3))
        client.close()
        await until(lambda: proxy.traffic.abandoned == 1)
        assert places(proxy).taken == 0
        proxy.instance.close()
        client = await proxy.client()
        await client.send(GET)
        assert (await client.response())[0] == 502
        assert places(proxy).taken == 0


async def test_the_whole_time_of_a_request_runs_while_it_waits() -> None:
    async with proxying(places=ONE, timeouts=replace(TIMES, queue=100.0, request=20.0), logged=True) as proxy:
        await tunnel(proxy)
        second = await asks(proxy, GET)
        proxy.pass_time(19.0)
        assert places(proxy).waiting == 1
        proxy.pass_time(20.1)
        assert (await second.response())[0] == 504
        [record] = proxy.records
        assert (record.downstream_end, record.upstream_end, record.attempts) == ("complete", "overload", 0)


async def test_expecting_clients_are_told_to_go_on_only_once_they_have_a_place() -> None:
    async with proxying(places=ONE) as proxy:
        first = await asks(proxy, GET)
        second = await asks(proxy, b"PUT / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        instance = await proxy.instance.accept()
        await instance.gets(GET_SENT)
        await answer(instance, first)
        await instance.gets(
            b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\nX-Forwarded-Host: shop\r\n"
            b"Expect: 100-continue\r\n" + FORWARDED
        )
        await instance.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await second.gets(b"HTTP/1.1 100 Continue\r\n\r\n")
        await second.send(b"hi")
        await instance.gets(b"hi")
        await answer(instance, second)
