"""The figures of a simulation, and how far policies lie apart."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from proxy.simulate.engine import SAMPLES, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from config.service import Balancer
    from proxy.simulate.recording import EndpointFigures
    from proxy.simulate.world import Scenario

# Where a curve of the quantiles has its points: nine for each nine.
CURVE = tuple(1 - 10 ** (-step / 9) for step in range(46))


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a request's arrival at a proxy until its answer, of those that were answered. None: none was."""

    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened in each of the pieces that the time is cut into; latencies are those of who came then."""

    ends: tuple[float, ...]
    p50: tuple[float | None, ...]
    p99: tuple[float | None, ...]
    errors: tuple[int, ...]
    queues: tuple[tuple[float, ...], ...]  # the requests in each endpoint, on average, in the order of the endpoints


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy came to. Of its warm-up it has only the timeline."""

    policy: str
    requests: int
    answered: int
    errors: Mapping[str, int]  # by what they failed of: refused, reset, timeout, 5xx, nobody, unfinished
    latency: Latency
    curve: tuple[float, ...]  # the latency at each of CURVE, as far as there are requests enough to tell
    endpoints: tuple[EndpointFigures, ...]
    lengths: tuple[float, ...]  # the share of the time that an endpoint had at least 0, 1, 2, ... requests in it
    mean_queue: float  # of an endpoint
    most_queue: int
    retries: int
    happened: Mapping[str, int]  # ejected, readmitted, panic, calm: how often, all proxies together
    told: tuple[tuple[float, int, str, str, str], ...]  # when, which proxy, what, which endpoint, why
    timeline: Timeline

    @property
    def failed(self) -> int:
        """How many requests were not answered."""
        return sum(self.errors.values())

    @property
    def failed_share(self) -> float:
        """The share of the requests that were not answered."""
        return self.failed / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a policy lies from the first one: its figure divided by the first one's. None: one of them has none."""

    policy: str
    against: str
    mean: float | None
    p50: float | None
    p99: float | None
    p999: float | None
    most_queue: float | None
    errors: tuple[float, float]  # the share of requests that failed, of this one and of the first


@dataclass(frozen=True, slots=True)
class Report:
    """All policies in one world."""

    scenario: Scenario
    seed: int
    duration: float
    outcomes: tuple[Outcome, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """How far each policy but the first lies from that."""
        first, *others = self.outcomes
        return tuple(compare(other, first) for other in others)

    def as_json(self) -> str:
        """Write the figures, for programs."""
        whole = {
            "title": self.scenario.title,
            "seed": self.seed,
            "duration": self.duration,
            "warmup": self.scenario.warmup,
            "policies": [_plain(outcome) for outcome in self.outcomes],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }
        return json.dumps(_rounded(whole), ensure_ascii=False)


def simulate(
    scenario: Scenario, policies: Iterable[Balancer], progress: Callable[[str, int], None] = lambda policy, done: None
) -> Report:
    """Run a scenario with each policy; `progress` is told of each so many requests, and which policy it is."""
    outcomes, duration = [], 0.0
    for balancer in policies:
        engine, name = Engine(scenario, balancer), name_of(balancer)
        engine.run(lambda done, name=name: progress(name, done))  # type: ignore[misc]  # mypy: the default is a str
        outcomes.append(_outcome(engine, name))
        duration = engine.duration
    return Report(scenario, scenario.seed, duration, tuple(outcomes))


def name_of(balancer: Balancer) -> str:
    """Return a balancer's name with its options, as short as it can be."""
    options = [f"{key}={json.dumps(_thawed(value))}" for key, value in balancer.options.items()]
    return " ".join([balancer.type, *options]).replace('"', "")


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that so large a share of the others is not above (nearest rank); None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def compare(outcome: Outcome, first: Outcome) -> Comparison:
    """Divide the figures of one by those of the other."""
    one, two = outcome.latency, first.latency
    return Comparison(
        outcome.policy,
        first.policy,
        _ratio(one.mean, two.mean),
        _ratio(one.p50, two.p50),
        _ratio(one.p99, two.p99),
        _ratio(one.p999, two.p999),
        _ratio(outcome.most_queue, first.most_queue),
        (outcome.failed_share, first.failed_share),
    )


def _outcome(engine: Engine, policy: str) -> Outcome:
    recording, warmup = engine.recording, engine.scenario.warmup
    kept = sorted(
        seconds for arrived, seconds in zip(recording.arrived, recording.latency, strict=True) if arrived >= warmup
    )
    errors = Counter(
        kind for arrived, kind in zip(recording.failed_at, recording.failed_of, strict=True) if arrived >= warmup
    )
    if recording.open:
        errors["unfinished"] = recording.open
    latency = Latency(
        mean=sum(kept) / len(kept) if kept else None,
        p50=quantile(kept, 0.5),
        p90=quantile(kept, 0.9),
        p99=quantile(kept, 0.99),
        p999=quantile(kept, 0.999),
        most=kept[-1] if kept else None,
    )
    return Outcome(
        policy=policy,
        requests=len(kept) + sum(errors.values()),
        answered=len(kept),
        errors=dict(sorted(errors.items())),
        latency=latency,
        curve=tuple(quantile(kept, share) or 0.0 for share in CURVE if len(kept) * (1 - share) >= 1),
        endpoints=engine.endpoints,
        lengths=engine.lengths,
        mean_queue=sum(one.mean_queue for one in engine.endpoints) / len(engine.endpoints),
        most_queue=max(one.most_queue for one in engine.endpoints),
        retries=engine.retries,
        happened={
            kind: count
            for kind, count in sorted(recording.happened.items())
            if kind not in ("joined", "left", "changed")
        },
        told=tuple(recording.told),
        timeline=_timeline(engine),
    )


def _timeline(engine: Engine) -> Timeline:
    length = engine.duration / SAMPLES
    pieces: list[list[float]] = [[] for _ in range(SAMPLES)]
    for arrived, seconds in zip(engine.recording.arrived, engine.recording.latency, strict=True):
        pieces[min(int(arrived / length), SAMPLES - 1)].append(seconds)
    errors = [0] * SAMPLES
    for arrived in engine.recording.failed_at:
        errors[min(int(arrived / length), SAMPLES - 1)] += 1
    for piece in pieces:
        piece.sort()
    return Timeline(
        tuple(length * (number + 1) for number in range(SAMPLES)),
        tuple(quantile(piece, 0.5) for piece in pieces),
        tuple(quantile(piece, 0.99) for piece in pieces),
        tuple(errors),
        tuple(tuple(row) for row in engine.queues),
    )


def _ratio(one: float | None, two: float | None) -> float | None:
    return one / two if one is not None and two else None


def _rounded(value: Any) -> Any:
    """Return plain data with six digits to each number: the rest is chance."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome) | {"curve": [[share, value] for share, value in zip(CURVE, outcome.curve, strict=False)]}


def _thawed(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _thawed(one) for key, one in value.items()}
    return [_thawed(one) for one in value] if isinstance(value, list | tuple) else value
