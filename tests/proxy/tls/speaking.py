"""A client that speaks TLS and does, byte for byte, what a test tells it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

from tests.proxy.edge.ruling import through
from tests.proxy.http.scripted import PATIENCE, Peer
from tests.proxy.test_tls import client_context, issue

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.proxy.edge.ruling import Through

NAME = "shop.test"
_RECORD = 16384  # bytes, the most of one (RFC 8446 5.1)


class SecurePeer(Peer):
    """A client, by TLS; each `send` is a record of its own, or several."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.speaker = context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        self._held = b""  # of records, what the socket has not taken yet

    async def greet(self) -> None:
        """Do the handshake."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    self.speaker.do_handshake()
                except ssl.SSLWantReadError:
                    await super().send(self._outgoing.read())
                    self._incoming.write(await self._loop.sock_recv(self.sock, 65536))
                else:
                    await super().send(self._outgoing.read())
                    return

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self.speaker.write(data)
        await super().send(self._outgoing.read())

    def send_what_fits(self, data: bytes) -> int:
        """Send until nobody takes more at this moment; what did not fit of the last record goes first next time."""
        sent = 0
        while True:
            self._held = self._held[super().send_what_fits(self._held) :]
            if self._held or sent == len(data):
                return sent
            sent += self.speaker.write(data[sent : sent + _RECORD])
            self._held = self._outgoing.read()

    async def _more(self) -> bool:
        while True:
            try:
                data = self.speaker.read(65536)
            except ssl.SSLWantReadError:
                received = await self._loop.sock_recv(self.sock, 65536)
                if not received:
                    raise ConnectionResetError("the stream ended without a close_notify") from None
                self._incoming.write(received)
            except ssl.SSLZeroReturnError:
                return False
            else:
                self._received += data
                return bool(data)


@contextlib.asynccontextmanager
async def behind_tls(folder: Path, **more: Any) -> AsyncIterator[Through]:
    """Run a pointsman whose listener speaks TLS; `more` are keys of the listener."""
    pair = issue(folder, NAME)
    tls = {"certificates": [{key: str(folder / name) for key, name in pair.items()}]}
    async with through(listeners=[{"bind": "127.0.0.1:0", "tls": tls, **more}]) as world:
        yield world


async def greeted(world: Through, *, receives: int = 0, **options: Any) -> SecurePeer:
    """Connect a client; `receives` is the size of its receive buffer, `options` are its context's."""
    sock = await world.connected(receives=receives)
    peer = SecurePeer(sock, client_context(**options))
    world.clients.append(peer)
    await peer.greet()
    return peer
