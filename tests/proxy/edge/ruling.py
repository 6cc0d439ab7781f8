"""A whole pointsman between clients and instances that do, byte for byte, what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from tests.proxy.http.scripted import PATIENCE, Peer, ScriptedInstance
from tests.proxy.running import Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORIGIN = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
VIA = b"Via: 1.1 pointsman\r\n\r\n"


class Through:
    """A pointsman, its instances by the names of their services, and clients."""

    def __init__(self, pointsman: Running, instances: dict[str, ScriptedInstance]) -> None:
        self.pointsman = pointsman
        self.application = pointsman.application
        self.instances = instances
        self.clients: list[Peer] = []

    async def client(self, request: bytes) -> Peer:
        """Connect a client that sends this."""
        peer = Peer(await self.connected())
        self.clients.append(peer)
        await peer.send(request)
        return peer

    async def connected(self, *, receives: int = 0) -> socket.socket:
        """Connect; `receives` is the size of the receive buffer."""
        sock = socket.socket()
        sock.setblocking(False)
        if receives:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        address = ("127.0.0.1", self.application.listeners[0].ports[0])
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, address)
        return sock

    async def asking(self, request: bytes, service: str = "web") -> tuple[Peer, Peer]:
        """Connect a client that sends this; return it and the connection on which an instance is asked."""
        return await self.client(request), await self.instances[service].accept()

    async def answered(self, request: bytes, response: bytes) -> tuple[bytes, bytes]:
        """Have a request answered like this; return the heads that the instance and the client got."""
        client, instance = await self.asking(request)
        asked = await instance.through()
        await instance.send(response)
        return asked, await client.through()

    async def metrics(self) -> str:
        """Return what a scrape returns."""
        _, text = await self.pointsman.admin("/metrics")
        return str(text)


@contextlib.asynccontextmanager
async def through(
    settings: dict[str, Any] | None = None, others: dict[str, dict[str, Any]] | None = None, **config: Any
) -> AsyncIterator[Through]:
    """Run a pointsman with the service web, which has these settings, and others; each has an instance."""
    of_services = {"web": settings or {}, **(others or {})}
    instances = {name: ScriptedInstance() for name in of_services}
    for name, one in instances.items():
        of_services[name] = {"discovery": {"static": [f"127.0.0.1:{one.port}"]}, **of_services[name]}
    whole: dict[str, Any] = {"services": of_services, "request_id": "none", **config}
    async with running(whole) as pointsman:
        world = Through(pointsman, instances)
        try:
            yield world
        finally:
            for peer in (*world.clients, *(peer for one in instances.values() for peer in one.peers)):
                peer.close()
            for one in instances.values():
                one.close()


def fields(head: bytes, name: bytes) -> list[bytes]:
    """Return the values of all fields of a name in a head."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for found, _, value in lines if found.lower() == name.lower()]
