"""Whole pointsmen that take over from each other in the test's own loop, and a stranger at their socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

from config.load import parse
from proxy.application import Application
from proxy.takeover.claim import Claim
from proxy.takeover.places import socket_path
from tests.proxy.running import until
from tests.servers.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

SOCKET = "takeover.sock"


def configuration(*instances: str, **more: Any) -> dict[str, Any]:
    port, admin = free_ports(2)
    return {
        "listeners": [{"bind": f"127.0.0.1:{port}"}],
        "routes": [{"service": "web"}],
        "services": {"web": {"discovery": {"static": list(instances)}}},
        "admin": {"bind": f"127.0.0.1:{admin}"},
        "drain_timeout": "1s",
        "takeover": {"socket": SOCKET, "timeout": "10s"},
        **more,
    }


class Living:
    """One pointsman, from its start to its end."""

    def __init__(
        self, folder: Path, config: dict[str, Any], *, takes_over: bool, sockets: Sequence[socket.socket]
    ) -> None:
        made = parse(json.dumps(config), name="test", folder=folder, environ={})
        path = socket_path(made)
        assert path is not None
        claim = Claim(path, made.takeover.timeout if made.takeover else 10.0) if takes_over else None
        self.application = Application(made, sockets=sockets, claim=claim)
        self.life = asyncio.create_task(self.application.live())

    async def begun(self) -> Living:
        """Wait until it serves; raises what it has ended of."""
        await until(
            lambda: self.life.done() or (not self.application.unready() and self.application.reloader.has_begun)
        )
        if self.life.done():
            await self.life
        return self


@contextlib.asynccontextmanager
async def living() -> AsyncIterator[Places]:
    places = Places()
    try:
        yield places
    finally:
        for one in places.all:
            if not one.life.done():
                one.application.end()
                one.application.end()
        await asyncio.gather(*(one.life for one in places.all), return_exceptions=True)


class Places:
    """All that were started."""

    def __init__(self) -> None:
        self.all: list[Living] = []

    def start(
        self,
        folder: Path,
        config: dict[str, Any],
        *,
        takes_over: bool = False,
        sockets: Sequence[socket.socket] = (),
    ) -> Living:
        self.all.append(Living(folder, config, takes_over=takes_over, sockets=sockets))
        return self.all[-1]


class Stranger:
    """Somebody at the socket who says what a test has it say."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.setblocking(False)
        self._buffer = b""

    async def connect(self) -> Stranger:
        await asyncio.get_running_loop().sock_connect(self._sock, str(self._path))
        return self

    async def say(self, said: dict[str, Any] | bytes) -> None:
        data = said if isinstance(said, bytes) else json.dumps(said).encode() + b"\n"
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def hear(self) -> dict[str, Any] | None:
        """The next line; None at the end."""
        async with asyncio.timeout(10):
            while b"\n" not in self._buffer:
                try:
                    data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    async def until_told(self, what: str) -> dict[str, Any]:
        while (said := await self.hear()) is not None:
            if said["what"] == what:
                return said
        raise AssertionError(f"it was never told {what}")

    def leave(self) -> None:
        self._sock.close()
