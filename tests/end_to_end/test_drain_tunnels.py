"""A signal with tunnels open: they go on, WebSocket clients are told to go away at half time, and all ends in time.

Client and instance speak bytes, so that each one that passes can be seen. Each test prints what it measured.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

DRAIN = 4.0  # seconds
LATE = 10.0  # seconds that a busy machine may take longer to end
TUNNELS = 20
GOING_AWAY = b"\x88\x02\x03\xe9"  # a Close frame with status 1001, unmasked (RFC 6455 5.2 and 7.4.1)
PATIENCE = 30.0  # seconds


def frame(payload: bytes) -> bytes:
    """Write a text frame of less than 64 KiB as a server does, without a mask."""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return b"\x81" + length + payload


class Instance:
    """Switches protocols whenever it is asked to; then it sends back what comes, and what a test has it send."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.received = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        protocol = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"upgrade:"))
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + protocol + b"\r\n\r\n")
        self.writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.received += data
                writer.write(data)
        except ConnectionError:
            pass  # cut off
        writer.close()


class Tunnel:
    """A client that has switched protocols."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echo(self, text: bytes) -> bytes:
        """Send a message and read as much as it is long."""
        self.writer.write(text)
        return await self.read(len(text))

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def end(self) -> bytes:
        """Read until the end, or until it is cut off."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self.reader.read(65536):
                    data += piece
            except ConnectionError:
                pass
        return data


@asynccontextmanager
async def tunnel(port: int, protocol: str) -> AsyncIterator[Tunnel]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield Tunnel(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


@pytest.fixture
async def instance() -> AsyncIterator[tuple[Instance, int]]:
    instance = Instance()
    async with await asyncio.start_server(instance.serve, "127.0.0.1", 0) as server:
        yield instance, server.sockets[0].getsockname()[1]


@pytest.fixture
def proxy(tmp_path: Path, instance: tuple[Instance, int]) -> Iterator[Pointsman]:
    static = [f"127.0.0.1:{instance[1]}"]
    with Pointsman(tmp_path, {"web": {"discovery": {"static": static}}}, drain_timeout=f"{DRAIN}s") as proxy:
        yield proxy


async def drain(proxy: Pointsman) -> float:
    """Tell it to end; return the moment."""
    told = time.monotonic()
    proxy.signal(signal.SIGTERM)
    await asyncio.to_thread(until, lambda: proxy.readyz().status == 503, "it drains")
    return told


async def test_clients_that_go_when_they_are_told(proxy: Pointsman, instance: tuple[Instance, int]) -> None:
    exchanged = 0

    async def talk(number: int, told: asyncio.Event) -> float:
        """Go on talking until told to go away; return the moment."""
        nonlocal exchanged
        async with tunnel(proxy.port, "websocket") as chat:
            while True:
                chat.writer.write(frame(b"message %6d" % number))
                answer = await chat.read(2)
                if answer[0] == GOING_AWAY[0]:
                    assert answer + await chat.read(2) == GOING_AWAY
                    left = time.monotonic()
                    chat.writer.write(b"\x88\x82\0\0\0\0\x03\xe9")  # agreed; a client's frames have a mask
                    return left
                assert await chat.read(answer[1]) == b"message %6d" % number
                exchanged += told.is_set()
                await asyncio.sleep(0.02)

    signalled = asyncio.Event()
    talking = [asyncio.create_task(talk(number, signalled)) for number in range(TUNNELS)]
    await asyncio.to_thread(until, lambda: proxy.service("web")["in_flight"] == TUNNELS, "all talk")
    told = await drain(proxy)
    signalled.set()
    left = sorted(moment - told for moment in await asyncio.gather(*talking))
    status = await asyncio.to_thread(proxy.wait, DRAIN + LATE)
    took = time.monotonic() - told
    said = proxy.output()
    print(f"\n{TUNNELS} WebSockets, {exchanged} messages after the signal; told to go away {left[0]:.2f} to ", end="")
    print(f"{left[-1]:.2f} s after it, and left; ended with {status} after {took:.2f} s of {DRAIN:g}")
    assert status == 0
    assert exchanged >= TUNNELS
    assert left[0] >= DRAIN / 2
    assert "are cut" not in said
    assert "Traceback" not in said


async def test_clients_that_stay_are_cut(proxy: Pointsman, instance: tuple[Instance, int]) -> None:
    async with tunnel(proxy.port, "websocket") as deaf, tunnel(proxy.port, "other") as other:
        assert await deaf.echo(frame(b"hello")) == frame(b"hello")
        assert await other.echo(b"hello") == b"hello"
        told = await drain(proxy)
        assert await deaf.echo(frame(b"still here")) == frame(b"still here")
        assert await deaf.read(len(GOING_AWAY)) == GOING_AWAY
        deaf.writer.write(frame(b"what?"))  # goes through; the answer does not, as nothing may follow a Close frame
        assert await other.echo(b"nobody tells me anything") == b"nobody tells me anything"
        await asyncio.to_thread(until, lambda: frame(b"what?") in instance[0].received, "the instance has it")
        rest = await deaf.end(), await other.end()
        status = await asyncio.to_thread(proxy.wait, DRAIN + LATE)
        took = time.monotonic() - told
    print(f"\nended with {status} after {took:.2f} s of {DRAIN:g}, with two tunnels cut")
    assert status == 0
    assert rest == (b"", b"")
    assert took >= DRAIN
    assert "drain_timeout passed: 2 connections are cut" in proxy.output()


async def test_a_frame_under_way_is_finished_first(proxy: Pointsman, instance: tuple[Instance, int]) -> None:
    long = frame(bytes(5000))
    async with tunnel(proxy.port, "websocket") as chat, tunnel(proxy.port, "websocket") as watch:
        instance[0].writers[0].write(long[:3000])
        assert await chat.read(3000) == long[:3000]
        await drain(proxy)
        assert await watch.read(len(GOING_AWAY)) == GOING_AWAY
        instance[0].writers[0].write(long[3000:] + frame(b"too late"))
        assert await chat.end() == long[3000:] + GOING_AWAY
        watch.writer.close()
        status = await asyncio.to_thread(proxy.wait, DRAIN + LATE)
    print(f"\nthe second half of the frame, and then the Close frame; ended with {status}")
    assert status == 0
