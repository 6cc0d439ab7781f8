"""What is noted down while a simulation runs."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate


class Spread:
    """For how long endpoints had how many requests, all endpoints together."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = [0.0]

    def add(self, count: int, seconds: float) -> None:
        """Add that one had so many for so long."""
        try:
            self.seconds[count] += seconds
        except IndexError:
            self.seconds += [0.0] * (count + 1 - len(self.seconds))
            self.seconds[count] += seconds

    def at_least(self) -> tuple[float, ...]:
        """Return the share of the time that an endpoint had at least 0, 1, 2, ... requests in it: 1.0 and less."""
        longest = list(accumulate(reversed(self.seconds)))
        return tuple(seconds / longest[-1] for seconds in reversed(longest)) if longest[-1] else ()


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """What an endpoint had to do: requests sent to it, retries included, and requests in it at a time."""

    name: str
    group: str
    requests: int
    share: float  # of all that were sent
    mean_queue: float
    most_queue: int


class Tally:
    """What an endpoint has had to do. The requests in it are those that it works on and those that wait for that."""

    __slots__ = ("_area", "_begun", "_since", "_spread", "count", "group", "most", "name", "requests")

    def __init__(self, name: str, group: str, spread: Spread) -> None:
        self.name = name
        self.group = group
        self.requests = 0  # sent to it, retries included
        self.count = 0  # in it now
        self.most = 0
        self._area = 0.0  # requests times seconds
        self._begun = 0.0  # what of that was before the figures begin
        self._since = 0.0
        self._spread = spread

    def moved(self, by: int, now: float) -> None:
        """Take in that so many requests came, or went."""
        elapsed = now - self._since
        if elapsed:
            self._area += self.count * elapsed
            self._spread.add(self.count, elapsed)
            self._since = now
        self.count += by
        if self.count > self.most:
            self.most = self.count

    def area(self, now: float) -> float:
        """Return requests times seconds until now, from the very beginning."""
        self.moved(0, now)
        return self._area

    def begin(self, now: float) -> None:
        """Begin the figures."""
        self._begun = self.area(now)
        self.most = self.count
        self.requests = 0

    def mean(self, seconds: float, now: float) -> float:
        """Return how many requests were in it on average, in the seconds since the figures began."""
        return (self.area(now) - self._begun) / seconds if seconds > 0 else 0.0


class Recording:
    """The requests that have ended: when each came, how long it took, what it failed of."""

    def __init__(self) -> None:
        self.begun = self.over = 0
        self.arrived = array("d")  # of those that were answered
        self.latency = array("d")
        self.failed_at = array("d")  # of those that were not: when they came
        self.failed_of: list[str] = []
        self.happened: Counter[str] = Counter()  # ejections and the like, of all proxies
        self.told: list[tuple[float, int, str, str, str]] = []  # when, which proxy, what, whom it befell, why

    def ended(self, arrived: float, now: float, failure: str) -> None:
        """Take in that a request has ended; `failure` is "" for one that was answered."""
        self.over += 1
        if failure:
            self.failed_at.append(arrived)
            self.failed_of.append(failure)
        else:
            self.arrived.append(arrived)
            self.latency.append(now - arrived)

    @property
    def open(self) -> int:
        """How many requests are under way."""
        return self.begun - self.over
