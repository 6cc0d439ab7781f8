"""WebSockets of real clients."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect as connect_in_threads

from tests.servers.instance import content
from tests.servers.instances import Site
from tests.servers.pointsman import Pointsman
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.browser import Browser

SIZES = (0, 1, 125, 126, 65_535, 65_536, 1_000_003, 8_000_009)  # bytes, at the edges of how frames tell their length
MANY = 100
SOCKETS = 12  # of a page; a browser puts off those that are many more


def address(proxy: Pointsman) -> str:
    return f"ws://127.0.0.1:{proxy.port}/ws"


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_messages_of_all_sizes(proxy: Pointsman, compression: str | None) -> None:
    async with connect(address(proxy), max_size=None, compression=compression, proxy=None) as socket:
        offered = socket.response.headers.get("Sec-WebSocket-Extensions", "") if socket.response else ""
        assert ("permessage-deflate" in offered) == (compression is not None)
        for seed, size in enumerate(SIZES):
            await socket.send(content(seed, 0, size))
            assert await socket.recv() == content(seed, 0, size)
        await socket.send("žluťoučký kůň")
        assert await socket.recv() == "žluťoučký kůň"


async def test_messages_cross(proxy: Pointsman) -> None:
    """Both sides send at once; nothing is lost, and nothing overtakes."""
    messages = [f"{number} {'x' * random.Random(number).randrange(3000)}" for number in range(2000)]
    async with connect(address(proxy), proxy=None) as socket:

        async def send() -> None:
            for message in messages:
                await socket.send(message)

        sending = asyncio.create_task(send())
        assert [await socket.recv() for _ in messages] == messages
        await sending


async def test_fragments(proxy: Pointsman) -> None:
    async with connect(address(proxy), compression=None, proxy=None) as socket:
        await socket.send([b"one ", b"message ", b"in ", b"pieces"])
        assert await socket.recv() == b"one message in pieces"


async def test_pings(proxy: Pointsman) -> None:
    async with connect(address(proxy), proxy=None) as socket:
        for number in range(10):
            async with asyncio.timeout(10):
                await (await socket.ping(str(number)))


async def test_a_subprotocol(proxy: Pointsman) -> None:
    async with connect(address(proxy), subprotocols=["other", "echo"], proxy=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "echo"


async def test_the_client_closes(proxy: Pointsman) -> None:
    async with connect(f"{address(proxy)}?key=closes", proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        await socket.close(4001, "enough")
    until(lambda: ask(proxy.port, "/closed?key=closes").json == 4001, "the instance has seen it")


async def test_the_instance_closes(proxy: Pointsman) -> None:
    for code, error in ((1000, ConnectionClosedOK), (4002, ConnectionClosedError)):
        async with connect(address(proxy), proxy=None) as socket:
            await socket.send(f"close {code}")
            with pytest.raises(error):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (code, "as you wish")


async def test_many_at_a_time(site: Site, proxy: Pointsman) -> None:
    async def talk(number: int) -> str:
        async with connect(address(proxy), proxy=None) as socket:
            await socket.send("who are you?")
            name = await socket.recv()
            for message in range(20):
                await socket.send(f"{number}: {message}")
                assert await socket.recv() == f"{number}: {message}"
            return str(name)

    names = await asyncio.gather(*(talk(number) for number in range(MANY)))
    counts = [names.count(name) for name in site.ports]
    assert sum(counts) == MANY
    assert max(counts) - min(counts) <= 1


async def test_what_is_no_websocket_is_answered(site: Site, proxy: Pointsman) -> None:
    """A handshake that the instance declines is an ordinary exchange."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{proxy.port}/status/403", proxy=None):
            pass
    assert caught.value.response.status_code == 403
    assert caught.value.response.body in [name.encode() for name in site.ports]


def test_websockets_in_threads(proxy: Pointsman) -> None:
    with connect_in_threads(address(proxy), max_size=None, proxy=None) as socket:
        for seed, size in enumerate(SIZES):
            socket.send(content(seed, 0, size))
            assert socket.recv(20) == content(seed, 0, size)


async def test_aiohttp(proxy: Pointsman) -> None:
    async with aiohttp.ClientSession() as session:
        for compress in (0, 15):
            async with session.ws_connect(
                address(proxy), protocols=["echo"], compress=compress, max_msg_size=0, heartbeat=5
            ) as socket:
                assert socket.protocol == "echo"
                for seed, size in enumerate(SIZES):
                    await socket.send_bytes(content(seed, 0, size))
                    assert await socket.receive_bytes(timeout=20) == content(seed, 0, size)
                await socket.send_str("close 4003")
                closed = await socket.receive(timeout=20)
                assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4003)
            # The session goes on with ordinary requests.
            async with session.get(f"{proxy.url}/cookies") as response:
                assert response.status == 200


def test_a_browser(browser: Browser, site: Site, proxy: Pointsman) -> None:
    shown = browser.page()
    shown.load(f"{proxy.url}/")
    answers = shown.evaluate(f"sockets({SOCKETS}, 50)")
    assert len(answers) == SOCKETS
    for number, (protocol, back, closed) in enumerate(answers):
        assert protocol == "echo"
        assert back[0] in site.ports
        assert back[1:-1] == [f"{number}: {message}" for message in range(50)]
        assert back[-1] == [100_000, True]
        assert closed == [4000, "as you wish", True]
    assert {back[0] for _, back, _ in answers} == set(site.ports)
    assert shown.complaints() == []


async def test_the_instance_dies(tmp_path: Path) -> None:
    """Its clients learn of it at once, and those that come back get another instance."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Site(tmp_path / "one", "dies") as dies, Site(tmp_path / "two", "lives") as lives:
        addresses = [*dies.addresses(), *lives.addresses()]
        services = {"web": {"discovery": {"static": addresses}, "balancer": "round_robin"}}
        with Pointsman(tmp_path, services) as proxy:
            names = []
            async with (
                connect(address(proxy), proxy=None) as first,
                connect(address(proxy), proxy=None) as second,
            ):
                for socket in (first, second):
                    await socket.send("who are you?")
                    names.append(await socket.recv())
                assert set(names) == {"dies", "lives"}
                dying, living = (first, second) if names[0] == "dies" else (second, first)
                dies.kill()
                async with asyncio.timeout(10):
                    with pytest.raises(ConnectionClosedError):
                        await dying.recv()
                await living.send("still there?")
                assert await living.recv() == "still there?"
                async with connect(address(proxy), proxy=None) as third:
                    await third.send("who are you?")
                    assert await third.recv() == "lives"
            until(lambda: proxy.service("web")["in_flight"] == 0, "nothing is under way any more")
