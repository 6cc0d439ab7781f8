"""One raw connection between a client and an instance: who gets it, and how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from discovery.instance import Availability
from proxy.http.pipe import Pipe
from proxy.http.retries import untried
from proxy.http.terms import NEVER
from proxy.tcp.counts import Counts, counts_of
from proxy.tcp.raw import RawUpstream

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.http.connections import Connections, Unconnected
    from proxy.http.heads import RequestHead
    from proxy.http.pipe import End
    from proxy.http.terms import Terms
    from proxy.http.upstream import Upstream
    from proxy.proxy_protocol import Ends
    from proxy.tcp.client import Client


_LAST_WORDS = 2.0  # seconds of silence that end it, where an instance by TLS cannot be told that the client said all


class Conversation:
    """One client's connection at a service.

        begin -> find -> (wait -> woken ->) connect -> connected -> over
                  |                           |
                failed                    unconnected: another endpoint

    It has a place and counts as in flight like a request. Nothing is sent twice: once an instance has been reached, the
    connection is that instance's, for better or worse.
    """

    __slots__ = (
        "_connections",
        "_counts",
        "_failure",
        "_sent",
        "_tried",
        "_unconnected_since",
        "address",
        "attempts",
        "client",
        "ended",
        "endpoint",
        "first_byte",
        "name",
        "opening",
        "pipe",
        "service",
        "started",
        "terms",
    )

    def __init__(self, client: Client, opening: RequestHead, terms: Terms, now: float) -> None:
        self.client = client
        self.opening = opening  # what a balancer may look at
        self.terms = terms
        assert terms.service is not None
        self.service = terms.service
        self.started = now
        self.endpoint: Endpoint | None = None
        self.pipe: _Stream | None = None
        self.name = self.address = ""  # of the endpoint asked last
        self.attempts = 0
        self.first_byte: float | None = None  # from the instance, seconds after it began
        self._connections: Connections | None = None  # the endpoint's
        self._counts = counts_of(self.service.traffic)
        self.ended = False
        self._failure = ("", "unavailable")  # of the last try: in a sentence, and in a word
        self._sent = now  # when the last try began
        self._tried: set[Endpoint] = set()
        self._unconnected_since = NEVER

    def begin(self) -> None:
        """Start."""
        self.service.traffic.in_flight += 1
        self._counts.begun += 1
        self._counts.open += 1
        self.find(self.started)

    def find(self, now: float, *, woken: bool = False) -> None:
        """Find an endpoint and connect to it, or wait for a place; `woken` when it has waited for one."""
        service, tried, places = self.service, self._tried, self.service.places
        if places is None:
            endpoint = service.pool.pick(self.opening, tried)
        elif places.full or (places.waiting and not woken and not tried):
            self._wait(now, woken=woken)
            return
        else:
            endpoint = service.pool.pick(self.opening, tried, places.limits.in_flight_per_endpoint)
            if endpoint is None and untried(service.pool.open_to(self.opening), tried):
                self._wait(now, woken=woken)
                return
        if endpoint is None:
            failure, upstream_end = self._failure
            if failure:
                self._failed(f"no other instance is left to try: {failure}", upstream_end)
            else:
                self._failed(service.pool.why_none(self.opening), upstream_end)
            return
        if places is not None:
            places.taken += 1
        if tried:
            service.traffic.retries += 1
        self.endpoint, self._sent = endpoint, now
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1
        endpoint.requests += 1
        self.attempts += 1
        self.name, self.address = endpoint.instance.id, endpoint.instance.authority
        self.client.deadline = NEVER  # connecting has a deadline of its own
        self._connections = connections = service.connections[endpoint]
        connections.connect(self, RawUpstream)

    def woken(self) -> None:
        """Try: a place may have become free."""
        self.find(time.monotonic(), woken=True)

    def ends(self) -> Ends | None:
        """Return the ends of the client's connection, for a PROXY header."""
        return self.client.ends()

    def connected(self, upstream: Upstream, now: float) -> None:
        """Join both sides."""
        endpoint, connections = self.endpoint, self._connections
        assert endpoint is not None
        assert connections is not None
        assert isinstance(upstream, RawUpstream)
        if endpoint.latency is not None:
            endpoint.latency.observed(now - self._sent, now)
        if connections.raw is None:
            connections.raw = Counts()
        self.pipe = _Stream(self, upstream, connections.raw)
        self.pipe.open()

    def unconnected(self, failure: Unconnected) -> None:
        """Turn to another endpoint: this one cannot be connected to."""
        endpoint = self.endpoint
        assert endpoint is not None
        now = time.monotonic()
        if failure.ours:
            self._failed(failure.text, "overload")
            return
        self.service.pool.failed(endpoint, "connect", failure.text, now, self._sent)
        self._failure = (failure.text, "unconnected")
        self._tried.add(endpoint)
        self._unconnected_since = min(self._unconnected_since, now)
        self._leave_endpoint()
        if now - self._unconnected_since < self.terms.timeouts.connect:
            self.find(now)
        else:
            self._failed(f"no time is left to try another instance: {failure.text}", "unconnected")

    def heard(self) -> None:
        """Take in the instance's first byte."""
        self.first_byte = time.monotonic() - self.started
        if self.endpoint is not None and self.endpoint.suspect:
            self.endpoint.answered_well()

    def timed_out(self) -> None:
        """Give up: nothing moved for too long, or no place became free."""
        if self.pipe is not None:
            self.pipe.timed_out()
        else:
            self._failed("the service is full, and no place became free in time", "overload")

    def abandon(self) -> None:
        """Give up: the client is gone, or must be."""
        if self.ended:
            return
        if self.pipe is not None:
            self.pipe.close()
            return
        if self._connections is not None and self.endpoint is not None:
            self._connections.give_up(self)
        self._end("left", "aborted" if self.endpoint is not None else "none", "left", "")

    @property
    def drained(self) -> bool:
        """True while its endpoint is to be emptied, because an operator or the registry says so."""
        endpoint = self.endpoint
        return endpoint is not None and (
            bool(endpoint.drained) or endpoint.instance.availability is Availability.DRAINING
        )

    def over(self, downstream_end: str, upstream_end: str) -> None:
        """End: both sides are closed, or about to be."""
        endpoint, pipe = self.endpoint, self.pipe
        assert endpoint is not None
        assert pipe is not None
        if upstream_end == "reset" and not pipe.sent:
            failure = "the instance reset the connection before it had sent a byte"
            self.service.pool.failed(endpoint, "reset", failure, time.monotonic(), self._sent)
        elif (downstream_end, upstream_end) == ("complete", "complete") and endpoint.suspect:
            endpoint.answered_well()  # one that only takes has answered by not breaking off
        self._end(downstream_end, upstream_end, _reason(downstream_end, upstream_end), "")

    def _wait(self, now: float, *, woken: bool) -> None:
        """Wait for a place, as the first of all if it had one before or was woken to take one."""
        places, pool = self.service.places, self.service.pool
        assert places is not None
        first = woken or bool(self._tried)
        if places.wait(self, len(pool.candidates), first=first, choosy=bool(self._tried)):
            if not woken:
                self.client.deadline = now + self.terms.timeouts.queue
            if not woken and (first or not places.hopeless):
                places.wake()  # those before it may all be choosy, and what it has left may be for one behind it
        else:
            self._failed("the service has as many requests under way as it may", "overload")

    def _failed(self, error: str, upstream_end: str) -> None:
        """End without an instance."""
        self._end("refused", upstream_end, upstream_end, error)
        self.client.refused()

    def _leave_endpoint(self) -> None:
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            endpoint.in_flight -= 1
            endpoint.load.in_flight -= 1
            if self.service.places is not None:
                self.service.places.taken -= 1

    def _end(self, downstream_end: str, upstream_end: str, reason: str, error: str) -> None:
        self.ended = True
        duration = time.monotonic() - self.started
        self.service.traffic.in_flight -= 1
        self._counts.end(duration, reason)
        self.client.listener.log_conversation(self, duration, downstream_end, upstream_end, error)
        self._leave_endpoint()
        places = self.service.places
        if places is not None:
            places.leave(self)
            places.wake()


