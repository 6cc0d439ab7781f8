"""Instances that do what nginx cannot: send WebSocket messages back, and answer late.

    python -m bench.instances PORT PORT PORT SLOW_PORT SECONDS

The first three ports echo, the last one answers after so many seconds. A plain request gets the small body everywhere.
"""

import asyncio
import sys
from base64 import b64encode
from hashlib import sha1
from typing import cast

import uvloop

from bench.workloads import BODIES

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % BODIES["/"] + b"x" * BODIES["/"]
)


class Instance(asyncio.Protocol):
    """One connection: requests without bodies, and after an upgrade frames of up to 125 bytes."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._received = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._upgraded:
            self._answer()
        if self._upgraded:
            self._echo()

    def _answer(self) -> None:
        while b"\r\n\r\n" in self._received and not self._upgraded:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            if fields.get(b"upgrade", b"").strip() == b"websocket":
                key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
                accept = b64encode(sha1(key.partition(b":")[2].strip() + _GUID).digest())
                self._write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
                )
                self._upgraded = True
            elif self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._write, _ANSWER)
            else:
                self._write(_ANSWER)

    def _echo(self) -> None:
        received = self._received
        while len(received) >= 6 and len(received) >= (length := 6 + (received[1] & 0x7F)):
            mask = received[2:6]
            payload = bytes(byte ^ mask[place & 3] for place, byte in enumerate(received[6:length]))
            self._write(bytes((received[0], length - 6)) + payload)
            received = received[length:]
        self._received = received

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def serve(ports: list[int], delay: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    for port in ports[:-1]:
        await loop.create_server(lambda: Instance(0.0), "127.0.0.1", port, backlog=1024)
    await loop.create_server(lambda: Instance(delay), "127.0.0.1", ports[-1], backlog=1024)
    await asyncio.Event().wait()


def main() -> None:
    """Read the arguments and serve."""
    *ports, delay = sys.argv[1:]
    uvloop.run(serve([int(port) for port in ports], float(delay)))


if __name__ == "__main__":
    main()
