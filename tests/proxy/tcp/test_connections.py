"""Raw connections: bytes both ways, both halves, and every way in which they end."""

from __future__ import annotations

import asyncio
import random

import pytest

from balancers.health import Thresholds
from proxy.http.places import PlaceLimits
from proxy.http.terms import Timeouts
from proxy.listener import ListenerOptions
from tests.proxy.http.moving import both_ways
from tests.proxy.http.scripted import GET, fill, turns, until
from tests.proxy.tcp.scripted import DRAIN, tcp_proxying


async def test_the_client_may_have_the_first_word() -> None:
    async with tcp_proxying() as proxy:
        client = await proxy.client()
        await client.send(GET)
        instance = await proxy.instance.accept()
        await instance.gets(GET)
        await instance.send(b"\x00whatever")
        await client.gets(b"\x00whatever")


async def test_the_instance_may_have_the_first_word() -> None:
    async with tcp_proxying() as proxy:
        for _ in range(20):  # it comes before, with, or after the end of connecting
            client, instance = await proxy.joined()
            await instance.send(b"220 ready\r\n")
            await client.gets(b"220 ready\r\n")


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_sent_both_ways_at_once_arrives(seed: int) -> None:
    source = random.Random(seed)
    async with tcp_proxying() as proxy:
        client, instance = await proxy.joined()
        await both_ways(client, instance, source)


async def test_what_passes_is_counted() -> None:
    async with tcp_proxying(logged=True) as proxy:
        client, instance = await proxy.joined()
        await client.send(b"a" * 1000)
        await instance.exactly(1000)
        await instance.send(b"b" * 2000)
        await client.exactly(2000)
        counts, endpoint = proxy.counts, proxy.endpoints[0]
        of_endpoint = proxy.service.connections[endpoint].raw
        assert of_endpoint is not None
        for one in (counts, of_endpoint):
            assert (one.begun, one.open, one.bytes_in, one.bytes_out) == (1, 1, 1000, 2000)
        assert (proxy.traffic.in_flight, endpoint.in_flight, endpoint.requests) == (1, 1, 1)
        client.finish()
        instance.finish()
        await proxy.over()
        assert (counts.open, of_endpoint.open, counts.ended, sum(counts.durations)) == (0, 0, 1, 1)
        assert not any(counts.failures.values())
        assert proxy.traffic.requests == 1
        [record] = proxy.records
        assert record.request is not None
        assert (record.request.method, record.received, record.sent) == (b"TCP", 1000, 2000)
        assert (record.endpoint, record.attempts, record.service) == ("i0", 1, "shop")
        assert (record.downstream_end, record.upstream_end) == ("complete", "complete")
        assert not record.failed()
        assert record.first_byte is not None
        assert 0 <= record.first_byte <= record.duration


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_half_a_connection_goes_on(first: str) -> None:
    async with tcp_proxying() as proxy:
        client, instance = await proxy.joined()
        ends = (client, instance) if first == "client" else (instance, client)
        await ends[0].send(b"last words")
        ends[0].finish()
        assert await ends[1].rest() == b"last words"
        await ends[1].send(b"and an answer, " * 20_000)
        await ends[0].exactly(15 * 20_000)
        assert proxy.counts.open == 1
        ends[1].finish()
        assert await ends[0].rest() == b""
        await proxy.over()
        assert not any(proxy.counts.failures.values())


async def test_a_client_that_has_said_all_before_it_has_an_instance_is_answered() -> None:
    async with tcp_proxying() as proxy:
        client = await proxy.client()
        await client.send(b"question")
        client.finish()
        instance = await proxy.instance.accept()
        assert await instance.rest() == b"question"
        await instance.send(b"answer")
        instance.finish()
        assert await client.rest() == b"answer"


async def test_a_slow_reader_gets_all_that_was_said_before_the_end() -> None:
    data = random.Random(1).randbytes(8 << 20)
    async with tcp_proxying() as proxy:
        client = await proxy.client(receives=4096)
        client.finish()
        instance = await proxy.instance.accept()
        assert await instance.rest() == b""
        sending = asyncio.ensure_future(instance.send(data))
        assert await client.exactly(1 << 20) == data[: 1 << 20]
        rest = asyncio.ensure_future(client.exactly(7 << 20))
        await sending
        instance.finish()
        assert await rest == data[1 << 20 :]
        assert await client.rest() == b""
        await proxy.over()
        assert not any(proxy.counts.failures.values())


