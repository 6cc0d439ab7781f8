"""Bytes both ways once HTTP is over, and every way in which that ends."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from proxy.http.terms import Timeouts
from tests.proxy.http.moving import both_ways
from tests.proxy.http.scripted import GET, Peer, Proxy, fill, proxying, turns, until
from tests.proxy.http.test_upgrades import SWITCHED, SWITCHING, WEBSOCKET, WEBSOCKET_SENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.http.tunnel import Tunnel

TIMES = Timeouts(response_head=40.0, stream_idle=300.0, request=60.0)


async def tunnel(proxy: Proxy, *, receives: int = 0) -> tuple[Peer, Peer]:
    """Open a tunnel; return its two ends."""
    client = await proxy.client(receives=receives)
    await client.send(WEBSOCKET)
    instance = await proxy.instance.accept()
    await instance.gets(WEBSOCKET_SENT)
    await instance.send(SWITCHING)
    await client.gets(SWITCHED)
    return client, instance


def inside(proxy: Proxy) -> Tunnel:
    """The only tunnel."""
    [downstream] = proxy.listener._clients
    exchange = downstream._exchange
    assert exchange is not None
    assert exchange.tunnel is not None
    return exchange.tunnel


async def test_bytes_go_both_ways_as_they_come() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        for data in (b"x", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\x00" * 300_000, bytes(range(256))):
            await asyncio.gather(client.send(data), instance.gets(data))
            await asyncio.gather(instance.send(data), client.gets(data))


async def test_what_the_instance_sends_right_behind_its_101_is_passed_on() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(WEBSOCKET)
        await instance.gets(WEBSOCKET_SENT)
        await instance.send(SWITCHING + b"HTTP/1.1 200 OK\r\n\r\n")
        await client.gets(SWITCHED + b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_sent_both_ways_at_once_arrives(seed: int) -> None:
    source = random.Random(seed)
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        await both_ways(client, instance, source)


async def test_what_passes_is_counted() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(WEBSOCKET)
        await client.send(b"ahead")
        await instance.gets(WEBSOCKET_SENT)
        traffic = proxy.traffic
        assert (traffic.tunnels, traffic.in_flight, proxy.endpoints[0].in_flight) == (0, 1, 1)
        await instance.send(SWITCHING + b"behind")
        await client.gets(SWITCHED + b"behind")
        await instance.gets(b"ahead")
        await client.send(b"a" * 1000)
        await instance.exactly(1000)
        await instance.send(b"b" * 2000)
        await client.exactly(2000)
        assert (traffic.tunnel_bytes_in, traffic.tunnel_bytes_out) == (1005, 2006)
        assert (traffic.tunnels, traffic.in_flight, proxy.endpoints[0].in_flight) == (1, 1, 1)
        client.finish()
        instance.finish()
        await until(lambda: not proxy.listener.clients and not proxy.service.connections[proxy.endpoints[0]].open)
        assert (traffic.tunnels, traffic.in_flight, proxy.endpoints[0].in_flight) == (0, 0, 0)
        assert traffic.by_class == [0, 1, 0, 0, 0, 0]
        assert (traffic.requests, traffic.broken, traffic.abandoned) == (1, 0, 0)
        assert proxy.idle == 0


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_half_a_connection_goes_on(first: str) -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        ends = (client, instance) if first == "client" else (instance, client)
        await ends[0].send(b"last words")
        ends[0].finish()
        assert await ends[1].rest() == b"last words"
        await ends[1].send(b"and an answer, " * 20_000)
        await ends[0].exactly(15 * 20_000)
        assert proxy.traffic.tunnels == 1
        ends[1].finish()
        assert await ends[0].rest() == b""
        await until(lambda: not proxy.traffic.tunnels)


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_an_end_arrives_behind_all_that_came_before_it(first: str) -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy, receives=32768)
        ends = (client, instance) if first == "client" else (instance, client)
        data = random.Random(1).randbytes(3_000_000)

        async def say_all() -> None:
            await ends[0].send(data)
            ends[0].finish()

        saying = asyncio.ensure_future(say_all())
        assert await ends[1].rest() == data
        await saying
        ends[1].close()
        await until(lambda: not proxy.listener.clients)


async def test_both_may_end_at_once_with_something_still_on_its_way() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy, receives=32768)
        sent = instance.send_what_fits(b"x" * 3_000_000)
        instance.finish()
        client.finish()
        assert await client.rest() == b"x" * sent


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_a_connection_that_breaks_breaks_the_other_one(first: str) -> None:
    """An end of the stream would tell the other side that it has got all."""
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        ends = (client, instance) if first == "client" else (instance, client)
        await ends[0].send(b"half of")
        await ends[1].gets(b"half of")
        ends[0].reset()
        await ends[1].broken()
        await until(lambda: not proxy.listener.clients)
        assert proxy.traffic.by_class[1] == 1


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_a_connection_that_breaks_after_its_end_ends_all(first: str) -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        ends = (client, instance) if first == "client" else (instance, client)
        ends[0].finish()
        assert await ends[1].rest() == b""
        ends[0].reset()
        while proxy.traffic.tunnels:
            ends[1].send_what_fits(b"nobody reads this")
            await asyncio.sleep(0.001)
        await ends[1].gone()


async def test_a_tunnel_in_which_nothing_moves_is_ended() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await tunnel(proxy)
        proxy.pass_time(299.0)  # and neither response_head nor request matter any more
        await client.send(b"x")
        await instance.gets(b"x")
        [downstream] = proxy.listener._clients
        before = downstream.deadline
        await instance.send(b"y")
        await client.gets(b"y")
        assert downstream.deadline > before
        proxy.pass_time(300.1)
        assert await client.rest() == b""
        assert await instance.rest() == b""
        await until(lambda: not proxy.listener.clients)


async def test_a_half_tunnel_in_which_nothing_moves_is_ended_too() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await tunnel(proxy)
        client.finish()
        assert await instance.rest() == b""
        proxy.pass_time(300.1)
        assert await client.rest() == b""
        await until(lambda: not proxy.listener.clients)


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_neither_side_is_read_faster_than_the_other_takes_it(first: str) -> None:
    async with proxying(timeouts=TIMES) as proxy:
        client, instance = await tunnel(proxy, receives=32768)
        ours = inside(proxy)
        sender, receiver, into = (
            (client, instance, ours._to_instance) if first == "client" else (instance, client, ours._to_client)
        )
        data = random.Random(1).randbytes(50_000_000)
        sent = await fill(sender, data, lambda: not into.other.transport.is_reading())
        assert sent < len(data)
        assert into.transport.get_write_buffer_size() <= 32 * 1024 + 64 * 1024
        # The other way goes on meanwhile.
        await receiver.send(b"still here")
        await sender.gets(b"still here")
        assert await receiver.exactly(sent) == data[:sent]
        await until(into.other.transport.is_reading)
        await sender.send(b"go on")
        await receiver.gets(b"go on")


async def test_a_client_that_takes_nothing_for_too_long_is_cut() -> None:
    async with proxying(timeouts=TIMES) as proxy:
        _, instance = await tunnel(proxy, receives=32768)
        into = inside(proxy)._to_client
        await fill(instance, b"x" * 50_000_000, lambda: not into.other.transport.is_reading())
        proxy.pass_time(300.1)
        assert proxy.traffic.in_flight == 0


async def test_a_client_that_does_not_take_what_came_before_the_101_holds_the_tunnel_back() -> None:
    async with proxying() as proxy:
        client = await proxy.client(receives=32768)
        await client.send(WEBSOCKET)
        instance = await proxy.instance.accept()
        await instance.gets(WEBSOCKET_SENT)
        [downstream] = proxy.listener._clients
        exchange = downstream._exchange
        assert exchange is not None
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 4000 + b"\r\n\r\n"
        hints = 0
        while not downstream.full:
            await instance.send(hint)
            hints += 1
            await turns()
        upstream = exchange.upstream
        assert upstream is not None
        upstream.hold(False)  # the 101 was on its way already
        await instance.send(SWITCHING)
        await until(lambda: exchange.tunnel)
        into = inside(proxy)._to_client
        sent = await fill(instance, b"x" * 50_000_000, lambda: not into.other.transport.is_reading())
        assert into.transport.get_write_buffer_size() < 500_000
        await client.exactly(len(hint) * hints)
        await client.gets(SWITCHED)
        await client.gets(b"x" * sent)
        await until(into.other.transport.is_reading)


def both_finish(proxy: Proxy, client: Peer, instance: Peer) -> None:
    client.finish()
    instance.finish()


def both_break(proxy: Proxy, client: Peer, instance: Peer) -> None:
    client.reset()
    instance.reset()


def client_breaks(proxy: Proxy, client: Peer, instance: Peer) -> None:
    client.reset()


def instance_breaks(proxy: Proxy, client: Peer, instance: Peer) -> None:
    instance.reset()


def nothing_moves(proxy: Proxy, client: Peer, instance: Peer) -> None:
    proxy.pass_time(300.1)


def we_end(proxy: Proxy, client: Peer, instance: Peer) -> None:
    proxy.listener.abort()


# What ends a tunnel, and how it then ended at the client and at the instance.
ENDS = [
    (both_finish, ("complete", "complete")),
    (client_breaks, ("left", "aborted")),
    (instance_breaks, ("broken", "reset")),
    (nothing_moves, ("timeout", "timeout")),
    (we_end, ("cut", "aborted")),
    (both_break, None),  # whichever is seen first
]


@pytest.mark.parametrize(("end", "ends"), ENDS)
async def test_whatever_ends_it_nothing_is_left_and_the_access_log_says_it(
    end: Callable[[Proxy, Peer, Peer], None], ends: tuple[str, str] | None
) -> None:
    async with proxying(timeouts=TIMES, logged=True) as proxy:
        client, instance = await tunnel(proxy)
        await client.send(b"abc")
        await instance.gets(b"abc")
        await instance.send(b"defgh")
        await client.gets(b"defgh")
        assert proxy.records == []
        end(proxy, client, instance)
        await until(lambda: not proxy.listener.clients and not proxy.service.connections[proxy.endpoints[0]].open)
        assert (proxy.traffic.tunnels, proxy.traffic.in_flight, proxy.idle) == (0, 0, 0)
        assert proxy.traffic.requests == 1
        [record] = proxy.records
        assert ends is None or (record.downstream_end, record.upstream_end) == ends
        assert (record.status, record.received, record.sent, record.attempts) == (101, 3, 5, 1)
        assert record.first_byte is not None
        assert record.first_byte <= record.duration


async def test_the_instance_of_a_tunnel_that_went_well_is_no_suspect() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET)
        await instance.through()
        await instance.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        await client.response()
        assert proxy.endpoints[0].suspect
        await client.send(WEBSOCKET)
        await instance.gets(WEBSOCKET_SENT)
        await instance.send(SWITCHING)
        await client.gets(SWITCHED)
        assert not proxy.endpoints[0].suspect
