"""A listener and a service between clients and instances that do, byte for byte, what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from balancers.health import Thresholds
from balancers.policies import find
from balancers.pool import Pool
from config.units import Bind
from discovery.instance import Instance, Snapshot
from proxy.http.connections import UpstreamOptions
from proxy.http.heads import HeadLimits, ResponseReader
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryBudget, RetryPolicy
from proxy.http.terms import NEVER, Terms, Timeouts
from proxy.listener import Listener, ListenerOptions
from proxy.routes import Route, Router
from proxy.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from proxy.access_log.access_log import AccessLog
    from proxy.access_log.record import Record

ROUND_ROBIN = find("round_robin", {})
PATIENCE = 10.0  # seconds in which what a test waits for must happen
ID = b"X-Request-Id: made\r\n"  # as the listener under test makes it
FORWARDED = ID + b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 pointsman\r\n\r\n"
FORWARDED_1_0 = FORWARDED.replace(b"1.1 p", b"1.0 p")
GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
GET_SENT = b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Host: shop\r\n" + FORWARDED
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_SENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 pointsman\r\n\r\nok"


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    asked = 0
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        asked += 1
        await asyncio.sleep(0 if asked < 50 else 0.001)  # most of it is a few turns of the loop away


async def turns() -> None:
    """Let the loop do all that can be done at this moment."""
    for _ in range(50):
        await asyncio.sleep(0)


async def fill(peer: Peer, data: bytes, held: Callable[[], bool]) -> int:
    """Send until `held` says that pointsman takes no more, and nothing fits in between; return how much was taken."""
    deadline = time.monotonic() + PATIENCE
    sent = 0
    while sent < len(data):
        taken = peer.send_what_fits(data[sent : sent + 1024 * 1024])
        sent += taken
        if not taken and held():
            break
        assert time.monotonic() < deadline, f"{sent} bytes were taken, and nobody said that it was enough"
        await asyncio.sleep(0 if taken else 0.001)
    return sent


class Peer:
    """One end of a connection to pointsman: a client, or an instance's side. It reads only what a test asks for."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._received = b""

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self.sock, data)

    async def send_slowly(self, data: bytes) -> None:
        """Send byte by byte, each in a packet of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            await self.send(data[at : at + 1])
            await asyncio.sleep(0)

    def send_what_fits(self, data: bytes) -> int:
        """Send until nobody takes more at this moment; return how much was taken."""
        sent = 0
        while sent < len(data):
            try:
                sent += self.sock.send(data[sent : sent + 65536])
            except BlockingIOError:
                break
        return sent

    async def _more(self) -> bool:
        data = await self._loop.sock_recv(self.sock, 65536)
        self._received += data
        return bool(data)

    async def through(self, end: bytes = b"\r\n\r\n") -> bytes:
        """Receive through the first `end`."""
        async with asyncio.timeout(PATIENCE):
            while end not in self._received:
                assert await self._more(), f"the stream ended before {end!r}: {self._received!r}"
        before, _, self._received = self._received.partition(end)
        return before + end

    async def exactly(self, count: int) -> bytes:
        """Receive so many bytes."""
        async with asyncio.timeout(PATIENCE):
            while len(self._received) < count:
                assert await self._more(), f"the stream ended before {count} bytes: {self._received!r}"
        data, self._received = self._received[:count], self._received[count:]
        return data

    async def gets(self, expected: bytes) -> None:
        """Receive exactly this."""
        got = await self.exactly(len(expected))
        assert got == expected, f"{got!r} is not {expected!r}"

    async def rest(self) -> bytes:
        """Receive all up to the end of the stream. Raises ConnectionResetError when it breaks instead."""
        async with asyncio.timeout(PATIENCE):
            while await self._more():
                pass
        data, self._received = self._received, b""
        return data

    async def broken(self) -> bytes:
        """Receive up to a reset, which must come; return what came before it."""
        try:
            data = await self.rest()
        except ConnectionResetError:
            data, self._received = self._received, b""
            return data
        raise AssertionError(f"the stream ended as if all were well: {data!r}")

    async def gone(self) -> None:
        """Wait until the other side has ended the connection, by a reset or not, and sent nothing more before."""
        with contextlib.suppress(ConnectionResetError):
            assert await self.rest() == b""

    async def response(self) -> tuple[int, bytes, bytes]:
        """Receive a response with a Content-Length; return its status, head and content."""
        head = await self.through()
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return int(head[9:12]), head, await self.exactly(length)

    def finish(self) -> None:
        """End our stream, and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close."""
        self.sock.close()

    def reset(self) -> None:
        """Break the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class ScriptedInstance:
    """An instance: connections to it are taken one by one."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self._sock = socket.create_server((address, 0), backlog=64)
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self.peers: list[Peer] = []

    async def accept(self) -> Peer:
        """Take the next connection, which must come."""
        async with asyncio.timeout(PATIENCE):
            sock, _ = await asyncio.get_running_loop().sock_accept(self._sock)
        peer = Peer(sock)
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        """Refuse connections from now on."""
        self._sock.close()


class Log:
    """Stands in for an access log."""

    def __init__(self, records: list[Record]) -> None:
        self.write = records.append


class Proxy:
    """A listener, its service `shop`, and the instances behind it."""

    def __init__(self, instances: Sequence[ScriptedInstance], settings: Settings) -> None:
        self.instances = instances
        options = settings.options
        limits, timeouts = options.limits, options.timeouts
        self.service = Service(
            "shop",
            "round_robin",
            Pool(ROUND_ROBIN, random.Random(1), thresholds=settings.thresholds),
            UpstreamOptions(
                reader=ResponseReader(limits), limits=limits, connect_timeout=timeouts.connect, keepalive=60.0
            ),
            None,
            retries=settings.retries,
            budget=settings.budget,
            limits=settings.places,
        )
        self.service.follow(
            Snapshot("shop", tuple(Instance(f"i{n}", one.address, one.port) for n, one in enumerate(instances)))
        )
        self.endpoints = list(self.service.pool.endpoints)
        self.traffic = self.service.traffic
        self.terms = Terms(self.service, timeouts, settings.body)
        self.records: list[Record] = []  # of the access log, where there is one
        log = cast("AccessLog", Log(self.records)) if settings.logged else None
        self.listener = Listener(settings.bind, Router(settings.routes(self.terms)), options, log)
        if options.request_id != "none":
            self.listener.make_id = lambda: b"made"
        self.clients: list[Peer] = []

    @property
    def instance(self) -> ScriptedInstance:
        """The only instance."""
        [instance] = self.instances
        return instance

    @property
    def idle(self) -> int:
        """How many connections to instances are idle."""
        return sum(connections.idle for connections in self.service.connections.values())

    async def client(self, *, receives: int = 0) -> Peer:
        """Connect a client; `receives` is the size of its receive buffer."""
        bind = self.listener.bind
        family = socket.AF_UNIX if bind.path else socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        sock = socket.socket(family)
        sock.setblocking(False)
        if receives:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        address = bind.path or (bind.host, self.listener.ports[0])
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, address)
        peer = Peer(sock)
        self.clients.append(peer)
        return peer

    async def asking(self, request: bytes = GET) -> tuple[Peer, Peer]:
        """Connect a client that sends this; return it and the connection on which the instance is asked."""
        client = await self.client()
        await client.send(request)
        return client, await self.instance.accept()

    async def served(self) -> tuple[Peer, Peer]:
        """Serve one request; return the client and the instance's connection, both idle now."""
        client, instance = await self.asking()
        await instance.gets(GET_SENT)
        await instance.send(OK)
        await client.gets(OK_SENT)
        assert self.idle == 1
        return client, instance

    def pass_time(self, seconds: float) -> None:
        """Sweep as if it were so many seconds later."""
        now = time.monotonic() + seconds
        self.listener.sweep(now)
        self.service.sweep(now)

    async def __aenter__(self) -> Self:
        await self.listener.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        """End, and see that nothing is left behind."""
        self.listener.drain()
        self.listener.abort()
        self.service.close()
        for instance in self.instances:
            instance.close()
        for peer in (*self.clients, *(peer for instance in self.instances for peer in instance.peers)):
            peer.close()
        everyone = [(endpoint, self.service.connections[endpoint]) for endpoint in self.endpoints]
        await until(lambda: not self.listener.clients and not any(connections.open for _, connections in everyone))
        assert (self.traffic.in_flight, self.traffic.tunnels) == (0, 0)
        places = self.service.places
        assert places is None or (places.taken, places.waiting) == (0, 0)
        assert [endpoint.in_flight for endpoint in self.endpoints] == [0] * len(self.endpoints)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a proxy under test differs from the defaults."""

    bind: Bind = Bind("127.0.0.1", 0)
    options: ListenerOptions = ListenerOptions()
    body: float = NEVER
    retries: RetryPolicy = RetryPolicy()
    budget: RetryBudget | None = None
    places: PlaceLimits = PlaceLimits()
    # Passive health has tests of its own; in all others an endpoint may fail as often as the test wants it to.
    thresholds: Thresholds = Thresholds(consecutive_5xx=0, consecutive_local_failures=0)
    routes: Callable[[Terms], list[Route[Terms]]] = lambda terms: [Route(terms)]
    logged: bool = False


@contextlib.asynccontextmanager
async def proxying(
    instances: int = 1,
    *,
    timeouts: Timeouts = Timeouts(),
    limits: HeadLimits = HeadLimits(),
    options: ListenerOptions | None = None,
    address: str = "127.0.0.1",
    **settings: Any,
) -> AsyncIterator[Proxy]:
    """Run a proxy in front of scripted instances; its end is also a test that every exchange has ended.

    `address` is that of the instances.
    """
    scripted = [ScriptedInstance(address) for _ in range(instances)]
    options = options or ListenerOptions(limits=limits, timeouts=timeouts)
    async with Proxy(scripted, Settings(options=options, **settings)) as proxy:
        yield proxy