def _client_full(proxy: object) -> bool:
    pipe = proxy.inside().conversation.pipe  # type: ignore[attr-defined]
    return bool(pipe._to_client.full)


@pytest.mark.parametrize("breaks", ["client", "instance"])
async def test_a_reset_is_passed_on_as_one(breaks: str) -> None:
    async with tcp_proxying(logged=True) as proxy:
        client, instance = await proxy.joined()
        await client.send(b"x")
        await instance.gets(b"x")
        await instance.send(b"y")
        await client.gets(b"y")
        ends = (client, instance) if breaks == "client" else (instance, client)
        ends[0].reset()
        assert await ends[1].broken() == b""
        await proxy.over()
        reason = "left" if breaks == "client" else "reset"
        assert {key for key, count in proxy.counts.failures.items() if count} == {reason}
        assert proxy.records[0].failed()
        assert proxy.endpoints[0].broken == 0  # it had answered before


async def test_a_client_that_breaks_while_it_is_not_read_from_is_noticed() -> None:
    async with tcp_proxying() as proxy:
        client, _ = await proxy.joined()
        await fill(client, bytes(64 << 20), lambda: bool(proxy.tcp._clients) and proxy.inside().paused)
        client.reset()
        await until(lambda: proxy.inside().is_gone())
        proxy.pass_time(0)
        await proxy.over()


async def test_neither_side_is_read_from_while_the_other_one_does_not_take_it() -> None:
    async with tcp_proxying() as proxy:
        client, instance = await proxy.joined()
        await fill(client, bytes(64 << 20), lambda: proxy.inside().paused)
        conversation = proxy.inside().conversation
        assert conversation is not None
        pipe = conversation.pipe
        assert pipe is not None
        assert pipe._to_instance.transport.get_write_buffer_size() <= 128 * 1024
        await fill(instance, bytes(64 << 20), lambda: _client_full(proxy))
        assert pipe._to_client.transport.get_write_buffer_size() <= 128 * 1024


async def test_nothing_moves_for_too_long() -> None:
    async with tcp_proxying(timeouts=Timeouts(stream_idle=300.0)) as proxy:
        client, instance = await proxy.joined()
        await client.send(b"x")
        await instance.gets(b"x")
        proxy.pass_time(299)
        assert proxy.counts.open == 1
        proxy.pass_time(301)
        assert await client.rest() == await instance.rest() == b""
        assert proxy.counts.failures["timeout"] == 1


async def test_an_endpoint_that_cannot_be_connected_to_is_passed_over() -> None:
    async with tcp_proxying(2) as proxy:
        proxy.instances[0].close()
        for _ in range(2):  # round robin: one of them is meant for the one that is gone
            client = await proxy.client()
            instance = await proxy.instances[1].accept()
            await client.send(b"x")
            await instance.gets(b"x")
        assert proxy.endpoints[0].connect_failures == proxy.traffic.retries > 0
        assert not any(proxy.counts.failures.values())


async def test_a_client_whom_no_endpoint_takes_is_closed() -> None:
    async with tcp_proxying(2, logged=True) as proxy:
        for instance in proxy.instances:
            instance.close()
        client = await proxy.client()
        await client.gone()
        await proxy.over()
        assert proxy.counts.failures["unconnected"] == 1
        [record] = proxy.records
        assert (record.downstream_end, record.upstream_end, record.attempts) == ("refused", "unconnected", 2)
        assert record.error.startswith("no other instance is left to try: connection failed: ")


async def test_resets_before_any_byte_eject_an_endpoint() -> None:
    thresholds = Thresholds(consecutive_local_failures=3, consecutive_5xx=0)
    async with tcp_proxying(2, thresholds=thresholds) as proxy:
        for _ in range(6):
            client = await proxy.client()
            await client.send(b"x")
            await until(lambda: proxy.counts.open)
            if proxy.endpoints[0].in_flight:
                instance = await proxy.instances[0].accept()
                await instance.gets(b"x")
                instance.reset()
                await client.gone()
            else:
                instance = await proxy.instances[1].accept()
                await instance.send(b"x")
                await client.gets(b"x")
                client.finish()
                instance.finish()
            await proxy.over()
        assert (proxy.endpoints[0].broken, proxy.endpoints[1].broken) == (3, 0)
        assert not proxy.endpoints[0].pickable


