"""One client on one connection, in the test's own event loop: for what must be done step by step."""

from __future__ import annotations

import asyncio
import socket

from tests.servers.program import Answer

_PATIENCE = 60.0  # seconds


class Visitor:
    """A client of 127.0.0.1; `source` is the address that it comes from. What it asks has 60 s to be answered."""

    def __init__(self, port: int, source: str = "") -> None:
        self._port = port
        self._sock = socket.socket()
        self._sock.setblocking(False)
        if source:
            self._sock.bind((source, 0))

    async def connect(self) -> None:
        await asyncio.get_running_loop().sock_connect(self._sock, ("127.0.0.1", self._port))

    async def ask(self, path: str = "/") -> Answer:
        """Send a GET and read the answer to its end. An OSError is a connection that failed, or ended too early."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_sendall(self._sock, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, body = b"", b""
            while not head:
                body = await self._read(body)
                before, end, after = body.partition(b"\r\n\r\n")
                if end:
                    head, body = before, after
            status, _, fields = head.decode().partition("\r\n")
            lines = (line.partition(":") for line in fields.split("\r\n"))
            headers = {name.lower(): value.strip() for name, _, value in lines}
            while len(body) < int(headers["content-length"]):
                body = await self._read(body)
        return Answer(int(status.split()[1]), headers, body)

    async def visit(self, path: str = "/") -> Answer:
        """Come and ask; the connection stays."""
        await self.connect()
        return await self.ask(path)

    def leave(self) -> None:
        self._sock.close()

    async def _read(self, before: bytes) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
        if not data:
            raise ConnectionError(f"the connection ended after {before!r}")
        return before + data
