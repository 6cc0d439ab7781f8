"""The endpoint that is likely to answer soonest, of two drawn at random."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

UNKNOWN = 3600.0  # seconds that an endpoint counts for that has not answered yet, for each request it has
_SHORTEST, _LONGEST = 0.01, 3600.0  # seconds


class PeakEwma:
    """Of two endpoints drawn at random the one with the lower product of its latency and what it has to do. O(1).

    The latency is a moving average over `decay` seconds that jumps to a higher value at once and comes down slowly, so
    that an endpoint which stalls is avoided before its average says so. It comes down while nobody asks, too: one that
    was slow once is tried again. One that never answered gets one request, and no second before it has. What it has to
    do is what is in flight and one more, divided by its weight. This is Finagle's rule
    (https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala).

    A request that comes to nothing counts as one that took at least `failure` seconds, or else an instance that refuses
    at once would look like the fastest of all.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        random: Random,
        previous: Choice | None = None,
        *,
        clock: Callable[[], float],
        decay: float = 10.0,
        failure: float = 1.0,
    ) -> None:
        self._endpoints = list(endpoints)
        self._draw = random.random
        self._clock = clock
        now = clock()
        for endpoint in self._endpoints:
            if not isinstance(endpoint.latency, Ewma):
                endpoint.latency = Ewma(now, decay, failure)

    @staticmethod
    def check(*, decay: object = 10.0, failure: object = 1.0) -> None:
        """Raise ValueError when an option makes no sense."""
        for name, value in (("decay", decay), ("failure", failure)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not _SHORTEST <= value <= _LONGEST:
                raise ValueError(f"{name} must be seconds, from {_SHORTEST:g} to {_LONGEST:g}, not {value!r}")

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the better of two."""
        endpoints = self._endpoints
        count = len(endpoints)
        if count == 1:
            return endpoints[0]
        index = int(self._draw() * count)
        other = index + 1 + int(self._draw() * (count - 1))
        one, two = endpoints[index], endpoints[other - count if other >= count else other]
        now = self._clock()
        return two if load(two, now) < load(one, now) else one


class Ewma:
    """An endpoint's latency in seconds: a peak-sensitive moving average."""

    __slots__ = ("_at", "_cost", "_decay", "_failure")

    def __init__(self, now: float, decay: float, failure: float) -> None:
        self._cost = 0.0  # unknown
        self._at = now
        self._decay = decay
        self._failure = failure

    def observed(self, seconds: float, now: float, /) -> None:
        """Take in a latency. With w = e^(-Δt/decay): cost·w + seconds·(1 - w), and `seconds` itself if it is higher."""
        left = exp((self._at - now) / self._decay) if now > self._at else 1.0
        self._at = max(now, self._at)
        # One that is the first of all is what there is to know, however little time has passed.
        self._cost = seconds if seconds > self._cost else self._cost * left + seconds * (1 - left)

    def failed(self, seconds: float, now: float, /) -> None:
        """Take in a request that came to nothing."""
        self.observed(max(seconds, self._failure), now)

    def at(self, now: float) -> float:
        """Return the latency as it has come down since the last word of it; 0 if there was none."""
        return self._cost * exp((self._at - now) / self._decay) if now > self._at else self._cost


def load(endpoint: Endpoint, now: float) -> float:
    """Return what speaks against asking an endpoint: seconds that its requests and one more will take."""
    latency = endpoint.latency
    cost = latency.at(now) if isinstance(latency, Ewma) else 0.0
    if cost == 0.0 and endpoint.in_flight:
        cost = UNKNOWN
    return cost * (endpoint.in_flight + 1) / endpoint.weight
