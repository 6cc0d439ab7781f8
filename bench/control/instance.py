"""Instances that answer each request with their address: `python -m bench.control.instance PORT ADDRESS...`.

All of them are one process, and as light as can be: what is measured is in front of them.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import cast

import uvloop


class _Instance(asyncio.Protocol):
    def __init__(self, address: str) -> None:
        name = address.encode()
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        # Requests have no body here.
        *whole, self._data = (self._data + data).split(b"\r\n\r\n")
        if whole:
            self._transport.write(self._answer * len(whole))


async def serve(port: int, addresses: list[str]) -> None:
    """Answer on this port of these addresses until the process is told to end."""
    loop = asyncio.get_running_loop()
    for address in addresses:
        await loop.create_server(partial(_Instance, address), address, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
