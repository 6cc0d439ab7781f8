"""No connection takes the loop for itself, however quickly it sends what is much work: others have a turn in between.

libuv reads up to 32 times from a connection that keeps up with us before it looks at the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from proxy.http.buffers import SIZE, Bounded
from proxy.http.upstream import Upstream
from proxy.routes import Route
from tests.proxy.http.scripted import GET, OK, Peer, proxying, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n" + CHUNKED + b"\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n"  # whose client hears nothing of interim responses
UPGRADING = GET.replace(b"\r\n\r\n", b"\r\n" + UPGRADE + b"\r\n")
WHOLE_BUFFER = 256 * 1024  # bytes that uvloop hands out at most of what is not read through Bounded


class Work:
    """Counts the bytes that a method is given, or whose number it is given."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, method: str) -> None:
        self.bytes = 0
        work: Callable[..., Any] = getattr(owner, method)

        def counted(subject: object, data: bytes | int, **options: Any) -> Any:
            self.bytes += data if isinstance(data, int) else len(data)
            return work(subject, data, **options)

        patch.setattr(owner, method, counted)

    async def largest(self, whole: int) -> int:
        """Return the most bytes in one turn of the loop, until there were so many altogether."""
        before = largest = 0
        while before < whole:
            await asyncio.sleep(0)
            before, largest = self.bytes, max(largest, self.bytes - before)
        return largest


@contextlib.asynccontextmanager
async def swallowing(peer: Peer) -> AsyncIterator[None]:
    """Receive whatever comes meanwhile."""

    async def swallow() -> None:
        while await peer._more():
            peer._received = b""

    task = asyncio.ensure_future(swallow())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def send_much(peer: Peer, piece: bytes) -> int:
    """Send more of this than is read at a time; return how many bytes that is."""
    taken = peer.send_what_fits(piece * (2_000_000 // len(piece)))
    assert taken > 2 * WHOLE_BUFFER, "the buffers of this machine are too small to tell"
    return taken


@pytest.mark.parametrize("there", [True, False], ids=["without a route", "without an instance"])
async def test_a_client_whose_requests_wait_for_nothing(there: bool) -> None:
    async with proxying(instances=int(there), routes=lambda terms: [Route(terms, b"bank" if there else b"")]) as proxy:
        client = await proxy.client()
        answered = asyncio.ensure_future(statuses(client, 2000))
        client.send_what_fits(GET * 2000)
        turns = [0]
        while not answered.done():
            turns.append(proxy.listener.refused + proxy.traffic.requests)
            await asyncio.sleep(0)
        assert max(later - sooner for sooner, later in pairwise(turns)) <= 65
        assert await answered == {404 if there else 503}
        # What it sends afterwards is read as ever.
        await client.send(GET)
        assert await statuses(client, 1) == {404 if there else 503}


async def statuses(client: Peer, count: int) -> set[int]:
    """Receive so many responses; return their statuses."""
    return {(await client.response())[0] for _ in range(count)}


async def test_a_client_whose_chunks_are_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, Bounded, "buffer_updated")
    async with proxying() as proxy:
        client, instance = await proxy.asking(POST)
        await instance.through()
        taken = send_much(client, b"1\r\nx\r\n")
        async with swallowing(instance):
            assert await work.largest(taken) <= SIZE
        await client.send(b"1\r\nx\r\n"[taken % 6 :] + b"0\r\n\r\n")
        await instance.send(OK)
        assert (await client.response())[0] == 200
        assert proxy.idle == 1


async def test_an_instance_whose_chunks_are_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, Bounded, "buffer_updated")
    async with proxying() as proxy:
        client, instance = await proxy.asking()
        await instance.through()
        await instance.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n")
        await client.through()
        taken = send_much(instance, b"1\r\nx\r\n")
        async with swallowing(client):
            assert await work.largest(taken) <= SIZE
        await instance.send(b"1\r\nx\r\n"[taken % 6 :] + b"0\r\n\r\n")
        await until(lambda: proxy.idle == 1)


async def test_an_instance_with_thousands_of_interim_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, Upstream, "data_received")
    async with proxying() as proxy:
        client, instance = await proxy.asking(GET_1_0)
        await instance.through()
        hint = b"HTTP/1.1 103 x\r\n\r\n"
        taken = send_much(instance, hint)
        assert await work.largest(taken) <= WHOLE_BUFFER
        await instance.send(hint[taken % len(hint) :] + OK)
        assert (await client.response())[0] == 200


async def test_an_instance_whose_frames_are_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, Bounded, "buffer_updated")
    async with proxying() as proxy:
        client, instance = await proxy.asking(UPGRADING)
        await instance.through()
        await instance.send(b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + b"\r\n")
        await client.through()
        first = b"\x81\x00" * 10_000  # that it sends much is known once it has
        await instance.send(first)
        await client.gets(first)
        taken = send_much(instance, b"\x81\x00")
        async with swallowing(client):
            assert await work.largest(taken) <= SIZE
