"""Whole exchanges in this process: a client's connection and an instance's, each on a transport that only remembers.

Everything between the two system calls of either side is pointsman's own code, the one look at the idle connection by
poll(2) included. What the event loop and the kernel add is not in it.
"""

from __future__ import annotations

import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from balancers.policies import find
from balancers.pool import Pool
from config.units import Bind
from discovery.instance import Instance, Snapshot
from proxy.http.connections import UpstreamOptions
from proxy.http.downstream import Downstream
from proxy.http.heads import HeadLimits, ResponseReader
from proxy.http.terms import Terms
from proxy.http.upstream import Upstream
from proxy.listener import Listener, ListenerOptions
from proxy.routes import Route, Router
from proxy.service import Service

if TYPE_CHECKING:
    import asyncio

    from proxy.http.connections import Connections

INSTANCES = 3


class Transport:
    """Stands for a connection: remembers what was written last, and has real descriptors for who looks at it."""

    __slots__ = ("_far", "_near", "written")

    def __init__(self) -> None:
        near, far = socket.socketpair()
        self._near, self._far = near.detach(), far.detach()
        self.written = b""

    def __del__(self) -> None:
        os.close(self._near)
        os.close(self._far)

    def write(self, data: bytes) -> None:
        self.written = data

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """Never full."""

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self, "peername": ("127.0.0.1", 50000)}.get(name)

    def fileno(self) -> int:
        return self._near


class Exchanges:
    """A listener with one client, and a service of three instances with one kept connection each."""

    def __init__(self) -> None:
        pool = Pool(find("round_robin", {}, time.monotonic), random.Random(1))
        options = UpstreamOptions(ResponseReader(HeadLimits()), HeadLimits(), connect_timeout=3.0, keepalive=60.0)
        service = Service("web", "round_robin", pool, options, None)
        service.follow(Snapshot("web", tuple(Instance(f"web-{n}", "10.0.0.1", 80 + n) for n in range(INSTANCES))))
        self.traffic = service.traffic
        self._upstreams = [_connected(connections) for connections in service.connections.values()]
        self.client = Transport()
        listener = Listener(Bind("127.0.0.1", 8080), Router([Route(Terms(service))]), ListenerOptions())
        self._downstream = Downstream(listener)
        self._downstream.connection_made(cast("asyncio.Transport", self.client))

    def ask(self, request: bytes) -> Upstream:
        """Have the client send a request; return the connection that it went to."""
        self._downstream.data_received(request)
        for upstream in self._upstreams:  # a generator would cost half a microsecond, which is not pointsman's
            if upstream.exchange is not None:
                return upstream
        raise AssertionError(f"no instance was asked, but the client told: {self.client.written!r}")

    def exchange(self, request: bytes, answer: bytes) -> None:
        """Carry a request and its answer, each in one piece."""
        self.ask(request).data_received(answer)


def _connected(home: Connections) -> Upstream:
    upstream = Upstream(home)
    upstream.connection_made(cast("asyncio.Transport", Transport()))
    home.open += 1
    home.put(upstream, time.monotonic())
    return upstream