async def test_an_answer_is_one_that_went_well() -> None:
    async with tcp_proxying(thresholds=Thresholds(consecutive_local_failures=3)) as proxy:
        client, instance = await proxy.joined()
        await client.send(b"x")
        await instance.gets(b"x")
        instance.reset()
        await client.gone()
        await until(lambda: proxy.endpoints[0].suspect)
        client, instance = await proxy.joined()
        await instance.send(b"x")
        await client.gets(b"x")
        assert not proxy.endpoints[0].suspect


async def test_a_drained_endpoint_keeps_its_connections_for_drain_timeout() -> None:
    async with tcp_proxying(2, logged=True) as proxy:
        client = await proxy.client()
        await until(lambda: proxy.counts.open)
        drained = next(endpoint for endpoint in proxy.endpoints if endpoint.in_flight)
        instance = await proxy.instances[proxy.endpoints.index(drained)].accept()
        proxy.service.drain(drained, "drained by a test")
        proxy.pass_time(0)
        for _ in range(3):  # nobody new
            await proxy.client()
        await until(lambda: proxy.counts.open == 4)
        assert drained.in_flight == 1
        await client.send(b"x")
        await instance.gets(b"x")
        proxy.pass_time(DRAIN - 1)
        assert drained.in_flight == 1
        proxy.pass_time(DRAIN + 1)
        assert await client.rest() == await instance.rest() == b""
        await until(lambda: not drained.in_flight)
        assert [(one.downstream_end, one.upstream_end) for one in proxy.records] == [("cut", "aborted")]


async def test_an_endpoint_that_is_undrained_in_time_keeps_them_for_good() -> None:
    async with tcp_proxying() as proxy:
        await proxy.joined()
        proxy.service.drain(proxy.endpoints[0], "drained by a test")
        proxy.pass_time(0)
        proxy.service.undrain("i0", "by a test")
        proxy.pass_time(DRAIN - 1)
        proxy.pass_time(DRAIN + 1)
        assert proxy.counts.open == 1


async def test_places_are_shared_and_waited_for() -> None:
    async with tcp_proxying(places=PlaceLimits(in_flight=1, queue=1)) as proxy:
        first, instance = await proxy.joined()
        second = await proxy.client()
        await until(lambda: proxy.service.places is not None and proxy.service.places.waiting == 1)
        third = await proxy.client()
        await third.gone()
        assert proxy.counts.failures["overload"] == 1
        await second.send(b"mine")
        first.finish()
        instance.finish()
        await (await proxy.instance.accept()).gets(b"mine")


async def test_a_wait_for_a_place_has_an_end() -> None:
    async with tcp_proxying(places=PlaceLimits(in_flight=1, queue=1), timeouts=Timeouts(queue=5.0)) as proxy:
        await proxy.joined()
        second = await proxy.client()
        await until(lambda: proxy.service.places is not None and proxy.service.places.waiting == 1)
        proxy.pass_time(6)
        await second.gone()
        assert proxy.counts.failures["overload"] == 1


async def test_clients_too_many_are_closed() -> None:
    async with tcp_proxying(options=ListenerOptions(connections_per_client=1), logged=True) as proxy:
        client, instance = await proxy.joined()
        await (await proxy.client()).gone()
        assert (proxy.tcp.overflowed, proxy.counts.begun) == (1, 1)
        assert proxy.records[0].error == "more than 1 connections of one client"
        await client.send(b"x")
        await instance.gets(b"x")


async def test_a_drained_listener_lets_connections_go_on_until_it_is_aborted() -> None:
    async with tcp_proxying() as proxy:
        client, instance = await proxy.joined()
        port = proxy.tcp.ports[0]
        proxy.tcp.drain()
        proxy.tcp.say_goodbye()
        await turns()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await client.send(b"x")
        await instance.gets(b"x")
        proxy.tcp.abort()
        assert await client.rest() == await instance.rest() == b""


async def test_one_that_is_aborted_while_it_connects_leaves_nothing_behind() -> None:
    async with tcp_proxying() as proxy:
        client = await proxy.client()
        await until(lambda: proxy.counts.open)
        proxy.tcp.abort()
        await client.gone()
        await proxy.over()
