"""A bound address, and the clients connected to it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.http.downstream import Downstream

if TYPE_CHECKING:
    from config.units import Bind
    from proxy.http.heads import HeadLimits, RequestReader
    from proxy.routes import Router
    from proxy.service import Service

_BACKLOG = 2048  # connections that the kernel holds for us to accept; it caps this at net.core.somaxconn


class BindError(OSError):
    """An address cannot be listened on; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each wait of the data path lasts, in seconds; infinite where the configuration says 0."""

    request_head: float = 10.0
    body_idle: float = 30.0
    connect: float = 3.0
    response_head: float = 30.0
    stream_idle: float = 300.0
    keepalive: float = 75.0


class Listener:
    """Accepts clients on one address."""

    def __init__(
        self, bind: Bind, router: Router[Service], reader: RequestReader, limits: HeadLimits, timeouts: Timeouts
    ) -> None:
        self.bind = bind
        self.router = router
        self.reader = reader
        self.limits = limits
        self.timeouts = timeouts
        self.draining = False
        self.accepted = 0  # connections, since the start
        self.refused = 0  # requests that no instance was asked: malformed, or without a route
        self._clients: set[Downstream] = set()
        self._server: asyncio.Server | None = None

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    @property
    def ports(self) -> list[int]:
        """The ports bound, for a configuration that asked for any."""
        names = [sock.getsockname() for sock in self._server.sockets] if self._server else []
        return [name[1] for name in names if isinstance(name, tuple)]

    @property
    def address(self) -> str:
        """Where it listens; with the port that it got, if it asked for any."""
        ports = self.ports
        return str(replace(self.bind, port=ports[0])) if ports else str(self.bind)

    async def start(self) -> None:
        """Bind and accept. Raises BindError."""
        loop = asyncio.get_running_loop()
        try:
            if self.bind.path:
                sock = bind_unix(self.bind.path)
                self._server = await loop.create_unix_server(self._accept, sock=sock, backlog=_BACKLOG)
            else:
                host = self.bind.host or None
                self._server = await loop.create_server(self._accept, host, self.bind.port, backlog=_BACKLOG)
        except OSError as error:
            raise BindError(f"cannot listen on {self.bind}: {why_unbound(error)}") from error

    def drain(self) -> None:
        """Accept nobody any more, and let those connected go once they are answered."""
        self.draining = True
        if self._server is not None and self._server.is_serving():
            self._server.close()
            if self.bind.path:
                remove_socket(self.bind.path)
        for client in list(self._clients):
            client.drain()

    def abort(self) -> None:
        """Close every connection, answered or not."""
        for client in list(self._clients):
            client.abort()

    def sweep(self, now: float) -> None:
        """End the waits whose deadline has passed, and those for clients who left while they were not read from."""
        for client in [client for client in self._clients if client.deadline <= now or client.paused]:
            if client.deadline <= now:
                client.timed_out()
            elif client.is_gone():
                client.abort()

    def joined(self, client: Downstream) -> None:
        """Count a client in."""
        self.accepted += 1
        self._clients.add(client)

    def left(self, client: Downstream) -> None:
        """Count a client out."""
        self._clients.discard(client)

    def _accept(self) -> Downstream:
        return Downstream(self)


def why_unbound(error: OSError) -> str:
    """Return the system's words for what went wrong; asyncio's repeat the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def bind_unix(path: str) -> socket.socket:
    """Bind a socket to `path`. The loop would do so too, but remove the socket of a living process before."""
    _remove_stale_socket(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock


def remove_socket(path: str) -> None:
    """Remove the file of a socket of ours; somebody may have done so before."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_stale_socket(path: str) -> None:
    """Remove the socket that a process which is gone left behind; one that answers is left alone, and binding fails."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a living one may have a full backlog
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return
