"""Which checks run out next."""

from __future__ import annotations

import heapq
import math


class Deadlines:
    """The earliest moments first.

    A TTL that is renewed a thousand times is looked at once a TTL: renewing moves its true deadline, which the holder
    knows, and leaves the entry here, which is put back when its moment comes.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._next: dict[str, float] = {}

    def add(self, key: str, moment: float) -> None:
        """Look at `key` at `moment` or before."""
        if moment < self._next.get(key, math.inf):
            self._next[key] = moment
            heapq.heappush(self._heap, (moment, key))

    def due(self, now: float) -> list[str]:
        """Take out and return the keys whose moment has come."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            if self._next.get(key) == moment:
                del self._next[key]
                found.append(key)
        return found

    @property
    def earliest(self) -> float:
        """The next moment, infinite when there is none."""
        return self._heap[0][0] if self._heap else math.inf
