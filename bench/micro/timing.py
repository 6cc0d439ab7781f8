"""The order of the measurements, and one measurement."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.micro.cases import Case

_FIRST = 8  # operations that a case is tried with before it is known how many fill its time
_YARDSTICK = 0.005  # seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU time of one operation, and of the yardstick's in the moment before, in nanoseconds."""

    cost: float
    yardstick: float

    @property
    def relative(self) -> float:
        """The cost in units of the yardstick's: whatever made the machine slow in that moment has cancelled out."""
        return self.cost / self.yardstick


@dataclass(frozen=True, slots=True)
class Range:
    """The middle of some figures, and between which two the middle half of them lies."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Measured:
    """All that was measured of a case."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def cost(self) -> Range:
        """Nanoseconds of an operation."""
        return quartiles([sample.cost for sample in self.samples])

    @property
    def relative(self) -> Range:
        """The same in units of the yardstick's."""
        return quartiles([sample.relative for sample in self.samples])


def quartiles(figures: Sequence[float]) -> Range:
    """Median and quartiles of one or more figures."""
    if len(figures) == 1:
        return Range(figures[0], figures[0], figures[0])
    low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
    return Range(median, low, high)


def measure(cases: Sequence[Case], rounds: int, seconds: float) -> Iterator[list[Measured]]:
    """Measure each case once a round, for about so many seconds; yield what there is after each round.

    All take turns, so that a slow moment of the machine falls on all alike. What was made for them is frozen, as
    pointsman does with what it has made at its start: no collection looks at it while something is timed.
    """
    timed = [case.make() for case in cases]
    counts = [_count(once, seconds) for once in timed]
    yardstick_count = _count(yardstick, _YARDSTICK)
    measured = [Measured(case.name) for case in cases]
    gc.collect()
    gc.freeze()
    try:
        for _ in range(rounds):
            for once, count, result in zip(timed, counts, measured, strict=True):
                by = _cost(yardstick, yardstick_count)
                result.samples.append(Sample(_cost(once, count), by))
            yield measured
    finally:
        gc.unfreeze()


def yardstick(count: int) -> None:
    """Do what the data path is made of, but nothing of pointsman's: its cost is the speed of this Python here."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"
    for _ in range(count):
        found = {}
        for line in head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b": ")
            found[name.lower()] = value
        b"\r\n".join([head, *found.values()])


def _cost(timed: Callable[[int], None], count: int) -> float:
    begin = time.process_time_ns()
    timed(count)
    return (time.process_time_ns() - begin) / count


def _count(timed: Callable[[int], None], seconds: float) -> int:
    """How many operations take about so long; it warms up what is timed meanwhile."""
    count = _FIRST
    while True:
        begin = time.process_time()
        timed(count)
        taken = time.process_time() - begin
        if taken >= seconds / 4:
            return max(int(count * seconds / taken), 1)
        count *= 4
