"""How often changes are passed on: at once after a quiet moment, together while they follow each other closely."""

from __future__ import annotations

# Seconds from one publication to the next: no change waits longer than 50 ms, timers that are a little late included.
PACE = 0.045


class Pace:
    """Tells how long what has just arrived must wait, in seconds from now: 0 after a quiet moment, PACE at most.

    Times are seconds on any one clock that does not go backwards.
    """

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._last = float("-inf")

    def wait(self, now: float) -> float:
        """Return how long to wait; what arrives meanwhile waits with it."""
        return min(max(0.0, self._last + self._pace - now), self._pace)

    def passed(self, now: float) -> None:
        """Take note that something was passed on."""
        self._last = now
