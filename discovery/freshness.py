"""How soon what a registry tells counts."""

from __future__ import annotations

from bisect import bisect_left

# Upper bounds in seconds: from a change that is passed on as it comes to one that had to wait for its turn, and a few
# beyond, for a process that has too much to do.
DELAY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)


class Delays:
    """Counts delays of publications by their length, for a histogram. All numbers only grow."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(DELAY_BOUNDS) + 1)  # publications whose delay lies in the bucket
        self.total = 0.0  # seconds

    @property
    def count(self) -> int:
        """How many publications there were."""
        return sum(self.buckets)

    def add(self, seconds: float) -> None:
        """Count one publication."""
        self.buckets[bisect_left(DELAY_BOUNDS, seconds)] += 1
        self.total += seconds
