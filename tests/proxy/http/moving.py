"""Bodies on their way: in chunks and out of them, and both ways at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from tests.proxy.http.scripted import Peer


def in_chunks(body: bytes, size: int, trailers: bytes = b"") -> bytes:
    """Cut a body into chunks of this size, with these trailers, each of which has its end, behind the last one."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n%b\r\n" % trailers


async def unchunked(peer: Peer, trailers: bytes = b"") -> bytes:
    """Receive a body in chunks, behind which these trailers must come."""
    pieces = []
    while size := int(await peer.through(b"\r\n"), 16):
        pieces.append(await peer.exactly(size))
        await peer.gets(b"\r\n")
    await peer.gets(trailers + b"\r\n")
    return b"".join(pieces)


async def both_ways(one: Peer, other: Peer, source: random.Random) -> None:
    """Have both send whatever they like at the same time, and see that all of it arrives."""

    async def talk(sender: Peer, receiver: Peer) -> None:
        data = source.randbytes(source.randrange(1, 700_000))
        received = asyncio.ensure_future(receiver.exactly(len(data)))
        at = 0
        while at < len(data):
            size = source.randrange(1, 200_000)
            await sender.send(data[at : at + size])
            at += size
        assert await received == data

    await asyncio.gather(talk(one, other), talk(other, one))
