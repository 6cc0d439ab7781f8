"""Bound how often something is done, without delaying what is done seldom."""

from __future__ import annotations


class TokenBucket:
    """`burst` acts at once, `rate` acts a second after that.

    The bucket is full at first. Times are seconds on any one clock that does not go backwards.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._slack = (burst - 1) * self._interval
        self._due = float("-inf")  # when the next act would be due at a steady `rate`

    def take(self, now: float) -> float:
        """Claim one act, and return how many seconds from `now` it has to wait: 0 while there are tokens."""
        # The bucket is kept as one time (the GCRA of ATM networks): an act may come up to `slack` before it is due.
        due = max(self._due, now)
        self._due = due + self._interval
        return max(0.0, due - self._slack - now)
