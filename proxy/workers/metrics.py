"""The metrics of the workers themselves. Where one process does everything there are none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

State = Literal["starting", "serving", "draining"]
STATES: tuple[State, ...] = ("starting", "serving", "draining")
REASONS = ("signal", "status")  # what a worker ended with that was replaced


@dataclass(frozen=True, slots=True)
class Worker:
    """One that runs; `reported` is when its last report came, by time.monotonic(), None before the first."""

    number: int
    state: State
    reported: float | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """All that the control process knows of.

    `restarts` is how many were replaced, by REASONS, `requests` how many requests each has answered, and those before
    it that had its number: see Totals.
    """

    running: tuple[Worker, ...]
    restarts: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[int, int] = field(default_factory=dict)


def worker_metrics(workers: Workers | None, now: float) -> Iterator[Metric]:
    """Read how they are; `now` by time.monotonic()."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # for those who have an admin address

    running = GaugeMetricFamily("pointsman_workers", "Workers that run, by their state.", labels=["state"])
    restarts = CounterMetricFamily(
        "pointsman_worker_restarts", "Workers that died and were replaced, by what they ended with.", labels=["reason"]
    )
    age = GaugeMetricFamily(
        "pointsman_worker_report_age_seconds", "Since a worker last told what it has counted.", labels=["worker"]
    )
    requests = CounterMetricFamily(
        "pointsman_worker_requests",
        "Requests that a worker has answered, and raw connections that it has begun, and those before it.",
        labels=["worker"],
    )
    if workers is not None:
        states = Counter(worker.state for worker in workers.running)
        for state in STATES:
            running.add_metric([state], states[state])
        for reason in REASONS:
            restarts.add_metric([reason], workers.restarts.get(reason, 0))
        for worker in workers.running:
            if worker.reported is not None:
                age.add_metric([str(worker.number)], now - worker.reported)
        for number, count in sorted(workers.requests.items()):
            requests.add_metric([str(number)], count)
    yield from (running, restarts, age, requests)
