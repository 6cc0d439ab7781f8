"""A service's endpoints as this process sees them: who exists, who may be picked, who is picked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from balancers.choice import plainly
from balancers.drains import Drains
from balancers.endpoint import Endpoint, Load
from balancers.health import ANSWERS, Health, Thresholds
from balancers.outliers import Detection, Sample, outliers
from balancers.random import Random as Evenly
from balancers.wording import difference, none_of, said, why_unoffered

if TYPE_CHECKING:
    from random import Random

    from balancers.balancer import Policy, Request
    from balancers.choice import Choice, Compose
    from balancers.known import Known
    from balancers.slow_start import SlowStart
    from balancers.sticky import Sticky
    from discovery.instance import Instance, Snapshot

CAUSES = ("probe", "5xx", "gateway", "local", "success_rate", "failure_percentage")  # of ejections
_STEP = 0.02  # of a weight, by which it must have grown to be in force
_ROUNDING = 1e-9  # 57 % of 100 are 57, and not 56.99999999999999

# What happened, to which endpoint ("" for the pool as a whole), and why: see `Pool.record`.
Record = Callable[[str, str, str], None]


class Tells(Protocol):
    """Whoever tells other processes, which have a pool of the same endpoints, what was found of one."""

    def probed(self, endpoint: Endpoint, passed: bool, detail: str, /) -> None:
        """Tell of a probe, before it counts here."""
        ...

    def ejected(self, endpoint: Endpoint, cause: str, /) -> None:
        """Tell of an ejection for what requests found."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What an update did to the set of endpoints."""

    joined: tuple[Endpoint, ...]
    left: tuple[Endpoint, ...]


