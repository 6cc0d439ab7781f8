"""A request that is sent to another service too, whose answer nobody gets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.http.fields import BadMessageError
from proxy.http.retries import IDEMPOTENT, kind_of
from proxy.http.writing import Writes

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.http.bodies import Content
    from proxy.http.connections import Connections, Unconnected
    from proxy.http.heads import RequestHead, ResponseHead
    from proxy.http.upstream import Upstream
    from proxy.service import Service

_MOST_READ = 1024 * 1024  # bytes of a response's body that are read, so that its connection can be used again


class Copy(Writes):
    """Stands in for an exchange without a client.

    Its end, good or bad, counts for the service and the endpoint that it was sent to, and for nobody else. It is tried
    once; only a kept connection that turns out to be closed is replaced. `deadline` is when it has taken too long.
    """

    __slots__ = (
        "_connections",
        "_content",
        "_endpoint",
        "_read",
        "_sent",
        "_service",
        "_status",
        "_upstream",
        "deadline",
        "request",
        "request_whole",
    )

    def __init__(self, service: Service, request: RequestHead, content: bytes, deadline: float) -> None:
        self._service = service
        self.request = request
        self.request_whole = True  # it is sent only then
        self.deadline = deadline
        self._content = content
        self._endpoint: Endpoint | None = None
        self._connections: Connections | None = None
        self._upstream: Upstream | None = None
        self._sent = 0.0
        self._status = 0
        self._read = 0

    def start(self) -> None:
        """Ask an endpoint, unless the service has none to ask."""
        service = self._service
        copies, places = service.copies, service.places
        if self not in copies:
            return  # ended before it began
        if places is not None and (places.full or places.waiting):
            copies.drop("overload")  # the service's own requests come first
            copies.end(self)
            return
        endpoint = service.pool.pick(self.request, (), places.limits.in_flight_per_endpoint if places else 0)
        if endpoint is None:
            copies.drop("overload" if service.pool.open_to(self.request) else "unavailable")
            copies.end(self)
            return
        copies.sent += 1
        service.traffic.in_flight += 1
        self._endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1
        endpoint.requests += 1
        if places is not None:
            places.taken += 1
        self._connections = service.connections[endpoint]
        self._sent = time.monotonic()
        self._ask(self._connections.take())

    def timed_out(self, now: float) -> None:
        """Give up: it takes too long."""
        if not self._status and self._endpoint is not None:
            self._service.pool.failed(self._endpoint, "timeout", "the instance did not answer in time", now, self._sent)
        self._let_go()
        self._fail("timeout", 504)

    def abort(self) -> None:
        """Give up: we end."""
        self._let_go()
        self._service.traffic.abandoned += self._endpoint is not None
        self._end()

    # As an exchange is told by its connections.

    def ends(self) -> None:
        """Have a PROXY header name nobody: it is we who ask, and the client may be gone by then."""

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request."""
        self._upstream = upstream
        upstream.lend(self, self.head(upstream.home.authority) + self._content)

    def unconnected(self, failure: Unconnected) -> None:
        """Give up."""
        if not failure.ours:
            self._blame("connect", failure.text)
        self._fail("connect", failure.status)

    def hold_client(self, held: bool) -> None:
        """There is none to hold."""

    def interim(self, response: ResponseHead) -> None:
        """Nobody waits for it."""

    def respond(self, response: ResponseHead, content: Content, whole: bool, trailers: bytes = b"") -> None:
        """See what the answer is."""
        endpoint = self._endpoint
        assert endpoint is not None
        self._status = response.status
        if endpoint.latency is not None:
            now = time.monotonic()
            endpoint.latency.observed(now - self._sent, now)
        if response.status >= 500:
            self._blame(kind_of(response.status), f"answered {response.status}")
        self.more(content, whole, trailers)

    def more(self, content: Content, whole: bool, trailers: bytes) -> None:
        """Drop a piece of the response's body; close the connection of one that is longer than is worth reading."""
        self._read += len(content)
        if self._read > _MOST_READ and not whole:
            self._let_go()
            self.complete(time.monotonic())

    def moves(self) -> None:
        """It goes on; how long is for the deadline of the whole."""

    def switch(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> None:
        """Refuse: such requests are not copied."""
        raise BadMessageError("101 Switching Protocols, which nobody asked for")

    def complete(self, now: float) -> None:
        """End well: the response is whole."""
        endpoint = self._endpoint
        assert endpoint is not None
        if endpoint.suspect and self._status < 500:
            endpoint.answered_well()
        self._upstream = None
        self._service.traffic.ended(self._status, now - self._sent)
        self._end()

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Give up, unless the connection had been closed while it was idle."""
        self._upstream = None
        connections = self._connections
        assert connections is not None
        if upstream.silent and upstream.reused and self.request.method in IDEMPOTENT:
            connections.close_idle()  # those it closed while they were idle fare no better
            self._ask(None)
            return
        self._blame("reset", f"the instance closed the connection early: {exc or 'end of stream'}")
        self._fail("reset", 502)

    def malformed(self, failure: str) -> None:
        """Give up."""
        self._upstream = None
        self._blame("malformed", f"the instance sent a malformed response: {failure}")
        self._fail("malformed", 502)

    # Steps.

    def _ask(self, upstream: Upstream | None) -> None:
        if upstream is not None:
            self.connected(upstream, self._sent)
        elif self._connections is not None:
            self._connections.connect(self)

    def _blame(self, kind: str, detail: str) -> None:
        assert self._endpoint is not None
        self._service.pool.failed(self._endpoint, kind, detail, time.monotonic(), self._sent)

    def _let_go(self) -> None:
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None
        elif self._connections is not None:
            self._connections.give_up(self)

    def _fail(self, reason: str, status: int) -> None:
        service = self._service
        service.copies.failed[reason] += 1
        if self._status:
            service.traffic.broken += 1
        else:
            service.traffic.ended(status, time.monotonic() - self._sent)
        self._end()

    def _end(self) -> None:
        service, endpoint = self._service, self._endpoint
        service.copies.end(self)
        if endpoint is None:
            return
        self._endpoint = None
        service.traffic.in_flight -= 1
        endpoint.in_flight -= 1
        endpoint.load.in_flight -= 1
        if service.places is not None:
            service.places.taken -= 1
            service.places.wake()