class _Stream(Pipe):
    """The pipe of a conversation, which counts what passes."""

    __slots__ = ("_conversation", "_of_endpoint", "_of_service", "_said_all", "_upstream")

    def __init__(self, conversation: Conversation, upstream: RawUpstream, counts: Counts) -> None:
        super().__init__(conversation.client, upstream, conversation.terms.timeouts.stream_idle)
        self._conversation = conversation
        self._said_all = False  # the client has, of which the instance could not be told
        self._upstream = upstream
        self._of_service = conversation._counts
        self._of_endpoint = counts
        counts.begun += 1
        counts.open += 1

    def open(self) -> None:
        """Begin, with what both have sent already, and let them be read."""
        client, upstream = self._conversation.client, self._upstream
        rest, upstream.early = upstream.early, b""
        self.join(client.early(), rest)
        for end, finished in ((self._to_client, client.finished), (self._to_instance, upstream.finished)):
            if finished and not self._closed:
                end.eof_received()
        for end in (self._to_client, self._to_instance):
            if not end.other.full and not end.transport.is_closing():
                end.transport.resume_reading()

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        self._of_service.bytes_in += len(data)
        self._of_endpoint.bytes_in += len(data)
        super().from_client(data)

    def from_instance(self, data: bytes) -> None:
        """Pass on what the instance sent."""
        if not self.sent:
            self._conversation.heard()
        self._of_service.bytes_out += len(data)
        self._of_endpoint.bytes_out += len(data)
        super().from_instance(data)

    def cannot_tell(self, end: End) -> None:
        """Give an instance time to answer what the client has said: to tell it so would be to hear no more of it."""
        if end is self._to_client:
            self._said_all = True
            self._idle = min(self._idle, _LAST_WORDS)
            self.moved()
        else:
            self.finish()

    def timed_out(self) -> None:
        """End: nothing has moved for too long, or the instance has no more to say."""
        if self._said_all:
            self.finish()
        else:
            super().timed_out()

    def over(self, downstream_end: str, upstream_end: str) -> None:
        """Tell the conversation."""
        self._of_endpoint.open -= 1
        self._conversation.over(downstream_end, upstream_end)


def _reason(downstream_end: str, upstream_end: str) -> str:
    """Say in a word why a connection did not end well; empty when it did."""
    if (downstream_end, upstream_end) == ("complete", "complete"):
        return ""
    if upstream_end in ("reset", "timeout"):
        return upstream_end
    return downstream_end if downstream_end in ("left", "cut") else ""
