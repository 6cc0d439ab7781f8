"""A simulated proxy: whom it asks, what it tries again, what it learns; a view of its own of the endpoints.

The pool, its policy, the health of its endpoints, the retries and their budget are those of `pointsman run`. What is
counted when follows proxy/http/dispatch.py and exchange.py, and the probes prober.py; all requests are idempotent.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from proxy.http.places import PlaceLimits, Places
from proxy.http.retries import RetryBudget, RetryPolicy, Tries, untried
from proxy.http.terms import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from balancers.endpoint import Endpoint
    from balancers.pool import Pool
    from config.probe import Probe
    from discovery.instance import Snapshot
    from proxy.http.terms import Timeouts
    from proxy.probe_pace import Pace
    from proxy.simulate.arrivals import Asked
    from proxy.simulate.clockwork import Clockwork
    from proxy.simulate.recording import Recording
    from proxy.simulate.replica import Replica

_ROUNDING = 1e-9  # seconds


class Request:
    """A request of a client's, from its arrival until the client has an answer."""

    __slots__ = ("arrived", "asked", "drawn", "sidecar", "tries", "until")

    def __init__(self, sidecar: Sidecar, asked: Asked, arrived: float, drawn: float) -> None:
        self.sidecar = sidecar
        self.asked = asked
        self.arrived = arrived
        self.drawn = drawn
        self.tries: Tries | None = None  # once something has failed
        self.until = 0.0  # when it has waited long enough for a place

    def woken(self) -> None:
        """Try: a place may have become free."""
        self.sidecar.woken(self)


class Attempt:
    """A request on its way to an endpoint, and back."""

    __slots__ = ("drawn", "due", "ended", "endpoint", "replica", "request", "sent", "sidecar", "status")

    probe = False

    def __init__(self, sidecar: Sidecar, request: Request, endpoint: Endpoint, replica: Replica, sent: float) -> None:
        self.sidecar = sidecar
        self.request = request
        self.endpoint = endpoint
        self.replica = replica
        self.sent = sent
        self.drawn = request.drawn
        self.status = 200
        self.due = 0.0
        self.ended = False  # nobody waits for it any more

    def answered(self, status: int) -> None:
        """Bring the answer back."""
        self.status = status
        if self.replica.distance:
            self.sidecar.later(self.replica, self.sidecar.answered, self)
        else:
            self.sidecar.answered(self)

    def refused(self) -> None:
        """Bring back that the connection was refused."""
        self.sidecar.later(self.replica, self.sidecar.refused, self)

    def broke(self) -> None:
        """Bring back that the connection broke."""
        self.sidecar.later(self.replica, self.sidecar.broke, self)


class Asking:
    """A probe on its way to an endpoint, and back."""

    __slots__ = ("detail", "drawn", "due", "ended", "endpoint", "passed", "replica", "sidecar", "status")

    probe = True

    def __init__(self, sidecar: Sidecar, endpoint: Endpoint, replica: Replica) -> None:
        self.sidecar = sidecar
        self.endpoint = endpoint
        self.replica = replica
        self.drawn = self.due = 0.0
        self.status = 200
        self.ended = False
        self.passed = False
        self.detail = ""

    def answered(self, status: int) -> None:
        """Bring the answer back."""
        self._found(status < 400, f"HTTP {status}")

    def refused(self) -> None:
        """Bring back that the connection was refused."""
        self._found(False, "connection refused")

    def broke(self) -> None:
        """Bring back that the connection broke."""
        self._found(False, "the connection broke")

    def _found(self, passed: bool, detail: str) -> None:
        self.passed, self.detail = passed, detail
        self.sidecar.later(self.replica, self.sidecar.probed, self)


class Planned:
    """The next probe of an endpoint, planned under an interval."""

    __slots__ = ("due", "endpoint", "interval")

    def __init__(self, endpoint: Endpoint, due: float, interval: float) -> None:
        self.endpoint = endpoint
        self.due = due
        self.interval = interval


