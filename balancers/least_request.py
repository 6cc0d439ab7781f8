"""The endpoint with the fewest requests in flight, of a few drawn at random."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from balancers.draws import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

MOST_CHOICES = 100
HIGHEST_BIAS = 10.0
_LEFT = 2  # times as many turns as endpoints that the heap may hold, until those of who left are sorted out


class LeastRequest:
    """The less busy of two, drawn at random; where weights differ, weighted turns that shrink with what is in flight.

    With equal weights: of `choices` endpoints (2 to 100) drawn at random, the one with the fewest requests in flight.
    Two of them bring the longest queue from log n / log log n down to log log n (Mitzenmacher, "The Power of Two
    Choices in Randomized Load Balancing", 1996), and as nobody is sought out by everybody, proxies that do not know of
    each other do no harm. O(choices).

    With weights that differ, as Envoy does it: weighted round robin, in which an endpoint's weight is
    `weight / (in flight + 1) ** bias` at the moment of its turn; `bias` is from 0 (plain weights) to 10. O(log n).
    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        random: Random,
        previous: Choice | None = None,
        *,
        choices: int = 2,
        bias: float = 1.0,
    ) -> None:
        self._endpoints = list(endpoints)
        self._draw = random.random
        self._choices = min(choices, len(self._endpoints))
        self._bias = bias
        self._turns: list[tuple[float, int, Endpoint]] = []  # by the moment that each is due
        self._numbers: dict[Endpoint, int] = {}  # of the turn of each that counts
        self._next = 0
        self._now = 0.0
        first = self._endpoints[0].weight
        if any(endpoint.weight != first for endpoint in self._endpoints):
            self._line_up(previous if isinstance(previous, LeastRequest) else None)

    @staticmethod
    def check(*, choices: object = 2, bias: object = 1.0) -> None:
        """Raise ValueError when an option makes no sense."""
        if not isinstance(choices, int) or isinstance(choices, bool) or not 2 <= choices <= MOST_CHOICES:
            raise ValueError(f"choices must be a whole number from 2 to {MOST_CHOICES}, not {choices!r}")
        if not isinstance(bias, int | float) or isinstance(bias, bool) or not 0 <= bias <= HIGHEST_BIAS:
            raise ValueError(f"bias must be a number from 0 to {HIGHEST_BIAS:g}, not {bias!r}")

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose one."""
        if self._turns:
            return self._pick_by_turn()
        endpoints = self._endpoints
        count = len(endpoints)
        if count == 1:
            return endpoints[0]
        draw = self._draw
        if self._choices == 2:
            index = int(draw() * count)
            other = index + 1 + int(draw() * (count - 1))
            one, two = endpoints[index], endpoints[other - count if other >= count else other]
            return two if two.in_flight < one.in_flight else one
        drawn = (endpoints[index] for index in distinct(self._choices, count, draw))
        return min(drawn, key=lambda endpoint: endpoint.in_flight)

    def _pick_by_turn(self) -> Endpoint:
        turns, numbers = self._turns, self._numbers
        while True:
            due, number, endpoint = heappop(turns)
            if numbers.get(endpoint) == number:
                self._now = due
                heappush(turns, (due + self._span(endpoint), number, endpoint))
                return endpoint

    def _span(self, endpoint: Endpoint) -> float:
        """Return how long it is until an endpoint's next turn."""
        busy = endpoint.in_flight + 1
        return (busy if self._bias == 1.0 else busy**self._bias) / endpoint.weight

    def _line_up(self, previous: LeastRequest | None) -> None:
        """Give each its turn; whoever was there keeps the one that it has."""
        if previous is not None and previous._turns:
            self._turns, self._now, self._next = previous._turns.copy(), previous._now, previous._next
            kept = previous._numbers
            self._numbers = {endpoint: kept[endpoint] for endpoint in self._endpoints if endpoint in kept}
            if len(self._turns) > _LEFT * len(self._endpoints):
                numbers = self._numbers
                self._turns = sorted(turn for turn in self._turns if numbers.get(turn[2]) == turn[1])
        for endpoint in self._endpoints:
            if endpoint not in self._numbers:
                # Anywhere in a span of its own, as if it had been there all the time: proxies that were started
                # together, and endpoints that came together, do not go in step.
                self._numbers[endpoint] = self._next
                heappush(self._turns, (self._now + self._draw() * self._span(endpoint), self._next, endpoint))
                self._next += 1
