"""A bound address whose clients speak HTTP, and what the access log is told of them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from random import getrandbits
from typing import TYPE_CHECKING, Final, Literal

from proxy.access_log.record import Record
from proxy.http.downstream import Downstream
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import HeadLimits, RequestReader
from proxy.http.marks import Marks
from proxy.http.terms import Timeouts
from proxy.listening import Listening
from proxy.tls.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.trusted import TrustedProxies
    from config.units import Bind
    from proxy.access_log.access_log import AccessLog
    from proxy.edge.header_rules import HeaderRules
    from proxy.edge.rate_limit import RateLimits
    from proxy.http.exchange import Exchange
    from proxy.http.heads import RequestHead
    from proxy.http.terms import Terms
    from proxy.proxy_protocol import Ends
    from proxy.routes import Router
    from proxy.tls.certificates import Certificates


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
    proxies: TrustedProxies | None = None  # those from which a PROXY header must come
    mode: int | None = None  # of a unix socket's file


class Listener(Listening["Downstream"]):
    """Accepts clients that speak HTTP on one address."""

    _made_of_keys = (
        *Listening._made_of_keys,
        "router",
        "limits",
        "forwarding",
        "response_rules",
        "requests_per_connection",
        "reader",
        "make_id",
        "keeps_ids",
        "marks",
        "rate_limits",
    )

    def __init__(
        self,
        bind: Bind,
        router: Router[Terms],
        options: ListenerOptions,
        log: AccessLog | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__(bind, options, log, certificates)
        self.router = router
        self.limits = options.limits
        self.forwarding = options.forwarding
        self.response_rules = options.response_rules
        self.requests_per_connection = options.requests_per_connection
        self.reader = RequestReader(
            options.limits, allow_connect=options.allow_connect, allow_trace=options.allow_trace
        )
        self.make_id: Callable[[], bytes] | None = new_id if options.request_id != "none" else None
        self.keeps_ids = options.request_id == "keep"
        self.marks = Marks if log is not None else None
        self.rate_limits: RateLimits | None = None  # which the guards of its routes count too

    def _client(self, proxied: Ends | None) -> Downstream:
        return Downstream(self, proxied)

    def _plain(self, proxied: Ends | None) -> Downstream:
        return Plain(self, proxied)

    def _renew(self, client: Downstream) -> None:
        client.marks = self.marks
        client.origin = client.origin.under(self.forwarding)

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
        if self.handshakes is not None:
            record.note_tls(exchange.downstream.origin.secured)
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
        if self.handshakes is not None:
            record.note_tls(origin.secured)
        log.write(record)


class Ids:
    """Makes request IDs: 96 random bits of this process, and a number. A random one for each would cost 0.3 µs more."""

    __slots__ = ("_block", "_number", "_process", "_start")

    def __init__(self) -> None:
        self._number = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have a forked process make others than the one that it was forked from."""
        self._process = b"%024x" % getrandbits(96)  # of a source that Python has seeded anew by now
        self._block = -1
        self._start = b""

    def make(self) -> bytes:
        """Make the next one. Its last two digits come from a table: to write the number costs 0.2 µs each time."""
        number = self._number
        self._number = number + 1
        if number >> 8 != self._block:
            self._block = number >> 8
            self._start = b"%b%06x" % (self._process, self._block & 0xFFFFFF)
        return self._start + _DIGITS[number & 0xFF]


_DIGITS: Final[list[bytes]] = [b"%02x" % number for number in range(256)]
_ids = Ids()
new_id = _ids.make
os.register_at_fork(after_in_child=_ids.begin_anew)
