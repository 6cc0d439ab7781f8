"""One service at work: its pool, the connections to its endpoints, its probes, the watch that feeds it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from balancers.overrides import apply, weigh
from config.units import show
from proxy.counters import Traffic
from proxy.http.connections import Connections, UpstreamOptions
from proxy.http.copies import Copies
from proxy.http.places import PlaceLimits, Places
from proxy.http.retries import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from balancers.endpoint import Endpoint
    from balancers.overrides import Override
    from balancers.pool import Pool
    from discovery.instance import Instance, Snapshot
    from discovery.joined import Joined
    from discovery.keeper import Keeper
    from proxy.http.heads import RequestHead
    from proxy.prober import Prober
    from proxy.sources import Feed, Source


MOST_WEIGHTS = 1000  # that an operator may set of a service


class Relay(Protocol):
    """Tells other processes, which have the same service, what they must know of it."""

    def followed(self, service: Service, snapshot: Snapshot) -> None:
        """Tell what the registry says, before it is in force here."""
        ...

    def drained(self, service: Service, identity: str, reason: str) -> None:
        """Tell that an operator has drained an endpoint, or with no reason that it may have requests again."""
        ...

    def weighed(self, service: Service, identity: str, weight: int | None) -> None:
        """Tell of a weight that an operator has set."""
        ...


class Service:
    """A name that requests are routed to.

    `follow` is where a change in the registry becomes a change of traffic; the keepers of `sources` are those who call
    it, through `joined` if there are several.
    """

    sources: tuple[Source, ...] = ()
    joined: Joined | None = None
    feed: Feed | None = None
    renewed = False  # its sources were others before, whose last word is in force until they have told theirs
    panic_header = False  # whether responses say that health is ignored
    adds = False  # whether responses may get fields of ours that hang on who answers: see `added`
    ready_from_state = False  # whether it is ready with what an earlier process knew
    is_probed = False  # by us, or by the process that tells us who is there

    def __init__(
        self,
        name: str,
        balancer: str,
        pool: Pool,
        options: UpstreamOptions,
        prober: Prober | None,
        *,
        retries: RetryPolicy = RetryPolicy(),
        budget: RetryBudget | None = None,
        limits: PlaceLimits = PlaceLimits(),
        overrides: tuple[Override, ...] = (),
    ) -> None:
        self.name = name
        self.balancer = balancer
        self.pool = pool
        self.traffic = Traffic()
        self.retries = retries
        self.budget = budget or RetryBudget(0.2, 3.0)
        self.places = Places(limits) if limits else None  # None: as many as come
        self.prober = prober
        self.copies = Copies()
        self.connections: dict[Endpoint, Connections] = {}
        self._options = options
        self._overrides = overrides
        self.weights: dict[str, int] = {}  # by identity, those that an operator set
        self.relay: Relay | None = None  # where other processes are told what becomes of it
        self._told: Snapshot | None = None  # what the registry told last

    def follow(self, snapshot: Snapshot) -> None:
        """Take over a snapshot: the next request is already routed by it."""
        self._told = snapshot
        if self.relay is not None:
            self.relay.followed(self, snapshot)
        if self._overrides:
            snapshot = apply(self._overrides, snapshot)
        if self.weights:
            snapshot = weigh(self.weights, snapshot)
        change = self.pool.update(snapshot, time.monotonic())
        for endpoint in change.joined:
            self.connections[endpoint] = Connections(endpoint.instance, self._options)
        for endpoint in change.left:
            self.connections.pop(endpoint).close()
        if self.prober is not None:
            self.prober.follow(change, self.pool)
        if self.places is not None:
            self.places.wake()

    def feed_by(self, feed: Feed) -> None:
        """Have other sources from now on."""
        if self.feed is not None and self.unready() == "":
            self.renewed = True
        self.feed, self.sources, self.joined = feed, feed.sources, feed.joined

    def told(self, feed: Feed, snapshot: Snapshot) -> None:
        """Take what a feed tells, if it is still ours."""
        if feed is not self.feed:
            return
        feed.early = snapshot
        self._take_what_was_told()

    def _take_what_was_told(self) -> None:
        feed = self.feed
        if feed is None or feed.early is None:
            return
        if self.renewed and any(not one.keeper.has_snapshot and not one.keeper.error for one in feed.sources):
            return
        snapshot, feed.early = feed.early, None
        self.follow(snapshot)

    def adopt(self, other: Service, parts: Collection[str]) -> Prober | None:
        """Be from now on what another was made to be that has no instances; return the prober that is to be ended.

        Of `parts` (see reload.py) those named are made anew. Requests under way end where they are.
        """
        now = time.monotonic()
        self.balancer, self.retries = other.balancer, other.retries
        self.is_probed = other.is_probed
        self.panic_header, self.ready_from_state = other.panic_header, other.ready_from_state
        self.budget.adopt(other.budget)
        self._options = _of_same_tls(other._options, self._options)
        for endpoint, connections in list(self.connections.items()):
            if "connections" in parts or not connections.follow(self._options):
                self.connections[endpoint] = Connections(endpoint.instance, self._options)
                connections.close()
        ended = None
        if "probes" in parts:
            ended, self.prober = self.prober, other.prober
            if ended is not None:
                ended.close()
        if "pool" in parts or "probes" in parts:
            self.pool.adopt(other.pool, now, probed=other.is_probed, same_policy="balancer" not in parts)
        if "probes" in parts and self.prober is not None:
            self.prober.take_over(self.pool)
        self.adds = self.panic_header or self.pool.sticky is not None
        if self._overrides != other._overrides:
            self._overrides = other._overrides
            if self._told is not None:
                self.follow(self._told)
        self._limit(other.places)
        return ended

    def _limit(self, other: Places | None) -> None:
        """Let so many requests in as another one does."""
        places = self.places
        if other is None:
            if places is not None:
                places.limits = PlaceLimits()
                places.wake()
                if not places.waiting:
                    self.places = None
        elif places is None:
            self.places = Places.amid(other.limits, self.pool.load.in_flight)
        else:
            places.limits = other.limits
            places.wake()

    def added(self, request: RequestHead, endpoint: Endpoint) -> list[bytes]:
        """Return the fields that a response gets."""
        fields = []
        sticky = self.pool.sticky
        if sticky is not None and (cookie := sticky.set_cookie(request, endpoint)):
            fields.append(cookie)
        if self.panic_header and self.pool.panic:
            fields.append(b"X-Pointsman-Panic: true")
        return fields

    def answers(self, instance: Instance) -> bool | None:
        """Tell whether a source's instance answers our probes; None if that is not known."""
        return self.pool.answers(instance.authority if self.joined else instance.id)

    def reweigh(self, weights: Mapping[str, int]) -> None:
        """Share the requests anew between the sources, which are known by their names.

        Raises ValueError, which says what is wrong: there is no such source, or its weight cannot be changed.
        """
        places = {source.name: place for place, source in enumerate(self.sources)}
        unknown = [name for name in weights if name not in places]
        if unknown:
            raise ValueError(f"there is no source {show(unknown[0])}; there are: {', '.join(places)}")
        if self.joined is None:
            raise ValueError("it has one source, which gets all requests")
        self.follow(self.joined.reweighed({places[name]: weight for name, weight in weights.items()}))

    def drain(self, endpoint: Endpoint, reason: str) -> None:
        """Give an endpoint no new requests; those in flight finish, and connections without one are closed."""
        if self.pool.drain(endpoint, reason):
            if self.relay is not None:
                self.relay.drained(self, endpoint.instance.id, reason)
            self.connections[endpoint].close_idle()
            if self.places is not None:
                self.places.wake()

    def undrain(self, identity: str, reason: str) -> None:
        """Let an endpoint have requests again."""
        if not self.pool.undrain(identity, reason, time.monotonic()):
            return
        if self.relay is not None:
            self.relay.drained(self, identity, "")
        if self.places is not None:
            self.places.wake()

    def weigh(self, identity: str, weight: int | None) -> None:
        """Have an endpoint count with this weight whatever its registry says, or with None by its registry's again.

        Raises ValueError when so many weights are set that one more may not be.
        """
        if weight is None:
            self.weights.pop(identity, None)
        elif identity not in self.weights and len(self.weights) >= MOST_WEIGHTS:
            raise ValueError(f"{MOST_WEIGHTS} weights are set by hand, and no more may be")
        else:
            self.weights[identity] = weight
        if self.relay is not None:
            self.relay.weighed(self, identity, weight)
        if self._told is not None:
            self.follow(self._told)

    @property
    def told_last(self) -> Snapshot | None:
        """What the registry told last; None before it told anything."""
        return self._told

    def unready(self) -> str:
        """Say why its instances are not known yet; empty when they are.

        Of several sources one must have answered, and the others too unless they failed: what a registry that is away
        would add is missing, but no reason to keep clients waiting.
        """
        if self.renewed:
            return ""
        silent = [source for source in self.sources if not self._is_known(source.keeper)]
        waiting = [source for source in silent if not source.keeper.error]
        if silent and (waiting or len(silent) == len(self.sources)):
            first = (waiting or silent)[0]
            error = f": {first.keeper.error}" if first.keeper.error else ""
            stored = "; the stored one is in use" if first.keeper.stored else ""
            return f"no snapshot from {first.name} yet{error}{stored}"
        return ""

    def _is_known(self, keeper: Keeper) -> bool:
        return keeper.has_answered or (self.ready_from_state and keeper.has_snapshot)

    def sweep(self, now: float) -> None:
        """Do what is due: readmit, tell of a panic that no request has met, close what has been idle for too long."""
        self.pool.settle(now)
        self._take_what_was_told()
        requests = self.traffic.requests
        self.budget.sweep(now, requests)
        if self.prober is not None:
            self.prober.sweep(requests, self.traffic.in_flight, self.pool, now)
        if self.places is not None:
            self.places.wake()
        self.copies.sweep(now)
        for connections in self.connections.values():
            connections.expire(now)
        for identity in self.pool.drains.reasons:
            endpoint = self.pool.endpoint(identity)
            if endpoint is not None:
                self.connections[endpoint].close_idle()  # whose request has ended since it was drained

    def stop_probing(self) -> None:
        """Probe the instances no more; what is known of them stays."""
        if self.prober is not None:
            self.prober.close()

    async def end(self) -> None:
        """Close what is idle, stop probing, and wait until probes under way have ended."""
        self.close()
        if self.prober is not None:
            await self.prober.stop()

    def close(self) -> None:
        """Close what is idle, stop probing, and end the copies that are under way."""
        self.stop_probing()
        self.copies.abort()
        for connections in self.connections.values():
            connections.close()


def _of_same_tls(options: UpstreamOptions, before: UpstreamOptions) -> UpstreamOptions:
    """Return options with what TLS has loaded already, where it is to do the same."""
    if options.tls is not None and before.tls is not None and options.tls.options == before.tls.options:
        return replace(options, tls=before.tls)
    return options