class Pool:
    """The endpoints of one service.

    `update` follows the registry's snapshots by identity, `probed` takes in what probes found, `pick` chooses. Times
    are seconds of the caller's monotonic clock. `panic_threshold` is a share from 0 to 1: while fewer of the endpoints
    that the registry offers are healthy, health is ignored and all of them are used; 0 never panics. Of endpoints with
    different priorities, the first level that would not panic is used, and the very first when all would.
    `max_ejection` is the share that may be ejected for what requests found; one always may while another one is left.
    `detection` says when one does far worse than the others, and an ejection lasts up to `jitter` seconds longer.
    With `slow_start` an endpoint that joins others, or is readmitted, counts with a part of its weight at first, which
    `settle` lets grow. With `sticky` a request goes to the endpoint that its cookie names, while that is a candidate.

    What an operator has drained takes no requests, and does not count for panic, until it is undrained.

    Events are told to `record` as they happen: joined, left, changed, ejected, readmitted, drained, undrained, panic,
    calm, unbalanced, balanced.
    """

    def __init__(
        self,
        policy: Policy,
        random: Random,
        *,
        compose: Compose = plainly,
        slow_start: SlowStart | None = None,
        sticky: Sticky | None = None,
        panic_threshold: float = 0.5,
        max_ejection: float = 0.1,
        detection: Detection = Detection(),
        jitter: float = 0.0,
        thresholds: Thresholds = Thresholds(),
        record: Record = lambda kind, endpoint, reason: None,
    ) -> None:
        self._policy = policy
        self._compose = compose
        self._slow_start = slow_start
        self.sticky = sticky
        self._open: frozenset[Endpoint] = frozenset()  # the candidates, where cookies may name them
        self._warming: dict[Endpoint, float] = {}  # those that have come, or come back, and since when
        self._random = random
        self._panic_threshold = panic_threshold
        self._max_ejection = max_ejection
        self._detection = detection
        self._jitter = jitter
        self._thresholds = thresholds
        self._record = record
        self.tells: Tells | None = None  # what other processes must know, where there are some
        self.judges = True  # whether outliers are looked for here, and not by who knows what all processes found
        self.drains = Drains()
        self.load = Load()  # of its endpoints together, those that have left and still have requests included
        self._endpoints: dict[str, Endpoint] = {}
        self._candidates: list[Endpoint] = []
        self._balancer: Choice | None = None
        self._panic = False
        self._unbuilt = False  # the balancer in force stands in for one that could not be built, or not pick
        self._stale = False
        self._known = False  # a snapshot has come
        self._timed: set[Endpoint] = set()  # those ejected for a time
        self._counts: dict[Endpoint, tuple[int, int]] = {}  # requests that ended and failures, when the interval began
        self._interval_ends = 0.0
        self.ejections_by = dict.fromkeys(CAUSES, 0)  # of endpoints that have left, too

    def adopt(self, other: Pool, now: float, *, probed: bool, same_policy: bool) -> None:
        """Go by the rules of another pool, which has no endpoints, from now on; what was learned of ours stays.

        `probed` says whether there are probes: without them, what they found must keep nobody out for ever. A balancer
        of the `same_policy` gets the one before it; another one begins anew, and so do the latencies that it measures.
        """
        if not same_policy:
            self._balancer = None
        self._policy, self._compose, self._thresholds = other._policy, other._compose, other._thresholds
        self._panic_threshold, self._max_ejection = other._panic_threshold, other._max_ejection
        self._detection, self._jitter, self._slow_start = other._detection, other._jitter, other._slow_start
        if self._slow_start is None:
            for endpoint in self._warming:
                endpoint.weight = float(endpoint.instance.weight)
            self._warming.clear()
        self.sticky = other.sticky
        if self.sticky is not None:
            self.sticky.follow(self._endpoints.values(), ())
        for endpoint in self._endpoints.values():
            if not same_policy:
                endpoint.latency = None
            endpoint.health.adopt(self._thresholds)
            if not probed and endpoint.health.unprobed(now):
                self._readmitted(endpoint)
        self._stale = True

    @property
    def ejections(self) -> int:
        """How many ejections there were."""
        return sum(self.ejections_by.values())

    @property
    def endpoints(self) -> Collection[Endpoint]:
        """All endpoints, those that may not be picked included."""
        return self._endpoints.values()

    @property
    def ejected_for_a_time(self) -> Collection[Endpoint]:
        """The endpoints that are out for what requests met."""
        return self._timed

    @property
    def candidates(self) -> Collection[Endpoint]:
        """The endpoints that are picked from at present."""
        self._refresh()
        return self._candidates

    @property
    def panic(self) -> bool:
        """True while too few endpoints are healthy and health is therefore ignored."""
        self._refresh()
        return self._panic

    def pick(self, request: Request | None = None, tried: Collection[Endpoint] = (), most: int = 0) -> Endpoint | None:
        """Choose an endpoint that is not among `tried` and has less than `most` in flight; None when there is none."""
        if self._stale:
            self._refresh()
        balancer = self._balancer
        if balancer is None:
            return None
        if self.sticky is not None and request is not None:
            endpoint = self._named(self.sticky, request)
            if endpoint is not None and endpoint not in tried and (not most or endpoint.in_flight < most):
                return endpoint
        try:
            if not tried and not most:
                return balancer.pick(request)
            return self._pick_another(balancer, request, tried, most)
        except Exception as error:  # whatever somebody else's balancer may raise; a request is not to end for that
            self._balancer = self._stand_in(self._candidates, f"the balancer cannot pick: {said(error)}")
            return self._pick_another(self._balancer, request, tried, most)

    def _pick_another(
        self, balancer: Choice, request: Request | None, tried: Collection[Endpoint], most: int
    ) -> Endpoint | None:
        for _ in range(len(tried) + 2):
            endpoint = balancer.pick(request)
            if endpoint is None:
                return None
            if endpoint not in tried and (not most or endpoint.in_flight < most):
                return endpoint
        # A policy may insist (a heavy weight, a hash): then the first that is left.
        left = (endpoint for endpoint in self.open_to(request) if endpoint not in tried)
        return next((endpoint for endpoint in left if not most or endpoint.in_flight < most), None)

    def _named(self, sticky: Sticky, request: Request) -> Endpoint | None:
        """Return the endpoint that the request's cookie names, if it may have the request."""
        endpoint = sticky.endpoint(request)
        if endpoint not in self._open:
            return None
        is_parted = hasattr(self._balancer, "open_to")
        return endpoint if not is_parted or endpoint in self.open_to(request) else None

    def open_to(self, request: Request | None) -> Collection[Endpoint]:
        """Return the candidates that a request may go to: all of them, or those of its subset."""
        self._refresh()
        open_to = getattr(self._balancer, "open_to", None)
        return self._candidates if open_to is None else cast("Collection[Endpoint]", open_to(request))

    def update(self, snapshot: Snapshot, now: float) -> Change:
        """Follow a snapshot: endpoints whose identity and address are still there keep all that was learned of them."""
        before: dict[str, Endpoint] = self._endpoints
        after: dict[str, Endpoint] = {}
        joined: list[Endpoint] = []
        for instance in snapshot.instances:
            identity = instance.id
            endpoint = before.get(identity)
            if endpoint is None or _moved(endpoint.instance, instance):
                endpoint = Endpoint(instance, Health(self._thresholds, now), self.load)
                joined.append(endpoint)
                self._record("joined", identity, f"at {instance.authority}, weight {instance.weight}")
            elif endpoint.instance is not instance and endpoint.instance != instance:
                self._record("changed", identity, difference(endpoint.instance, instance))
                endpoint.follow(instance)
                self._weigh(endpoint, now)
            after[identity] = endpoint
        left: tuple[Endpoint, ...] = ()
        if len(after) - len(joined) != len(before):
            left = tuple(endpoint for identity, endpoint in before.items() if after.get(identity) is not endpoint)
        for endpoint in left:
            self._record("left", endpoint.instance.id, f"was at {endpoint.instance.authority}")
            self._warming.pop(endpoint, None)
        self._timed.difference_update(left)
        if self._slow_start is not None and self._known and len(joined) < len(after):
            # Where all are new there is nobody to take what they do not bear yet.
            for endpoint in joined:
                if endpoint.health.state == "healthy":
                    self._warm_up(endpoint, now)
        if self.sticky is not None:
            self.sticky.follow(joined, left)
        if self.drains.reasons:
            self.drains.follow(joined, left)
        self._endpoints = after
        self._known = self._stale = True
        return Change(tuple(joined), left)

    def answers(self, identity: str) -> bool | None:
        """Tell whether an endpoint's probes pass; None if that is not known, or if there is no such endpoint."""
        endpoint = self._endpoints.get(identity)
        return None if endpoint is None else endpoint.health.answers

    def endpoint(self, identity: str) -> Endpoint | None:
        """Return the endpoint of this identity; None when there is none."""
        return self._endpoints.get(identity)

    def drain(self, endpoint: Endpoint, reason: str) -> bool:
        """Give an endpoint no new requests, whatever the registry tells of its identity, until `undrain`.

        False when it is drained already, or has left.
        """
        identity = endpoint.instance.id
        if self._endpoints.get(identity) is not endpoint or not self.drains.add(endpoint, reason):
            return False
        self._record("drained", identity, reason)
        self._stale = True
        return True

    def undrain(self, identity: str, reason: str, now: float) -> bool:
        """Let an identity have requests again, and as one that is readmitted; False when it is not drained."""
        endpoint = self._endpoints.get(identity)
        if not self.drains.remove(identity, endpoint):
            return False
        if endpoint is not None and endpoint.pickable:
            self._warm_up(endpoint, now)
        self._record("undrained", identity, reason)
        self._stale = True
        return True

    def probed(self, endpoint: Endpoint, passed: bool, detail: str, now: float) -> None:
        """Take in the outcome of a probe of one of the pool's endpoints."""
        if self.tells is not None:
            self.tells.probed(endpoint, passed, detail)
        health = endpoint.health
        if health.probed(passed, detail, now):
            if health.state == "healthy":
                self._readmitted(endpoint)
            else:
                self._ejected(endpoint, "probe")

    def failed(self, endpoint: Endpoint, kind: str, detail: str, now: float, since: float | None = None) -> None:
        """Take in that a request failed at an endpoint: connect, reset, timeout, malformed, gateway (502 to 504), 5xx.

        `since` is when it was sent; left out, it counts as just sent.
        """
        if endpoint.latency is not None and kind not in ANSWERS:
            endpoint.latency.failed(now - (now if since is None else since), now)
        reason = endpoint.failed(kind, detail)
        if reason and self._may_eject(endpoint):
            self._eject(endpoint, endpoint.health.blame, reason, now)

    def settle(self, now: float) -> None:
        """Readmit those whose time is over, and do now what the next pick would do first, so that panic is told of."""
        for endpoint in [endpoint for endpoint in self._timed if endpoint.health.until <= now]:
            self._timed.discard(endpoint)
            if endpoint.health.expire(now):
                self._readmitted(endpoint)
        if self._detection.is_on and self.judges and now >= self._interval_ends:
            self._judge(now)
        for endpoint in list(self._warming):
            self._weigh(endpoint, now)
        self._refresh()
        work = getattr(self._balancer, "work", None)  # what a policy has put off
        if work is not None:
            work()

    def _may_eject(self, endpoint: Endpoint) -> bool:
        """Tell whether one more may be ejected for what requests found: an outage of all must not leave nobody."""
        if self._endpoints.get(endpoint.instance.id) is not endpoint:
            return False  # it has left
        offered = [other for other in self._endpoints.values() if other.offered]
        most = max(int(self._max_ejection * len(offered) + _ROUNDING), 1)
        out = sum(1 for other in self._timed if other.offered)
        return out < most and any(other.pickable for other in offered if other is not endpoint)

    def _eject(self, endpoint: Endpoint, cause: str, reason: str, now: float) -> None:
        """Take one out for a time, for what requests found."""
        endpoint.health.eject(cause, reason, now, self._jitter and self._jitter * self._random.random())
        self._timed.add(endpoint)
        self._ejected(endpoint, cause)
        if self.tells is not None:
            self.tells.ejected(endpoint, cause)

    def eject_as_told(self, identity: str, cause: str, reason: str, until: float, now: float) -> bool:
        """Take one out that another process has taken out for what requests found there; false when it is out."""
        endpoint = self._endpoints.get(identity)
        if endpoint is None or endpoint.health.state != "healthy":
            return False
        endpoint.health.eject(cause, reason, now)
        endpoint.health.until = until
        self._timed.add(endpoint)
        self._ejected(endpoint, cause)
        return True

    def begin_with(self, known: Mapping[str, Known]) -> None:
        """Take over, by identity, what another process knows of the endpoints' health."""
        for identity, one in known.items():
            endpoint = self._endpoints.get(identity)
            if endpoint is not None:
                endpoint.health.begin_with(one)
                self._timed.discard(endpoint)
                if one.state == "ejected" and one.cause != "probe":
                    self._timed.add(endpoint)
        self._stale = True

    def _judge(self, now: float) -> None:
        """Compare what the endpoints did since the last time, and eject those that did far worse."""
        before, self._counts = self._counts, {}
        samples: list[Sample] = []
        for endpoint in self._endpoints.values():
            ended, failures = endpoint.requests - endpoint.in_flight, endpoint.failures
            self._counts[endpoint] = (ended, failures)
            ended_before, failures_before = before.get(endpoint, (0, 0))
            if endpoint.pickable and ended > ended_before:
                # A try that was given up may have ended as a failure before this, and be counted in this interval.
                failed = min(failures - failures_before, ended - ended_before)
                samples.append(Sample(endpoint, ended - ended_before, failed))
        if self._interval_ends:
            for one in outliers(samples, self._detection):
                if self._may_eject(one.endpoint):
                    self._eject(one.endpoint, one.cause, one.reason, now)
        self._interval_ends = now + self._detection.interval

    def _ejected(self, endpoint: Endpoint, cause: str) -> None:
        self.ejections_by[cause] += 1
        self._record("ejected", endpoint.instance.id, endpoint.health.reason)
        self._stale = True

    def _warm_up(self, endpoint: Endpoint, now: float) -> None:
        """Begin with a small part of its weight."""
        if self._slow_start is not None:
            self._warming[endpoint] = now
            self._weigh(endpoint, now)

    def _weigh(self, endpoint: Endpoint, now: float) -> None:
        """Work out the weight that is in force of an endpoint that has come, or come back."""
        since = self._warming.get(endpoint)
        if since is None or self._slow_start is None:
            return
        factor = self._slow_start.factor(now - since)
        whole = endpoint.instance.weight
        if factor >= 1.0:
            del self._warming[endpoint]
        elif abs(factor * whole - endpoint.weight) < _STEP * whole:
            return  # too little to build the policy anew for
        endpoint.weight = factor * whole
        self._stale = True

    def _readmitted(self, endpoint: Endpoint) -> None:
        self._timed.discard(endpoint)
        self._warm_up(endpoint, endpoint.health.since)
        self._record("readmitted", endpoint.instance.id, endpoint.health.reason)
        self._stale = True

    def why_none(self, request: Request | None = None) -> str:
        """Say why `pick` has nobody to choose, in a sentence for the client who is refused."""
        if self._candidates and not self.open_to(request):
            return "none of its instances belongs to the subset that the request asks for"
        if not self._known:
            return "its registry has not answered yet"
        endpoints = self._endpoints.values()
        if not endpoints:
            return "no instance is registered"
        offered = [endpoint for endpoint in endpoints if endpoint.offered]
        if not offered:
            return why_unoffered(endpoints)
        unfit = offered[0]
        return f"{none_of(offered)} healthy; {unfit.instance.id}: {unfit.health.reason}"

    def _refresh(self) -> None:
        """Work out anew who may be picked; put off to the first pick, so that a burst of changes costs it once."""
        if not self._stale:
            return
        self._stale = False
        healthy, fallible, panic = self._level()
        if panic != self._panic:
            self._panic = panic
            share = f"{len(healthy)} of {len(fallible)} endpoints are healthy"
            self._record("panic" if panic else "calm", "", f"{share}, the threshold is {self._panic_threshold:.0%}")
        self._candidates = candidates = fallible if panic else healthy
        if self.sticky is not None:
            self._open = frozenset(candidates)
        previous, self._balancer = None if self._unbuilt else self._balancer, None
        if candidates:
            self._balancer = self._built(candidates, fallible, previous)

    def _built(self, candidates: list[Endpoint], fallible: list[Endpoint], previous: Choice | None) -> Choice:
        """Build the balancer; if that fails, as one of a user's own may, give every candidate the same chance."""
        try:
            balancer = self._compose(self._policy, candidates, fallible, self._random, previous)
        except Exception as error:  # whatever somebody else's constructor may raise
            return self._stand_in(candidates, f"the balancer cannot be built: {said(error)}")
        if self._unbuilt:
            self._unbuilt = False
            self._record("balanced", "", "the balancer can be built again")
        return balancer

    def _stand_in(self, candidates: list[Endpoint], why: str) -> Choice:
        """Give every candidate the same chance until the balancer can be built, anew, for a changed set."""
        if not self._unbuilt:
            self._record("unbalanced", "", f"{why}; until it can, every endpoint has the same chance")
        self._unbuilt = True
        return Evenly(candidates, self._random)

    def _level(self) -> tuple[list[Endpoint], list[Endpoint], bool]:
        """Return the healthy endpoints of the level of priority that is used, those of it that can fail, and panic."""
        everybody = [endpoint for endpoint in self._endpoints.values() if endpoint.offered]
        levels = {0: everybody}
        if len({endpoint.instance.priority for endpoint in everybody}) > 1:
            levels = {}
            for endpoint in everybody:
                levels.setdefault(endpoint.instance.priority, []).append(endpoint)
        first: tuple[list[Endpoint], list[Endpoint], bool] | None = None
        for _, offered in sorted(levels.items()):
            healthy = [endpoint for endpoint in offered if endpoint.health.state == "healthy"]
            # One that must pass first and never did was never fit: panic does not send it traffic either.
            fallible = offered
            if len(healthy) != len(offered):
                fallible = [endpoint for endpoint in offered if endpoint.health.state != "waiting"]
            panic = len(healthy) < self._panic_threshold * len(fallible)
            if healthy and not panic:
                return healthy, fallible, False
            if first is None or not first[1]:
                first = healthy, fallible, panic
        return first or ([], [], False)


def _moved(before: Instance, after: Instance) -> bool:
    """Tell whether an identity now stands for another process: nothing learned of the old address is true of it."""
    return (before.port, before.address, before.secure) != (after.port, after.address, after.secure)
