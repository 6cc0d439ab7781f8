"""Which endpoints answer so much worse than the others that they should be taken out, though they never fail in a row.

It is Envoy's outlier detection by success rate and by failure percentage, with its defaults
(https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier). What happens within an interval
counts; what an endpoint's counters say at its two ends is all that is needed, so a request costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from balancers.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Detection:
    """When an endpoint is an outlier; `interval` is seconds.

    By success rate: among at least `success_rate_hosts` endpoints with at least `success_rate_volume` requests in the
    interval, one whose rate is below the mean less `success_rate_factor` standard deviations; a factor of 0 turns it
    off. By failure percentage: among at least `failure_hosts` with at least `failure_volume` requests, one of whose
    requests at least the share `failure_share` failed; 0 turns it off.
    """

    interval: float = 10.0
    success_rate_factor: float = 1.9
    success_rate_hosts: int = 5
    success_rate_volume: int = 100
    failure_share: float = 0.0
    failure_hosts: int = 5
    failure_volume: int = 50

    @property
    def is_on(self) -> bool:
        """Whether anything is looked at."""
        return self.success_rate_factor > 0 or self.failure_share > 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What an endpoint did in an interval."""

    endpoint: Endpoint
    requests: int  # that ended, however
    failures: int

    @property
    def success_rate(self) -> float:
        """From 0 to 1."""
        return 1 - self.failures / self.requests


@dataclass(frozen=True, slots=True)
class Outlier:
    """An endpoint that should be ejected; `cause` is success_rate or failure_percentage."""

    endpoint: Endpoint
    cause: str
    reason: str


def outliers(samples: Sequence[Sample], detection: Detection) -> list[Outlier]:
    """Find the outliers, the worst of each kind first, for not all of them may be ejected."""
    found: list[Outlier] = []
    named: set[Endpoint] = set()
    for one in [*_by_success_rate(samples, detection), *_by_failures(samples, detection)]:
        if one.endpoint not in named:
            named.add(one.endpoint)
            found.append(one)
    return found


def _by_success_rate(samples: Sequence[Sample], detection: Detection) -> list[Outlier]:
    busy = _busy(samples, detection.success_rate_volume)
    if not detection.success_rate_factor or not busy or len(busy) < detection.success_rate_hosts:
        return []
    rates = [sample.success_rate for sample in busy]
    mean = sum(rates) / len(rates)
    deviation = sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
    least = mean - detection.success_rate_factor * deviation
    return [
        Outlier(
            sample.endpoint,
            "success_rate",
            f"{sample.success_rate:.1%} of its {sample.requests} requests went well, of all {mean:.1%}; "
            f"at least {least:.1%} must",
        )
        for sample in sorted(busy, key=lambda sample: sample.success_rate)
        if sample.success_rate < least
    ]


def _by_failures(samples: Sequence[Sample], detection: Detection) -> list[Outlier]:
    busy = _busy(samples, detection.failure_volume)
    if not detection.failure_share or not busy or len(busy) < detection.failure_hosts:
        return []
    return [
        Outlier(
            sample.endpoint,
            "failure_percentage",
            f"{1 - sample.success_rate:.1%} of its {sample.requests} requests failed; less than "
            f"{detection.failure_share:.0%} may",
        )
        for sample in sorted(busy, key=lambda sample: sample.success_rate)
        if 1 - sample.success_rate >= detection.failure_share
    ]


def _busy(samples: Sequence[Sample], volume: int) -> list[Sample]:
    return [sample for sample in samples if sample.requests and sample.requests >= volume]
