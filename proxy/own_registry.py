"""The embedded registry of this process: its start and its end, and its way to another process and back."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from discovery.registry import RegistryError
from proxy.sockets import BindError

if TYPE_CHECKING:
    import socket

    from config.model import EmbeddedRegistry
    from discovery.embedded.catalog import Times
    from discovery.embedded.server import RegistryServer

_log = logging.getLogger(__name__)

_ENDING = 5.0  # seconds that letting go may take
_REVIVING = 30.0  # seconds in which it must be ours again
_AGAIN = 0.1  # seconds until the next try


class OwnRegistry:
    """Owns the embedded registry. Only one process at a time can have its folder."""

    def __init__(self, wanted: EmbeddedRegistry) -> None:
        self.bind = str(wanted.bind)
        self.folder = str(wanted.data_dir.absolute())
        self._wanted = wanted
        self._server: RegistryServer | None = None
        self._kept: tuple[socket.socket, Times] | None = None  # what it goes on with, if nobody takes its place

    @property
    def sockets(self) -> list[socket.socket]:
        """What it listens on."""
        bound = self._server.socket if self._server is not None else None
        return [bound] if bound is not None else []

    async def start(self, bound: socket.socket | None = None, times: Times | None = None) -> None:
        """Answer, on a socket that listens already or on its own. Raises BindError and RegistryError."""
        from discovery.embedded.server import RegistryServer  # and with it sqlite and aiohttp's server

        wanted = self._wanted
        server = RegistryServer(wanted.bind.host, wanted.bind.port, wanted.data_dir, bound=bound, times=times)
        try:
            await server.start()
        except OSError as error:
            raise BindError(error.strerror) from error
        self._server = server

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()
        self.forget()

    async def let_go(self) -> Times:
        """End, but keep the socket, in whose queue waits who asks meanwhile; return how long its checks have."""
        server = self._server
        if server is None or server.socket is None:
            return {}
        kept = server.socket.dup()
        self._server = None
        try:
            async with asyncio.timeout(_ENDING):
                await server.stop()
        except TimeoutError:
            _log.warning("the embedded registry did not end within %g s", _ENDING)
        times = server.times()
        self._kept = kept, times
        return times

    def forget(self) -> None:
        """Close the socket that was kept: another process answers there."""
        if self._kept is not None:
            self._kept[0].close()
            self._kept = None

    async def go_on(self) -> None:
        """Begin again where it was let go of: nobody has taken its place. Raises RegistryError."""
        if self._kept is None:
            return None
        (kept, times), self._kept = self._kept, None
        deadline = time.monotonic() + _REVIVING
        try:
            while True:
                try:
                    return await self.start(kept.dup(), times)
                except (RegistryError, BindError):  # the process that was to have it has its folder still
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(_AGAIN)
        finally:
            kept.close()
