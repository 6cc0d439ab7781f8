"""Virtual time: what is due next happens next, and no time passes in between."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Clockwork:
    """What is to be done, by the second at which it is due; of what is due together, what was asked for first.

    `now` is the time; called, it tells the same, as a clock for a balancer.
    """

    __slots__ = ("_due", "_number", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._number = count()

    def __call__(self) -> float:
        return self.now

    def at(self, when: float, act: Callable[[Any], None], what: Any = None) -> None:
        """Have something done at a time, which is not before now."""
        heappush(self._due, (when, next(self._number), act, what))

    def run(self, until: float, going: Callable[[], bool] = lambda: True) -> None:
        """Do what is due until a time, that included, as long as `going` says so; it is asked before each."""
        due = self._due
        while due and due[0][0] <= until and going():
            self.now, _, act, what = heappop(due)
            act(what)
        if going():
            self.now = max(self.now, until)
