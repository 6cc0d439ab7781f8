"""Plain counters of raw connections, of a service or of an endpoint, which the metrics' collector reads."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.counters import Traffic

# Upper bounds in seconds: from a probe's connection to that of a database's pool, kept for a day.
DURATION_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0)
REASONS = ("unconnected", "unavailable", "overload", "reset", "timeout", "left", "cut")


class Counts:
    """Connections and their bytes. All integers only grow, but `open`."""

    __slots__ = ("begun", "bytes_in", "bytes_out", "open")

    def __init__(self) -> None:
        self.begun = 0
        self.open = 0
        self.bytes_in = self.bytes_out = 0  # from and to clients


class ServiceCounts(Counts):
    """Those of a service: how long the connections lasted, and how many came to a bad end, of what."""

    __slots__ = ("durations", "durations_sum", "failures")

    def __init__(self) -> None:
        super().__init__()
        self.durations = [0] * (len(DURATION_BOUNDS) + 1)
        self.durations_sum = 0.0
        self.failures = dict.fromkeys(REASONS, 0)

    @property
    def ended(self) -> int:
        """How many connections there were that are over."""
        return self.begun - self.open

    def end(self, seconds: float, reason: str) -> None:
        """Count one out; `reason` is empty when it ended well."""
        self.open -= 1
        self.durations[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.durations_sum += seconds
        if reason:
            self.failures[reason] += 1


def counts_of(traffic: Traffic) -> ServiceCounts:
    """Return the counts of a service's raw connections, which it has once a listener leads to it."""
    if traffic.raw is None:
        traffic.raw = ServiceCounts()
    return traffic.raw
