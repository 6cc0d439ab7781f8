"""A client of a WebSocket is asked to leave before we end: at the end of a frame, with nothing behind it."""

from __future__ import annotations

import pytest

from proxy.http.terms import Timeouts
from proxy.http.websocket import GOING_AWAY
from tests.proxy.http.scripted import FORWARDED, GET, Peer, fill, proxying, turns, until
from tests.proxy.http.test_tunnels import inside, tunnel
from tests.proxy.http.test_upgrades import upgrade

FRAME = b"\x81\x7e\x00\x80" + b"t" * 128  # a text whose length takes two more bytes
REPLY = b"\x88\x82\x00\x00\x00\x00\x03\xe9"  # a client's Close, masked


async def part(instance: Peer, client: Peer, data: bytes) -> None:
    """Have a part of a frame go through."""
    if data:
        await instance.send(data)
        await client.gets(data)


async def test_between_two_frames_it_is_sent_at_once() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        await part(instance, client, FRAME)
        proxy.listener.say_goodbye()
        await client.gets(GOING_AWAY)
        await instance.send(FRAME)
        await client.send(REPLY)
        await instance.gets(REPLY)
        await instance.send(b"\x88\x02\x03\xe9")  # the instance's own, which the client has had from us
        instance.close()
        assert await client.rest() == b""
        client.close()
        await until(lambda: not proxy.listener.clients)


@pytest.mark.parametrize("cut", range(1, len(FRAME)))
async def test_within_a_frame_it_is_sent_behind_it(cut: int) -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        await part(instance, client, FRAME + FRAME[:cut])
        proxy.listener.say_goodbye()
        proxy.listener.say_goodbye()  # it is asked for again and again
        middle = (cut + len(FRAME)) // 2
        await part(instance, client, FRAME[cut:middle])
        await instance.send(FRAME[middle:] + FRAME)
        await client.gets(FRAME[middle:] + GOING_AWAY)
        await instance.send(FRAME)
        instance.finish()
        assert await client.rest() == b""
        client.finish()
        assert await instance.rest() == b""


async def test_a_frame_may_begin_in_what_came_with_the_101() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(upgrade(b"WebSocket"))
        await instance.through()
        await instance.send(
            b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: WEBSOCKET\r\n\r\n" + FRAME + FRAME[:3]
        )
        await client.through()
        await client.gets(FRAME + FRAME[:3])
        proxy.listener.say_goodbye()
        await instance.send(FRAME[3:] + FRAME)
        await client.gets(FRAME[3:] + GOING_AWAY)


async def test_the_client_may_go_on_with_what_it_has_begun() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        await client.send(b"\x81\x85half")
        await instance.gets(b"\x81\x85half")
        proxy.listener.say_goodbye()
        await client.gets(GOING_AWAY)
        await client.send(b"hello" + REPLY)
        await instance.gets(b"hello" + REPLY)


async def test_it_waits_behind_what_the_client_has_not_taken_yet() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy, receives=32768)
        into = inside(proxy)._to_client
        size = 8_000_000
        head = b"\x82\x7f" + size.to_bytes(8)
        await instance.send(head)
        sent = await fill(instance, b"x" * size, lambda: not into.other.transport.is_reading())
        proxy.listener.say_goodbye()
        await client.gets(head)
        await client.gets(b"x" * sent)
        await instance.send(b"x" * (size - sent) + FRAME)
        await client.gets(b"x" * (size - sent) + GOING_AWAY)


@pytest.mark.parametrize("first", ["client", "instance"])
async def test_one_who_has_ended_his_stream_already_is_told_nothing_that_cannot_be_sent(first: str) -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        ends = (client, instance) if first == "client" else (instance, client)
        ends[0].finish()
        assert await ends[1].rest() == b""
        proxy.listener.say_goodbye()
        if first == "client":
            await client.gets(GOING_AWAY)  # it only said that it has nothing more to say
        ends[1].finish()
        assert await ends[0].rest() == b""


async def test_a_tunnel_that_is_over_but_still_written_to_is_not_told() -> None:
    async with proxying(timeouts=Timeouts(stream_idle=300.0)) as proxy:
        client, instance = await tunnel(proxy, receives=32768)
        into = inside(proxy)._to_client
        # The instance is not read either while others have their turn.
        await fill(instance, b"\x89\x00" * 25_000_000, lambda: into.transport.get_write_buffer_size() > 0)
        assert into.transport.get_write_buffer_size()
        proxy.pass_time(300.1)
        assert (proxy.traffic.tunnels, proxy.listener.clients) == (0, 1)
        proxy.listener.say_goodbye()
        assert GOING_AWAY not in await client.rest()


async def test_what_is_not_a_websocket_is_left_alone() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(upgrade(b"irc"))
        await instance.through()
        await instance.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: irc\r\n\r\n")
        await client.through()
        proxy.listener.say_goodbye()
        await turns()
        await part(instance, client, b"QUIT :bye\r\n")


async def test_requests_are_left_alone() -> None:
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET)
        other = await proxy.client()
        await until(lambda: proxy.listener.clients == 2)
        proxy.listener.say_goodbye()
        await instance.gets(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-Host: shop\r\n" + FORWARDED))
        await instance.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.gets(b"HTTP/1.1 204 No Content\r\nVia: 1.1 pointsman\r\n\r\n")
        await other.send(GET)


async def test_a_tunnel_outlives_the_beginning_of_a_drain_and_ends_when_both_have_left() -> None:
    async with proxying() as proxy:
        client, instance = await tunnel(proxy)
        proxy.listener.drain()
        await part(instance, client, FRAME)
        proxy.listener.say_goodbye()
        await client.gets(GOING_AWAY)
        await client.send(REPLY)
        client.finish()
        await instance.gets(REPLY)
        assert await instance.rest() == b""
        instance.close()
        await until(lambda: not proxy.listener.clients)
        assert proxy.traffic.tunnels == 0
