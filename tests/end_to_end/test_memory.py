"""A gigabyte each way, and clients and instances that are slow: pointsman's memory stays where it was."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.servers.instance import PIECE, content
from tests.servers.instances import Instances
from tests.servers.pointsman import MemoryPeak, Pointsman

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 2**20
BIG = 1024 * MIB
MAY_GROW = 32 * MIB
SLOW_SECONDS = 6.0
READERS, READ_EVERY, READ_SIZE = 200, 0.1, 4096  # 40 kB a second each
UPLOADERS, UPLOAD_RATE = 50, 65_536  # bytes a second that each instance reads of an upload
SMALL_BUFFER = 4096  # SO_RCVBUF; the kernel doubles it


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Pointsman]:
    """With an instance, and warm: a bit of everything has gone through it."""
    with Instances(tmp_path, "big") as instance:
        static = {"web": {"discovery": {"static": instance.addresses()}}}
        # The instance goes on reading, slowly, what it got of an upload whose client has left.
        with Pointsman(tmp_path, static, drain_timeout="1s") as proxy:
            for _ in range(3):
                assert _download(proxy.port, 8 * MIB) == 8 * MIB
                _upload(proxy.port, 8 * MIB)
            yield proxy


def test_a_gigabyte_down(proxy: Pointsman) -> None:
    with MemoryPeak(proxy) as memory:
        assert _download(proxy.port, BIG) == BIG
    _show("1 GiB down", memory)
    assert memory.growth < MAY_GROW


def test_a_gigabyte_up(proxy: Pointsman) -> None:
    with MemoryPeak(proxy) as memory:
        _upload(proxy.port, BIG)
    _show("1 GiB up", memory)
    assert memory.growth < MAY_GROW


async def test_slow_readers(proxy: Pointsman) -> None:
    with MemoryPeak(proxy) as memory:
        read = await asyncio.gather(*(_read_slowly(proxy.port, seed) for seed in range(READERS)))
    _show(f"{READERS} slow readers, {sum(read) / MIB:.0f} MiB read", memory)
    assert min(read) > READ_SIZE
    assert memory.growth < MAY_GROW


async def test_slow_instances(proxy: Pointsman) -> None:
    with MemoryPeak(proxy) as memory:
        written = await asyncio.gather(*(_write_fast(proxy.port) for _ in range(UPLOADERS)))
    _show(f"{UPLOADERS} uploads read slowly, {sum(written) / MIB:.0f} MiB taken", memory)
    # What the kernel's buffers of two connections take, some 20 MiB, and not the whole: the clients were held back.
    assert max(written) < BIG // 16
    assert memory.growth < MAY_GROW


def _show(what: str, memory: MemoryPeak) -> None:
    print(f"\n{what:<44} from {memory.base / MIB:.1f} MiB by {memory.growth / MIB:.1f} MiB")


def _download(port: int, size: int) -> int:
    """Read a download, comparing each byte; return how many there were."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/download?size={size}&seed=1")
    response = connection.getresponse()
    assert response.status == 200
    digest, expected, length = hashlib.sha256(), hashlib.sha256(), 0
    while piece := response.read(PIECE):
        digest.update(piece)
        expected.update(content(1, length, len(piece)))
        length += len(piece)
    connection.close()
    assert digest.digest() == expected.digest()
    return length


def _upload(port: int, size: int) -> None:
    """Send an upload, and compare what the instance says of it."""
    digest = hashlib.sha256()

    def body() -> Iterator[bytes]:
        for start in range(0, size, PIECE):
            piece = content(2, start, PIECE)
            digest.update(piece)
            yield piece

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/upload", body(), {"Content-Length": str(size)})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert answer == {"instance": "big", "length": size, "sha256": digest.hexdigest()}


async def _connect(port: int, request: bytes) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, request)
    return sock


async def _read_slowly(port: int, seed: int) -> int:
    """Read the beginning of a large download of our own, comparing each byte; return how much it was."""
    loop = asyncio.get_running_loop()
    request = f"GET /download?size={BIG}&seed={seed} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    end = loop.time() + SLOW_SECONDS
    with await _connect(port, request) as sock:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await loop.sock_recv(sock, READ_SIZE)
        assert received.startswith(b"HTTP/1.1 200 ")
        piece, length = received.partition(b"\r\n\r\n")[2], 0
        while True:
            assert piece == content(seed, length, len(piece))
            length += len(piece)
            if loop.time() > end:
                return length
            await asyncio.sleep(READ_EVERY)
            piece = await loop.sock_recv(sock, READ_SIZE)
            assert piece, "the download broke off"


async def _write_fast(port: int) -> int:
    """Write as much of a large upload as is taken off our hands; return how much it was."""
    loop = asyncio.get_running_loop()
    request = f"POST /upload?rate={UPLOAD_RATE} HTTP/1.1\r\nHost: x\r\nContent-Length: {BIG}\r\n\r\n".encode()
    piece, length = content(3, 0, PIECE), 0
    with await _connect(port, request) as sock:
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                while True:
                    await loop.sock_sendall(sock, piece)
                    length += PIECE
        except TimeoutError:
            return length
