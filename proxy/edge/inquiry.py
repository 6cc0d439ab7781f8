"""One request to the service that says whether another may pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.http.fields import BadMessageError
from proxy.http.retries import MAX_STALE, kind_of
from proxy.http.writing import Asks

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.edge.forward_auth import ForwardAuth
    from proxy.edge.step import Decided
    from proxy.http.answers import Answer
    from proxy.http.bodies import Content
    from proxy.http.connections import Connections, Unconnected
    from proxy.http.heads import RequestHead, ResponseHead
    from proxy.http.upstream import Upstream
    from proxy.service import Service

MOST_CONTENT = 64 * 1024  # bytes of an answer's body that are handed on to the client
_MOST_TRIES = 3  # endpoints asked, one after the other


class Inquiry(Asks):
    """Asks by the service's own pool and connections, whose health learns from it as from any request.

        start -> (connect ->) connected -> respond -> more* -> complete -> decided
                     |            |
                 unconnected     lost: another endpoint; malformed: given up

    It has a place of the service's while it lasts, and does not wait for one: the request behind it waits already.
    """

    def __init__(self, auth: ForwardAuth, request: RequestHead) -> None:
        self._auth = auth
        self._about = request
        self.request_whole = True  # it has no body
        self.request = request  # what is asked, once it has begun
        self._service: Service | None = None
        self._decided: Decided
        self._begun = self._sent = 0.0
        self._tried: set[Endpoint] = set()
        self._stale = 0
        self._endpoint: Endpoint | None = None
        self._connections: Connections | None = None
        self._upstream: Upstream | None = None
        self._response: ResponseHead | None = None
        self._content: bytearray | None = bytearray()  # None when it was too much

    @property
    def patience(self) -> float:
        """How long the service may take, in seconds."""
        return self._auth.patience

    def start(self, decided: Decided) -> None:
        """Ask the service."""
        self._decided = decided
        self._begun = time.monotonic()
        service = self._service = self._auth.service
        if service is None:
            decided(self._auth.fail(self._about, "there is no such service"))
            return
        self.request = self._auth.asked(self._about)
        service.traffic.in_flight += 1
        self._ask("")

    def timed_out(self) -> Answer | None:
        """Give up."""
        if self._service is not None and self._endpoint is not None:
            since = self._sent or self._begun
            self._service.pool.failed(self._endpoint, "timeout", "no answer in time", time.monotonic(), since)
        self._let_go()
        self._end(504)
        return self._auth.fail(self._about, "no answer in time")

    def drop(self) -> None:
        """Have nothing more to do with the service."""
        self._let_go()
        self._end(0)

    # As an exchange is told by its connections.

    def ends(self) -> None:
        """Have a PROXY header name nobody: it is we who ask."""

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the question."""
        self._upstream = upstream
        self._sent = now
        upstream.lend(self, self._auth.head(self._about, self.request, upstream.home.authority))

    def unconnected(self, failure: Unconnected) -> None:
        """Turn to another endpoint."""
        if failure.ours:
            self._fail(failure.text)
        else:
            self._another("connect", failure.text)

    def hold_client(self, held: bool) -> None:
        """There is no body to hold back."""

    def interim(self, response: ResponseHead) -> None:
        """It is not the answer."""

    def respond(self, response: ResponseHead, content: Content, whole: bool, trailers: bytes = b"") -> None:
        """Take in the answer's head, and what there is of its body."""
        endpoint, service = self._endpoint, self._service
        assert endpoint is not None
        assert service is not None
        now = time.monotonic()
        if endpoint.latency is not None:
            endpoint.latency.observed(now - self._sent, now)
        if response.status >= 500:
            service.pool.failed(endpoint, kind_of(response.status), f"answered {response.status}", now)
        self._response = response
        self.more(content, whole, trailers)

    def more(self, content: Content, whole: bool, trailers: bytes) -> None:
        """Take in a piece of the body; with one too many of them the rest is not read."""
        kept, upstream = self._content, self._upstream
        assert kept is not None
        kept += content
        if len(kept) > MOST_CONTENT:
            self._content = None
            if upstream is not None:
                upstream.abort()
            self.complete(time.monotonic())

    def moves(self) -> None:
        """The time that there is does not begin anew."""

    def switch(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> None:
        """Refuse. Raises BadMessageError."""
        raise BadMessageError("101 Switching Protocols, which nobody asked for")

    def complete(self, now: float) -> None:
        """Decide: the answer is whole, or as much of it as is wanted."""
        endpoint, response = self._endpoint, self._response
        assert endpoint is not None
        assert response is not None
        if endpoint.suspect and response.status < 500:
            endpoint.answered_well()
        self._upstream = None
        self._end(response.status)
        content = None if self._content is None else bytes(self._content)
        self._decided(self._auth.decide(self._about, response, content))

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Ask once more, elsewhere unless the connection was closed while it was idle."""
        self._upstream = None
        text = f"the connection was closed early: {exc or 'end of stream'}"
        if upstream.silent and upstream.reused and self._stale < MAX_STALE:
            self._stale += 1
            if self._connections is not None:
                self._connections.close_idle()
            self._leave()
            self._ask(text)
        else:
            self._another("reset", text)

    def malformed(self, failure: str) -> None:
        """Give up: what it sent makes no sense."""
        if self._service is not None and self._endpoint is not None:
            self._service.pool.failed(self._endpoint, "malformed", failure, time.monotonic(), self._sent)
        self._upstream = None
        self._fail(f"a malformed answer: {failure}")

    # Steps.

    def _ask(self, failure: str) -> None:
        """Ask an endpoint; `failure` is what came of the one before."""
        service = self._service
        assert service is not None
        places = service.places
        if places is not None and places.full:
            self._fail("it has as many requests under way as it may")
            return
        most = places.limits.in_flight_per_endpoint if places is not None else 0
        endpoint = service.pool.pick(self.request, self._tried, most)
        if endpoint is None or len(self._tried) >= _MOST_TRIES:
            self._fail(failure or service.pool.why_none(self.request))
            return
        if failure:
            service.traffic.retries += 1
        if places is not None:
            places.taken += 1
        self._endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1
        endpoint.requests += 1
        self._response, self._content = None, bytearray()
        connections = self._connections = service.connections[endpoint]
        upstream = connections.take()
        if upstream is not None:
            self.connected(upstream, time.monotonic())
        else:
            connections.connect(self)

    def _another(self, kind: str, text: str) -> None:
        endpoint, service = self._endpoint, self._service
        assert endpoint is not None
        assert service is not None
        service.pool.failed(endpoint, kind, text, time.monotonic(), self._sent or self._begun)
        self._tried.add(endpoint)
        self._leave()
        self._ask(text)

    def _fail(self, why: str) -> None:
        self._end(503)
        self._decided(self._auth.fail(self._about, why))

    def _let_go(self) -> None:
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None
        elif self._connections is not None:
            self._connections.give_up(self)

    def _leave(self) -> None:
        """Have no endpoint any more."""
        endpoint, service = self._endpoint, self._service
        if endpoint is None or service is None:
            return
        self._endpoint = None
        endpoint.in_flight -= 1
        endpoint.load.in_flight -= 1
        if service.places is not None:
            service.places.taken -= 1
            service.places.wake()

    def _end(self, status: int) -> None:
        """Count what came of it; 0 when nobody wanted to know any more."""
        self._leave()
        service = self._service
        if service is None:
            return
        self._service = None
        traffic = service.traffic
        traffic.in_flight -= 1
        if status:
            traffic.ended(status, time.monotonic() - self._begun)
        else:
            traffic.abandoned += 1
