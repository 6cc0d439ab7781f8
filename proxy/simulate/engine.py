"""One policy in the whole of the described world, from the first request to the last."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from config.levels import over
from config.traffic import Limits, Retries, Timeouts
from discovery.instance import Instance, Snapshot
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryBudget
from proxy.probe_pace import Pace
from proxy.serving import SWEEP
from proxy.settings import intervals_of, pool_of, retry_policy_of, timeouts_of
from proxy.simulate.arrivals import Crowd, Rates
from proxy.simulate.clockwork import Clockwork
from proxy.simulate.reading import names_of
from proxy.simulate.recording import EndpointFigures, Recording, Spread, Tally
from proxy.simulate.replica import Replica
from proxy.simulate.sidecar import Sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config.service import Balancer
    from proxy.simulate.world import Event, Group, Rollout, Scenario

SAMPLES = 120  # pieces that the time is cut into for plots
PATIENCE = 600.0  # seconds after the last arrival until what is then under way is given up
_TOLD_MOST = 1000  # changes of health that are kept with their reasons
_MOST_SWEEPS = 20_000  # in a long time they are further apart than in a proxy, four seconds at most
_STEP = 2000  # requests from one word of progress to the next


class Engine:
    """Runs a scenario with one policy.

    What is random is drawn from one source a purpose, each made of the seed: so requests come at the same moments, from
    the same clients, and are as much work, whatever the policy.
    """

    def __init__(self, scenario: Scenario, balancer: Balancer) -> None:
        self.scenario = scenario
        self.clock = Clockwork()
        self.recording = Recording()
        self.spread = Spread()
        rates = Rates(scenario.arrivals)
        end = rates.end(scenario.duration, scenario.requests)
        assert end is not None  # a scenario without an end is refused
        self.duration = end  # until the last arrival, but for what chance does to that
        self.queues: list[list[float]] = []  # of each piece of time: the requests in each endpoint, on average
        self.endpoints: tuple[EndpointFigures, ...] = ()
        self.lengths: tuple[float, ...] = ()  # see Spread.at_least
        self._pause = max(SWEEP, end / _MOST_SWEEPS)
        self._rates = rates
        self._random = Random(f"{scenario.seed} arrivals")
        self._work = Random(f"{scenario.seed} work").random
        self._failures = Random(f"{scenario.seed} failures").random
        self._crowd = Crowd(scenario.clients, balancer.options, Random(f"{scenario.seed} clients"))
        self._groups: dict[str, Group] = {}
        self._members: dict[str, list[str]] = {}
        self.tallies: dict[str, Tally] = {}
        self._replicas: dict[str, Replica] = {}  # every process there ever was, by its identity
        self._current: dict[str, Replica] = {}  # the one that is an endpoint's now, by its name
        self._registered: dict[str, Instance] = {}
        self._befallen: dict[str, list[Event]] = {}
        self._restarts: Counter[str] = Counter()
        self._addresses = 0
        self._arrivals: Iterator[float] = iter(())
        self._coming = False  # one more request
        self._progress: Callable[[int], None] = lambda done: None
        self._areas: list[float] = []
        self._build()
        self.sidecars = [self._sidecar(number, balancer) for number in range(scenario.proxies)]
        spread = Random(f"{scenario.seed} registry")
        self._delays = [scenario.registry.delay + scenario.registry.spread * spread.random() for _ in self.sidecars]

    def run(self, progress: Callable[[int], None] = lambda done: None) -> None:
        """Let it happen; `progress` is told every so often how many requests have come since it was told last."""
        self._progress = progress
        clock, scenario = self.clock, self.scenario
        snapshot = self._snapshot()
        for sidecar in self.sidecars:
            sidecar.follow(snapshot)
        for event in scenario.events:
            clock.at(event.at, self._begins, event)
            if event.until is not None:
                clock.at(event.until, self._ends, event)
        for rollout in scenario.rollouts:
            names = self._named(rollout.endpoints)
            clock.at(rollout.at, self._roll, (rollout, names))
        if scenario.warmup:
            clock.at(scenario.warmup, self._begin_figures)
        clock.at(self._pause, self._sweep)
        self._areas = [0.0] * len(self.tallies)
        for piece in range(1, SAMPLES + 1):
            clock.at(self.duration * piece / SAMPLES, self._sample)
        self._arrivals = self._rates.times(self._random, even=scenario.arrivals.process == "even")
        self._next()
        clock.run(self.duration)
        self._end_figures()
        clock.run(self.duration + PATIENCE, lambda: self._coming or self.recording.open > 0)
        progress(self.recording.begun % _STEP)

    @property
    def retries(self) -> int:
        """How many requests were tried again, all told."""
        return sum(sidecar.retries for sidecar in self.sidecars)

    # The world.

    def _build(self) -> None:
        for group_name, group in self.scenario.endpoints.items():
            names = names_of(group_name, group.count)
            self._members[group_name] = names
            for name in names:
                self._groups[name] = group
                self._befallen[name] = []
                self.tallies[name] = Tally(name, group_name, self.spread)
                self._start(name, name)

    def _start(self, name: str, identity: str) -> Replica:
        """Start a process, and register it."""
        group = self._groups[name]
        number = self._addresses
        self._addresses += 1
        instance = Instance(
            identity,
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            80,
            weight=group.weight,
            priority=group.priority,
            zone=group.zone,
        )
        replica = Replica(self.clock, instance, group, self.tallies[name], self._failures)
        self._replicas[identity] = self._current[name] = replica
        self._registered[name] = instance
        return replica

    def _sidecar(self, number: int, balancer: Balancer) -> Sidecar:
        wanted = self.scenario.service.model_copy(update={"balancer": balancer})
        retries = over(Retries(), wanted.retries)
        limits = over(Limits(), wanted.limits)
        timeouts = timeouts_of(over(Timeouts(), wanted.timeouts), retries)
        policy = retry_policy_of(retries)
        source = Random(f"{self.scenario.seed} proxy {number}")

        def told(kind: str, endpoint: str, reason: str) -> None:
            self.recording.happened[kind] += 1
            if kind not in ("joined", "left", "changed") and len(self.recording.told) < _TOLD_MOST:
                self.recording.told.append((self.clock.now, number, kind, endpoint, reason))

        probe = wanted.health.probe
        chance = Random(f"{self.scenario.seed} probes {number}")
        return Sidecar(
            self.clock,
            pool_of(wanted, source, self.clock, told),
            self._replicas,
            self.recording,
            retries=policy,
            budget=RetryBudget(retries.budget, retries.budget_floor),
            timeouts=timeouts,
            limits=PlaceLimits(
                limits.in_flight, limits.in_flight_per_endpoint, limits.queue, limits.queue_per_endpoint
            ),
            probe=probe,
            pace=Pace(intervals_of(probe), chance) if probe is not None else None,
        )

    def _snapshot(self) -> Snapshot:
        return Snapshot("simulated", tuple(self._registered.values()))

    def _published(self) -> None:
        """Let each proxy know who is registered now, as soon as it may."""
        snapshot = self._snapshot()
        for sidecar, delay in zip(self.sidecars, self._delays, strict=True):
            if delay:
                self.clock.at(self.clock.now + delay, sidecar.follow, snapshot)
            else:
                sidecar.follow(snapshot)

    def _named(self, names: tuple[str, ...]) -> list[str]:
        return list(dict.fromkeys(one for name in names for one in self._members.get(name, [name])))

    # What happens.

    def _next(self) -> None:
        """Plan the next arrival."""
        scenario, begun = self.scenario, self.recording.begun
        self._coming = False
        if scenario.requests is not None and begun >= scenario.requests:
            return
        time = next(self._arrivals, None)
        if time is not None and (scenario.duration is None or time < scenario.duration):
            self.clock.at(time, self._arrive)
            self._coming = True

    def _arrive(self, _: None) -> None:
        sidecars, recording = self.sidecars, self.recording
        recording.begun += 1
        if recording.begun % _STEP == 0:
            self._progress(_STEP)
        which = int(self._random.random() * len(sidecars)) if len(sidecars) > 1 else 0
        sidecars[which].take(self._crowd.next(), self._work())
        self._next()

    def _sweep(self, _: None) -> None:
        for sidecar in self.sidecars:
            sidecar.sweep()
        self.clock.at(self.clock.now + self._pause, self._sweep)

    def _begin_figures(self, _: None) -> None:
        for tally in self.tallies.values():
            tally.begin(self.clock.now)
        self.spread.seconds = [0.0]

    def _end_figures(self) -> None:
        """Write down what endpoints had to do, before what is left over is waited for."""
        now = self.clock.now
        seconds, tallies = now - self.scenario.warmup, self.tallies.values()
        sent = sum(tally.requests for tally in tallies) or 1
        self.endpoints = tuple(
            EndpointFigures(
                tally.name, tally.group, tally.requests, tally.requests / sent, tally.mean(seconds, now), tally.most
            )
            for tally in tallies
        )
        self.lengths = self.spread.at_least()

    def _sample(self, _: None) -> None:
        now, length = self.clock.now, self.duration / SAMPLES
        areas = [tally.area(now) for tally in self.tallies.values()]
        self.queues.append([(area - before) / length for area, before in zip(areas, self._areas, strict=True)])
        self._areas = areas

    def _begins(self, event: Event) -> None:
        for name in self._named(event.endpoints):
            self._befallen[name].append(event)
            self._current[name].befall(self._befallen[name])

    def _ends(self, event: Event) -> None:
        for name in self._named(event.endpoints):
            self._befallen[name].remove(event)
            self._current[name].befall(self._befallen[name])

    # A rolling restart: out of the registry, drained, gone, and a new one in its place.

    def _roll(self, what: tuple[Rollout, list[str]]) -> None:
        rollout, names = what
        now, batch, rest = self.clock.now, names[: rollout.at_once], names[rollout.at_once :]
        for name in batch:
            self._registered.pop(name, None)
        self._published()
        for name in batch:
            self.clock.at(now + rollout.drain, self._leaves, self._current[name])
            self.clock.at(now + rollout.drain + rollout.start, self._joins, (name, rollout))
        if rest:
            again = now + rollout.drain + rollout.start + rollout.pause
            self.clock.at(again, self._roll, (rollout, rest))

    def _leaves(self, replica: Replica) -> None:
        replica.leave()

    def _joins(self, what: tuple[str, Rollout]) -> None:
        name, rollout = what
        self._restarts[name] += 1
        replica = self._start(name, f"{name}~{self._restarts[name] + 1}")
        replica.befall(self._befallen[name])
        if rollout.cold is not None:
            replica.cool(rollout.cold.slower)
            self.clock.at(self.clock.now + rollout.cold.lasting, lambda _: replica.cool(1.0))
        self._published()