class Sidecar:
    """One proxy of several. `replicas` has every process there is or was, by its identity."""

    def __init__(
        self,
        clock: Clockwork,
        pool: Pool,
        replicas: Mapping[str, Replica],
        recording: Recording,
        *,
        retries: RetryPolicy,
        budget: RetryBudget,
        timeouts: Timeouts,
        limits: PlaceLimits,
        probe: Probe | None,
        pace: Pace | None,
    ) -> None:
        self.pool = pool
        self.retries = 0
        self._clock = clock
        self._replicas = replicas
        self._recording = recording
        self._policy = retries
        self._budget = budget
        self._timeouts = timeouts
        self._patience = timeouts.response_head
        self.places = Places(limits) if limits else None
        self._probe = probe
        self._pace = pace
        self._probing: set[Endpoint] = set()
        self._planned: dict[Endpoint, Planned] = {}
        self._requests = 0
        self._unanswered: deque[Attempt] = deque()  # in the order in which their time is over
        self._watching = False

    def follow(self, snapshot: Snapshot) -> None:
        """Take over what the registry says now."""
        change = self.pool.update(snapshot, self._clock.now)
        if self._probe is not None:
            self._probing.difference_update(change.left)
            for endpoint in change.left:
                self._planned.pop(endpoint, None)
            for endpoint in change.joined:
                self._probing.add(endpoint)
                self._ask(endpoint)
        if self.places is not None:
            self.places.wake()

    def sweep(self) -> None:
        """Do what is due, as proxy/service.py has it swept."""
        self.pool.settle(self._clock.now)
        self._budget.sweep(self._clock.now, self._requests)
        if self._pace is not None:
            self._hasten(self._pace)
        if self.places is not None:
            self.places.wake()

    def take(self, asked: Asked, drawn: float) -> None:
        """Take a request from a client."""
        self._requests += 1
        self._find(Request(self, asked, self._clock.now, drawn))

    def woken(self, request: Request) -> None:
        """Try to find a place for a request that has waited for one."""
        self._find(request, woken=True)

    # What comes of an attempt.

    def later(self, replica: Replica, act: Callable[[Any], None], job: Attempt | Asking) -> None:
        """Have something known here once the way back is over.

        However short that is, it is a step of its own: a request that is refused by one endpoint after the other
        would else be as many calls deep.
        """
        self._clock.at(self._clock.now + replica.distance / 2, act, job)

    def answered(self, attempt: Attempt) -> None:
        """Take in an answer."""
        if attempt.ended:
            return
        now, endpoint, status = self._clock.now, attempt.endpoint, attempt.status
        if endpoint.latency is not None:
            endpoint.latency.observed(now - attempt.sent, now)
        if status >= 500:
            self.pool.failed(endpoint, "5xx", f"answered {status}", now)
            if status in self._policy.statuses and self._may_repeat(attempt.request):
                self._repeat(attempt, "5xx")
                return
        self._leave(attempt)
        if endpoint.suspect and status < 500:
            endpoint.answered_well()
        self._end(attempt.request, "5xx" if status >= 500 else "")

    def refused(self, attempt: Attempt) -> None:
        """Turn to another endpoint: this one cannot be connected to."""
        if attempt.ended:
            return
        now, request = self._clock.now, attempt.request
        self.pool.failed(attempt.endpoint, "connect", "connection refused", now, attempt.sent)
        tries = self._failed(attempt, "refused")
        tries.tried.add(attempt.endpoint)
        if tries.unconnected_since is None:
            tries.unconnected_since = now
        if now - tries.unconnected_since < self._timeouts.connect:
            self._find(request)
        else:
            self._end(request, "refused")

    def broke(self, attempt: Attempt) -> None:
        """Mend or report a connection that broke before the answer."""
        if attempt.ended:
            return
        now = self._clock.now
        self.pool.failed(attempt.endpoint, "reset", "the instance closed the connection early", now, attempt.sent)
        if self._policy.on_reset and self._may_repeat(attempt.request):
            self._repeat(attempt, "reset")
        else:
            self._leave(attempt)
            self._end(attempt.request, "reset")

    def _late(self, attempt: Attempt) -> None:
        """Try again or give up: there was no answer in time."""
        now = self._clock.now
        self.pool.failed(attempt.endpoint, "timeout", "the instance did not answer in time", now, attempt.sent)
        if self._policy.on_timeout and self._may_repeat(attempt.request):
            self._repeat(attempt, "timeout")
        else:
            self._leave(attempt)
            self._end(attempt.request, "timeout")

    # Steps.

    def _find(self, request: Request, *, woken: bool = False) -> None:
        now, tries, places = self._clock.now, request.tries, self.places
        tried = tries.tried if tries is not None else ()
        if places is None:
            endpoint = self.pool.pick(request.asked, tried)
        elif places.full or (places.waiting and not woken and tries is None):
            self._wait(request, woken=woken)
            return
        else:
            endpoint = self.pool.pick(request.asked, tried, places.limits.in_flight_per_endpoint)
            if endpoint is None and untried(self.pool.open_to(request.asked), tried):
                self._wait(request, woken=woken)
                return
        if endpoint is None:
            self._end(request, "nobody" if tries is None else tries.failure)
            return
        if places is not None:
            places.taken += 1
        if tries is not None:
            self.retries += 1
        endpoint.in_flight += 1
        endpoint.load.in_flight += 1
        endpoint.requests += 1
        replica = self._replicas[endpoint.instance.id]
        replica.tally.requests += 1
        attempt = Attempt(self, request, endpoint, replica, now)
        if self._patience != NEVER:
            self._watch(attempt)
        if replica.distance:
            self._clock.at(now + replica.distance / 2, replica.receive, attempt)
        else:
            replica.receive(attempt)

    def _leave(self, attempt: Attempt) -> None:
        attempt.ended = True
        attempt.endpoint.in_flight -= 1
        attempt.endpoint.load.in_flight -= 1
        if self.places is not None:
            self.places.taken -= 1

    def _end(self, request: Request, failure: str) -> None:
        self._recording.ended(request.arrived, self._clock.now, failure)
        if self.places is not None:
            self.places.leave(request)
            self.places.wake()

    def _wait(self, request: Request, *, woken: bool) -> None:
        """Wait for a place, as the first of all if it had one before or was woken to take one."""
        places = self.places
        assert places is not None
        pool, first = self.pool, woken or request.tries is not None
        choosy = request.tries is not None or pool.open_to(request.asked) is not pool.candidates
        if not places.wait(request, len(pool.candidates), first=first, choosy=choosy):
            self._end(request, "overload")
        elif not woken:
            request.until = self._clock.now + self._timeouts.queue
            self._clock.at(request.until, self._unplaced, request)
            if first or not places.hopeless:
                places.wake()  # those before it may all be choosy, and what it has left may be for one behind it

    def _unplaced(self, request: Request) -> None:
        """Give up: no place became free in time."""
        places = self.places
        if places is not None and request.until <= self._clock.now and places.leave(request):
            self._end(request, "overload")

    def _failed(self, attempt: Attempt, kind: str) -> Tries:
        """Have an attempt come to nothing, and remember what it was."""
        self._leave(attempt)
        tries = attempt.request.tries
        if tries is None:
            tries = attempt.request.tries = Tries()
        tries.failure = kind
        return tries

    def _may_repeat(self, request: Request) -> bool:
        done = request.tries.retries if request.tries is not None else 0
        return done < self._policy.attempts and self._budget.spend(self._requests)

    def _repeat(self, attempt: Attempt, kind: str) -> None:
        request = attempt.request
        tries = self._failed(attempt, kind)
        tries.retries += 1
        tries.tried.add(attempt.endpoint)
        tries.unconnected_since = None
        candidates = self.pool.open_to(request.asked)
        if untried(candidates, tries.tried) or not candidates:
            self._find(request)
            return
        tries.tried.clear()
        self._clock.at(self._clock.now + tries.pause(self._policy), self._find, request)

    def _watch(self, attempt: Attempt) -> None:
        """See to it that an attempt ends in time. One timer does for all: they all have the same time."""
        waiting = self._unanswered
        while waiting and waiting[0].ended:
            waiting.popleft()
        waiting.append(attempt)
        if not self._watching:
            self._watching = True
            self._clock.at(attempt.sent + self._patience, self._look)

    def _look(self, _: None) -> None:
        waiting, until = self._unanswered, self._clock.now - self._patience + _ROUNDING
        while waiting and (waiting[0].ended or waiting[0].sent <= until):
            attempt = waiting.popleft()
            if not attempt.ended:
                self._late(attempt)
        self._watching = bool(waiting)
        if waiting:
            self._clock.at(waiting[0].sent + self._patience, self._look)

    # Probes.

    def _ask(self, endpoint: Endpoint) -> None:
        probe = self._probe
        if probe is None or endpoint not in self._probing:
            return
        asking = Asking(self, endpoint, self._replicas[endpoint.instance.id])
        self._clock.at(self._clock.now + probe.timeout, self._unprobed, asking)
        self._clock.at(self._clock.now + asking.replica.distance / 2, self._knock, asking)

    def _knock(self, asking: Asking) -> None:
        if self._probe is None or not self._probe.tcp:
            asking.replica.receive(asking)
        elif asking.replica.takes_connections():
            asking.answered(200)
        else:
            asking.refused()

    def _unprobed(self, asking: Asking) -> None:
        if not asking.ended:
            asking.passed, asking.detail = False, "no answer in time"
            self.probed(asking)

    def probed(self, asking: Asking) -> None:
        """Take in what a probe found, and plan the next one."""
        pace, endpoint = self._pace, asking.endpoint
        if pace is None or asking.ended:
            return
        asking.ended = True
        if endpoint in self._probing:
            self.pool.probed(endpoint, asking.passed, asking.detail, self._clock.now)
            self._plan(endpoint, pace.pause(endpoint.health), pace)

    def _plan(self, endpoint: Endpoint, pause: float, pace: Pace) -> None:
        planned = Planned(endpoint, self._clock.now + pause, pace.interval(endpoint.health))
        self._planned[endpoint] = planned
        self._clock.at(planned.due, self._due, planned)

    def _due(self, planned: Planned) -> None:
        if self._planned.get(planned.endpoint) is planned:  # and has not come nearer since
            del self._planned[planned.endpoint]
            self._ask(planned.endpoint)

    def _hasten(self, pace: Pace) -> None:
        """Bring those probes nearer whose interval has become shorter."""
        if pace.traffic(self._requests, self.pool.load.in_flight, self._clock.now):
            shorter = list(self._planned.values())
        else:
            waiting = [
                self._planned[endpoint] for endpoint in self.pool.ejected_for_a_time if endpoint in self._planned
            ]
            shorter = [planned for planned in waiting if pace.interval(planned.endpoint.health) < planned.interval]
        for planned in shorter:
            soon = pace.soon(planned.endpoint.health)
            self._plan(planned.endpoint, min(soon, planned.due - self._clock.now), pace)
