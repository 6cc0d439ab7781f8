"""A bound address, and the clients connected to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count, islice
from random import getrandbits
from typing import TYPE_CHECKING, Literal

from proxy.acceptor import Acceptor
from proxy.access_log.record import Record
from proxy.edge.guard import DENIED
from proxy.http.answers import refusal
from proxy.http.downstream import Downstream
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import HeadLimits, RequestReader
from proxy.http.marks import Marks
from proxy.http.terms import Timeouts
from proxy.sockets import listen, remove_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from config.units import Bind
    from proxy.access_log.access_log import AccessLog
    from proxy.edge.access import Access
    from proxy.edge.header_rules import HeaderRules
    from proxy.edge.rate_limit import RateLimits
    from proxy.http.answers import Answer
    from proxy.http.exchange import Exchange
    from proxy.http.heads import RequestHead
    from proxy.http.terms import Terms
    from proxy.routes import Router

_REFUSED_AT_ONCE = 256  # clients too many that are being told so
_ROOM_AT_ONCE = 64  # idle connections closed at each sweep while descriptors are short
# What a listener has that is not made of its keys.
_OWN = frozenset(
    (
        "bind",
        "draining",
        "accepted",
        "refused",
        "answered",
        "overflowed",
        "_name",
        "_clients",
        "_refusing",
        "_by_address",
        "_acceptor",
        "_lent",
    )
)


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """How a listener treats its clients; numbers that are 0 are no limit."""

    limits: HeadLimits = HeadLimits()
    timeouts: Timeouts = Timeouts()
    forwarding: Forwarding = Forwarding()
    request_id: Literal["keep", "make", "none"] = "keep"
    allow_connect: bool = False
    allow_trace: bool = False
    connections: int = 0
    connections_per_client: int = 0
    requests_per_connection: int = 0
    response_rules: HeaderRules | None = None  # for the headers of our own answers


class Listener:
    """Accepts clients on one address."""

    def __init__(
        self, bind: Bind, router: Router[Terms], options: ListenerOptions, log: AccessLog | None = None
    ) -> None:
        self.bind = bind
        self.router = router
        self.options = options
        self.limits = options.limits
        self.timeouts = options.timeouts
        self.forwarding = options.forwarding
        self.response_rules = options.response_rules
        self.requests_per_connection = options.requests_per_connection
        self.reader = RequestReader(
            options.limits, allow_connect=options.allow_connect, allow_trace=options.allow_trace
        )
        self.make_id: Callable[[], bytes] | None = new_id if options.request_id != "none" else None
        self.keeps_ids = options.request_id == "keep"
        self.marks = Marks if log is not None else None
        self.access: Access | None = None  # who may connect; None: everybody
        self.rate_limits: RateLimits | None = None  # which the guards of its routes count too
        self.draining = False
        self.accepted = 0  # connections, since the start
        self.refused = 0  # requests that no instance was asked: malformed, or without a route
        self.answered = [0] * 6  # those that were answered here as they were to be, by the first digit of the status
        self.overflowed = 0  # connections refused for being one too many
        self._log = log
        self._name = str(bind)
        self._clients: set[Downstream] = set()
        self._refusing: set[Downstream] = set()  # those of them that are one too many
        self._by_address: Counter[str] = Counter()  # those let in; only where they are limited
        self._acceptor: Acceptor | None = None
        self._lent = False  # the sockets are somebody else's, who goes on listening when we end

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    @property
    def exhausted(self) -> int:
        """How often accepting had to pause for want of file descriptors."""
        return self._acceptor.exhausted if self._acceptor else 0

    @property
    def started(self) -> bool:
        """True once it has begun to accept clients."""
        return self._acceptor is not None

    @property
    def ports(self) -> list[int]:
        """The ports bound, for a configuration that asked for any."""
        return self._acceptor.ports if self._acceptor else []

    @property
    def address(self) -> str:
        """Where it listens; with the port that it got, if it asked for any."""
        ports = self.ports
        return str(replace(self.bind, port=ports[0])) if ports else str(self.bind)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets that it listens on; none before it does and once it drains."""
        return self._acceptor.sockets if self._acceptor else ()

    async def start(self) -> None:
        """Bind and accept. Raises BindError."""
        self.accept(await asyncio.to_thread(listen, self.bind))  # a name may have to be looked up

    def accept(self, sockets: Sequence[socket.socket], *, lent: bool = False) -> None:
        """Accept on sockets that listen already; `lent` by somebody who goes on listening when we end."""
        self._lent = lent
        self._acceptor = Acceptor(sockets, self._serve)
        self._acceptor.start()
        self._name = self.address

    @property
    def lent(self) -> bool:
        """Whether somebody else goes on listening on its sockets when it ends."""
        return self._lent

    def lend(self, lent: bool) -> None:
        """Take note that somebody else goes on listening on its sockets, or nobody any more."""
        self._lent = lent

    def adopt(self, other: Listener) -> None:
        """Treat clients from now on as one would that was made of other keys and has none itself.

        What was asked before ends under what it began with.
        """
        forwarding = self.forwarding
        for name, value in vars(other).items():
            if name not in _OWN:
                setattr(self, name, value)
        self._by_address.clear()
        limited = self.options.connections_per_client
        for client in self._clients:
            client.marks = self.marks
            if self.forwarding != forwarding:
                client.origin = client.origin.under(self.forwarding)
            if limited and client.origin.address and client not in self._refusing:
                self._by_address[client.origin.address] += 1

    async def _serve(self, sock: socket.socket) -> None:
        """Begin to speak with a client. An OSError is a connection that ended as it began."""
        _, client = await asyncio.get_running_loop().connect_accepted_socket(lambda: Downstream(self), sock)
        if self.draining:
            client.drain()

    def drain(self) -> None:
        """Accept nobody any more, and let those connected go once they are answered."""
        self.draining = True
        if self._acceptor is not None and self._acceptor.close(shared=self._lent) and self.bind.path and not self._lent:
            remove_socket(self.bind.path)
        for client in list(self._clients):
            client.drain()

    def say_goodbye(self) -> None:
        """Ask those to leave whose connections are tunnels."""
        for client in list(self._clients):
            client.say_goodbye()

    def abort(self) -> None:
        """Close every connection, answered or not."""
        for client in list(self._clients):
            client.abort()

    def sweep(self, now: float) -> None:
        """End the waits whose deadline has passed, and those for clients who left while they were not read from."""
        overdue = [
            client for client in self._clients if client.deadline <= now or client.paused or client.expires <= now
        ]
        for client in overdue:
            if client.deadline <= now or client.expires <= now:
                client.timed_out(now)
            elif client.is_gone():
                client.abort()
        if self._acceptor is not None and self._acceptor.paused:
            self._make_room()
            self._acceptor.resume()

    def joined(self, client: Downstream) -> Answer | None:
        """Count a client in; return the answer that it gets instead when it must be refused."""
        self.accepted += 1
        self._clients.add(client)
        options = self.options
        address = client.origin.address
        if self.access is not None and not self.access.admits(address):
            return self._refuse(client, 403, DENIED)
        most = options.connections_per_client if address else 0
        if most and self._by_address[address] >= most:
            return self._refuse(client, 503, f"more than {most} connections of one client")
        if options.connections and len(self._clients) - len(self._refusing) > options.connections:
            return self._refuse(client, 503, f"more than {options.connections} connections")
        if most:
            self._by_address[address] += 1
        return None

    def left(self, client: Downstream) -> None:
        """Count a client out."""
        self._clients.discard(client)
        if client in self._refusing:
            self._refusing.discard(client)
            return
        address = client.origin.address
        if self.options.connections_per_client and address:
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]

    def log_exchange(self, exchange: Exchange, status: int, downstream_end: str, upstream_end: str, error: str) -> None:
        """Write an exchange that has ended into the access log."""
        marks, log = exchange.marks, self._log
        assert marks is not None
        if log is None:
            return  # there was one when it began
        record = Record()
        record.duration = time.monotonic() - exchange.started
        record.time = time.time() - record.duration
        record.client = exchange.downstream.origin.client(exchange.request)
        record.listener, record.service = self._name, exchange.service.name
        record.endpoint, record.address, record.attempts = marks.endpoint, marks.address, marks.attempts
        record.request, record.request_id = exchange.request, exchange.request.request_id.decode()
        record.user = exchange.request.user
        record.status, record.received, record.sent = status, marks.received, marks.sent
        record.first_byte, record.own, record.reused = marks.first_byte, marks.own, marks.reused
        record.downstream_end, record.upstream_end, record.error = downstream_end, upstream_end, error
        log.write(record)

    def log_refusal(
        self, origin: Origin, request: RequestHead | None, status: int, error: str, started: float = 0.0, end: str = ""
    ) -> None:
        """Write a request that was answered here into the access log; `started` is when, if it had to wait."""
        log = self._log
        if log is None:
            return
        record = Record()
        record.duration = time.monotonic() - started if started else 0.0
        record.time = time.time() - record.duration
        record.client = origin.client(request) if request is not None else origin.address
        record.listener = self._name
        record.request, record.status, record.error = request, status, error
        record.request_id = request.request_id.decode() if request is not None else ""
        record.user = request.user if request is not None else b""
        ended = {408: "timeout", 400: "malformed"}.get(status, "refused") if error else "complete"
        record.downstream_end = end or ended
        log.write(record)

    def _refuse(self, client: Downstream, status: int, reason: str) -> Answer:
        self.overflowed += status == 503
        self._refusing.add(client)
        if len(self._refusing) > _REFUSED_AT_ONCE:
            client.transport.abort()  # a crowd that is turned away gets no answer each
        return refusal(status, reason)

    def _make_room(self) -> None:
        """Close some idle connections: the descriptors are worth more to those who wait to be accepted."""
        idle = (client for client in self._clients if client.idle)
        for client in list(islice(idle, _ROOM_AT_ONCE)):
            client.abort()


_process = b"%024x" % getrandbits(96)
_numbers = count()


def new_id() -> bytes:
    """Make a request ID: 96 random bits of this process, and a number. A random one for each would cost 0.3 µs more."""
    return b"%b%08x" % (_process, next(_numbers))
