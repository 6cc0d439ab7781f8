"""Who answers a request: its place, its tries, and when there is another one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from proxy.http.retries import MAX_STALE, Tries, kind_of, repeatable, untried
from proxy.http.terms import NEVER
from proxy.http.writing import Writes

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.http.connections import Connections, Unconnected
    from proxy.http.downstream import Downstream
    from proxy.http.heads import RequestHead
    from proxy.http.hedge import Hedge
    from proxy.http.marks import Marks
    from proxy.http.terms import Terms
    from proxy.http.tunnel import Tunnel
    from proxy.http.upstream import Upstream
    from proxy.proxy_protocol import Ends


class Dispatch(Writes):
    """Finds an endpoint for a request and a connection to it, and does so again when that comes to nothing.

        find -> (wait -> woken ->) (connect ->) connected
                                       |            |
                                  unconnected     lost, answered badly, not answered in time
                                       |            |
                                  another endpoint, or another try as far as the service's RetryPolicy goes

    A connection that cannot be made is tried to another endpoint, whatever the request. Anything else is tried again
    only if the request may be repeated: the instance may have acted on it. What is read and written is for the
    subclass, the Exchange; the two are one object because a request that goes well should not pay for two.
    """

    __slots__ = (
        "_chunked",
        "_connections",
        "_ended",
        "_hedge",
        "_pending",
        "_replay",
        "_sent",
        "_status",
        "_timer",
        "_tries",
        "downstream",
        "endpoint",
        "marks",
        "request",
        "request_whole",
        "service",
        "started",
        "terms",
        "tunnel",
        "upstream",
    )

    def __init__(self, downstream: Downstream, request: RequestHead, terms: Terms, now: float) -> None:
        self.downstream = downstream
        self.request = request
        self.terms = terms
        assert terms.service is not None
        self.service = terms.service
        self.started = now
        self.endpoint: Endpoint | None = None
        self._connections: Connections | None = None  # the endpoint's
        self.upstream: Upstream | None = None
        self.marks: Marks | None = None  # what the access log wants to know
        self.request_whole = False
        self._sent = now  # when the request was last sent
        self._pending = b""  # what there is of the request's body before there is a connection
        self._replay: bytes | bytearray | None = None  # what was sent of it, while that may have to be sent again
        self._tries: Tries | None = None
        self._hedge: Hedge | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the hedge, or of a try that is put off
        self._status = 0  # of the response whose head the client was sent
        self._ended = False
        # The exchange's own; a constructor of its own would cost 0.1 µs.
        self.tunnel: Tunnel | None = None
        self._chunked = False  # the response goes out in chunks

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request on a connection."""
        raise NotImplementedError

    def failed(self, status: int, error: str, downstream_end: str, upstream_end: str) -> None:
        """End badly."""
        raise NotImplementedError

    def ends(self) -> Ends | None:
        """Return the ends of the client's connection, for a PROXY header."""
        return self.downstream.ends()

    def find(self, now: float, *, woken: bool = False) -> None:
        """Find an endpoint and a connection to it, or wait for a place; `woken` when it has waited for one."""
        service, tries = self.service, self._tries
        places = service.places
        tried = tries.tried if tries is not None else ()
        if places is None:
            endpoint = service.pool.pick(self.request, tried)
        elif places.full or (places.waiting and not woken and tries is None):
            self._wait(now, woken=woken)
            return
        else:
            endpoint = service.pool.pick(self.request, tried, places.limits.in_flight_per_endpoint)
            if endpoint is None and untried(service.pool.open_to(self.request), tried):
                self._wait(now, woken=woken)
                return
        if endpoint is None:
            if tries is not None:
                text = f"no other instance is left to try: {tries.failure}"
                self.failed(tries.status, text, "complete", tries.upstream_end)
            else:
                self.failed(503, service.pool.why_none(self.request), "complete", "unavailable")
            return
        if tries is not None:
            service.traffic.retries += 1
        if places is not None:
            places.taken += 1
        self.endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1
        endpoint.requests += 1
        if self.marks is not None:
            self.marks.asks(endpoint)
        self._connections = connections = service.connections[endpoint]
        upstream = connections.take()
        if upstream is not None:
            self.connected(upstream, now)
            return
        self.downstream.deadline = NEVER  # connecting has a deadline of its own
        connections.connect(self)

    def woken(self) -> None:
        """Try: a place may have become free."""
        self.find(time.monotonic(), woken=True)

    def unconnected(self, failure: Unconnected) -> None:
        """Turn to another endpoint: this one cannot be connected to."""
        endpoint = self.endpoint
        assert endpoint is not None
        now = time.monotonic()
        if failure.ours:
            self.failed(503, failure.text, "complete", "overload")
            return
        self.service.pool.failed(endpoint, "connect", failure.text, now, self._sent)
        tries = self._fail(failure.text, failure.status, "unconnected")
        tries.tried.add(endpoint)
        if tries.unconnected_since is None:
            tries.unconnected_since = now
        self._leave_endpoint()
        if now - tries.unconnected_since < self.terms.timeouts.connect:
            self.find(now)
        else:
            text = f"no time is left to try another instance: {failure.text}"
            self.failed(failure.status, text, "complete", "unconnected")

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Mend or report a connection that the instance closed before its response was whole."""
        self.upstream = None
        endpoint, connections = self.endpoint, self._connections
        assert endpoint is not None
        assert connections is not None
        failure = f"the instance closed the connection early: {exc or 'end of stream'}"
        unanswered = upstream.silent and not self._status
        stale = unanswered and upstream.reused and repeatable(self.request, self._replay)
        if stale:
            tries = self._fail(failure, 502, "reset")
            tries.stale += 1
            stale = tries.stale <= MAX_STALE
        if not stale:
            self.service.pool.failed(endpoint, "reset", failure, time.monotonic(), self._sent)
        if self._hand_over(failure, 502, "reset"):
            return
        if stale:
            connections.close_idle()  # those it closed while they were idle fare no better
            self._rewind()
            self._leave_endpoint()
            self.find(time.monotonic())
        elif unanswered and self.service.retries.on_reset and self._may_repeat():
            connections.close_idle()
            self._repeat(failure, 502, "reset")
        else:
            self.failed(502, failure, "complete", "reset")

    def answered(self, endpoint: Endpoint, status: int) -> bool:
        """Take in a response that is an error, or to be tried again; true when somebody else is to answer."""
        service = self.service
        failure = f"the instance answered {status}"
        repeats = status in service.retries.statuses
        if status >= 500:
            service.pool.failed(endpoint, kind_of(status), f"answered {status}", time.monotonic())
        if (status >= 500 or repeats) and self._hand_over(failure, 502, "complete"):
            return True
        if not repeats or not self._may_repeat():
            return False
        self._let_go()
        self._repeat(failure, 502, "complete")
        return True

    def unanswered(self) -> None:
        """Try again or give up: the instance has not begun to answer in time."""
        failure = "the instance did not answer in time"
        assert self.endpoint is not None
        self.service.pool.failed(self.endpoint, "timeout", failure, time.monotonic(), self._sent)
        if self.service.retries.on_timeout and self._hand_over(failure, 504, "timeout"):
            return
        if self.service.retries.on_timeout and self._may_repeat():
            self._let_go()
            self._repeat(failure, 504, "timeout")
        else:
            self.failed(504, failure, "complete", "timeout")

    def unplaced(self) -> None:
        """Give up: no place became free in time."""
        self.failed(503, "the service is full, and no place became free in time", "complete", "overload")

    # Steps.

    def _wait(self, now: float, *, woken: bool) -> None:
        """Wait for a place, as the first of all if it had one before or was woken to take one."""
        places = self.service.places
        assert places is not None
        pool, first = self.service.pool, woken or self._tries is not None
        choosy = self._tries is not None or pool.open_to(self.request) is not pool.candidates
        if places.wait(self, len(pool.candidates), first=first, choosy=choosy):
            if not woken:
                self.downstream.deadline = now + self.terms.timeouts.queue
            self.downstream.steer()
            if not woken and (first or not places.hopeless):
                places.wake()  # those before it may all be choosy, and what it has left may be for one behind it
        else:
            text = "the service has as many requests under way as it may"
            self.failed(503, text, "complete", "overload")

    def _fail(self, failure: str, status: int, upstream_end: str) -> Tries:
        """Remember what this try came to."""
        if self._tries is None:
            self._tries = Tries()
        self._tries.failure, self._tries.status, self._tries.upstream_end = failure, status, upstream_end
        return self._tries

    def _hand_over(self, failure: str, status: int, upstream_end: str) -> bool:
        """Leave the request to its hedge, which has been sent already; false when there is none, or not sent yet."""
        hedge, endpoint = self._hedge, self.endpoint
        if hedge is None or endpoint is None:
            return False
        self._fail(failure, status, upstream_end).tried.add(endpoint)
        if not hedge.take_over():
            return False
        self.downstream.deadline = time.monotonic() + self.terms.timeouts.response_head
        return True

    def _may_repeat(self) -> bool:
        """Tell whether one more try is allowed, and take it out of the budget."""
        service = self.service
        retries = self._tries.retries if self._tries is not None else 0
        return (
            repeatable(self.request, self._replay)
            and retries < service.retries.attempts
            and service.budget.spend(service.traffic.requests)
        )

    def _repeat(self, failure: str, status: int, upstream_end: str) -> None:
        """Send the request once more: at once to an endpoint not tried yet, else after a pause."""
        service, endpoint = self.service, self.endpoint
        assert endpoint is not None
        tries = self._fail(failure, status, upstream_end)
        tries.retries += 1
        tries.tried.add(endpoint)
        tries.unconnected_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._rewind()
        self._leave_endpoint()
        now = time.monotonic()
        candidates = service.pool.open_to(self.request)
        if untried(candidates, tries.tried) or not candidates:
            self.find(now)
            return
        tries.tried.clear()  # all have failed it once: whoever is picked gets it again
        self.downstream.deadline = NEVER
        self._timer = asyncio.get_running_loop().call_later(tries.pause(service.retries), self._find_late)

    def _rewind(self) -> None:
        """Begin anew with what was sent of the body; until there is a connection again, no more of it is read."""
        self._pending = bytes(self._replay or b"")
        if not self.request_whole:
            self.downstream.hold(False)

    def _find_late(self) -> None:
        self._timer = None
        if not self._ended:
            self.find(time.monotonic())

    def _let_go(self) -> None:
        """Have nothing more to do with the instance."""
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None
        elif self._connections is not None:
            self._connections.give_up(self)

    def _leave_endpoint(self) -> None:
        endpoint = self.endpoint
        if endpoint is not None:
            endpoint.in_flight -= 1
            endpoint.load.in_flight -= 1
            self.endpoint = None
            if self.service.places is not None:
                self.service.places.taken -= 1
