"""A second copy of a request that nobody has answered yet, at another endpoint: whoever answers first wins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.http.retries import kind_of
from proxy.http.writing import Asks

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.http.bodies import Content
    from proxy.http.connections import Connections, Unconnected
    from proxy.http.exchange import Exchange
    from proxy.http.heads import ResponseHead
    from proxy.http.upstream import Upstream
    from proxy.proxy_protocol import Ends


class Hedge(Asks):
    """Stands in for an exchange on the second connection (Dean and Barroso, "The Tail at Scale", 2013).

    Until its instance answers it is on its own: whatever goes wrong with it, an answer of 5xx included, ends it without
    a word to the client, and counts against its endpoint as any failure does. With the first good answer the exchange
    adopts it, and it hands everything on. Of the service's places it has one of its own.
    """

    __slots__ = (
        "_adopted",
        "_exchange",
        "_pending",
        "connections",
        "endpoint",
        "request",
        "request_whole",
        "sent",
        "upstream",
    )

    def __init__(self, exchange: Exchange, endpoint: Endpoint, connections: Connections, content: bytes) -> None:
        self._exchange = exchange
        self._pending = content
        self._adopted = False
        self.request = exchange.request
        self.request_whole = True  # a request is hedged only then
        self.endpoint = endpoint
        self.connections = connections
        self.upstream: Upstream | None = None
        self.sent = 0.0  # when

    def start(self) -> None:
        """Ask the endpoint."""
        self.sent = time.monotonic()
        self.endpoint.in_flight += 1
        self.endpoint.load.in_flight += 1
        self.endpoint.requests += 1
        places = self._exchange.service.places
        if places is not None:
            places.taken += 1
        upstream = self.connections.take()
        if upstream is not None:
            self.connected(upstream, 0.0)
        else:
            self.connections.connect(self)

    def take_over(self) -> bool:
        """Be the only try from now on: the one before has failed. Without a connection yet, end and return False."""
        if self.upstream is None:
            self.drop()
            return False
        self._adopt(self.upstream)
        return True

    def drop(self) -> None:
        """Have nothing more to do with the instance."""
        if self._adopted:
            return
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None
        else:
            self.connections.give_up(self)
        self._end()

    # As an exchange is told by its connections.

    def ends(self) -> Ends | None:
        """Return the ends of the client's connection, for a PROXY header."""
        return self._exchange.ends()

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request."""
        self.upstream = upstream
        upstream.lend(self, self._exchange.head(upstream.home.authority) + self._pending)

    def unconnected(self, failure: Unconnected) -> None:
        """Give up."""
        if not failure.ours:
            self._failed("connect", failure.text)
        self._end()

    def hold_client(self, held: bool) -> None:
        """The client has sent all: there is nothing to hold."""

    def interim(self, response: ResponseHead) -> None:
        """Pass it on once the exchange is ours; before, the other connection may still be the one that answers."""
        if self._adopted:
            self._exchange.interim(response)

    def respond(self, response: ResponseHead, content: Content, whole: bool, trailers: bytes = b"") -> None:
        """Win, if it is a good answer."""
        if not self._adopted:
            upstream = self.upstream
            assert upstream is not None
            if response.status >= 500:
                self._failed(kind_of(response.status), f"answered {response.status}")
                self.drop()
                return
            self._adopt(upstream)
        self._exchange.respond(response, content, whole, trailers)

    def more(self, content: Content, whole: bool, trailers: bytes) -> None:
        """Hand on."""
        self._exchange.more(content, whole, trailers)

    def moves(self) -> None:
        """Hand on."""
        self._exchange.moves()

    def switch(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> None:
        """Refuse: such requests are not hedged."""
        self._exchange.switch(upstream, response, rest)

    def complete(self, now: float) -> None:
        """Hand on."""
        self._exchange.complete(now)

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Give up, or hand on."""
        if self._adopted:
            self._exchange.lost(upstream, exc)
        else:
            if not (upstream.silent and upstream.reused):  # else the instance had closed it while it was idle
                self._failed("reset", f"the instance closed the connection early: {exc or 'end of stream'}")
            self.upstream = None
            self._end()

    def malformed(self, failure: str) -> None:
        """Give up, or hand on."""
        if self._adopted:
            self._exchange.malformed(failure)
        else:
            self._failed("malformed", f"the instance sent a malformed response: {failure}")
            self.upstream = None
            self._end()

    def _failed(self, kind: str, detail: str) -> None:
        self._exchange.service.pool.failed(self.endpoint, kind, detail, time.monotonic(), self.sent)

    def _adopt(self, upstream: Upstream) -> None:
        self._adopted = True
        self._exchange.adopt(self, upstream)

    def _end(self) -> None:
        self.endpoint.in_flight -= 1
        self.endpoint.load.in_flight -= 1
        self._exchange.unhedged()
        places = self._exchange.service.places
        if places is not None:
            places.taken -= 1
            places.wake()
