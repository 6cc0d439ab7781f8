"""What only aiohttp's client can do."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import aiohttp

from tests.servers.instance import content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.pointsman import Pointsman

PIECES = 50
BIG = 8_000_009  # bytes


async def test_both_ways_at_once(proxy: Pointsman) -> None:
    """Each piece is sent when the one before has come back."""
    back: asyncio.Queue[bytes] = asyncio.Queue()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(PIECES):
            yield b"piece %d" % number
            assert await asyncio.wait_for(back.get(), 10) == b"piece %d" % number

    async with aiohttp.ClientSession() as session, session.post(f"{proxy.url}/echo", data=pieces()) as response:
        count = 0
        async for piece in response.content.iter_any():
            back.put_nowait(piece)
            count += 1
    assert count == PIECES


async def test_an_upload_that_is_expected(proxy: Pointsman) -> None:
    body = content(3, 0, BIG)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, BIG, 100_000):
            yield body[at : at + 100_000]

    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{proxy.url}/upload", data=pieces(), expect100=True) as response:
                answer = await response.json()
            assert (answer["length"], answer["sha256"]) == (BIG, hashlib.sha256(body).hexdigest())


async def test_a_large_body_comes_back_while_it_is_sent(proxy: Pointsman) -> None:
    body = content(4, 0, BIG)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, BIG, 60_000):
            yield body[at : at + 60_000]

    async with aiohttp.ClientSession() as session, session.post(f"{proxy.url}/echo", data=pieces()) as response:
        assert await response.read() == body
