"""Small instances of no protocol in particular, and a whole pointsman with a TCP listener before them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from tests.proxy.running import Running, running

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 10.0  # seconds in which what a test waits for must happen


class Echo:
    """An instance that says its name to each connection, and then what it was told; `ends` are how these ended."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.port = 0
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError):
            writer.write(self.name + b"\n")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def echo(name: str = "db", tls: ssl.SSLContext | None = None) -> AsyncIterator[Echo]:
    one = Echo(name.encode())
    async with await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls) as server:
        one.port = server.sockets[0].getsockname()[1]
        yield one


@contextlib.asynccontextmanager
async def through(
    folder: Path, listener: dict[str, Any], services: dict[str, dict[str, Any]], **more: Any
) -> AsyncIterator[Running]:
    """Run pointsman with one listener, by default to the service `db`."""
    whole = {"bind": "127.0.0.1:0", "tcp": {"service": "db"}, **listener}
    async with running({"listeners": [whole], "services": services, **more}, folder) as proxy:
        yield proxy


def at(*addresses: str, **more: Any) -> dict[str, Any]:
    """Return the keys of a service with these instances."""
    return {"discovery": {"static": list(addresses)}, **more}


def port_of(proxy: Running) -> int:
    return proxy.application.listeners[0].ports[0]


async def metric(proxy: Running, name: str) -> dict[str, float]:
    """Return the values of a metric, by their labels as they are written."""
    _, text = await proxy.admin("/metrics")
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, flags=re.MULTILINE)
    return {labels: float(value) for labels, value in found}
