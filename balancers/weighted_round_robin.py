"""Each endpoint in turn, as often as its weight says, and as evenly spread as can be."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Balancer, Request
    from balancers.endpoint import Endpoint

# When its window opens, its index among the endpoints.
_Turn = tuple[float, int]


class WeightedRoundRobin:
    """Smooth weighted round robin: weights 5, 1, 1 give a b a a c a a, not five a in a row. O(log n).

    The rule is that of the earliest eligible virtual deadline (Stoica and Abdel-Wahab, 1995; as WF²Q by Bennett and
    Zhang, 1996): time advances by 1/W a pick, W being the sum of the weights; an endpoint of weight w has its turns in
    the windows [0, 1/w), [1/w, 2/w), ...; among those whose window is open the one whose window closes first is picked.
    So no endpoint is ever a whole turn ahead of its share. nginx's smooth weighted round robin keeps the same shares,
    but looks at every endpoint for every pick.
    """

    def __init__(self, endpoints: Sequence[Endpoint], random: Random, previous: Balancer | None = None) -> None:
        first = 0 if previous else int(random.random() * len(endpoints))  # proxies started together begin apart
        self._endpoints = [*endpoints[first:], *endpoints[:first]]
        self._spans = [1.0 / endpoint.weight for endpoint in self._endpoints]
        self._tick = 1.0 / sum(endpoint.weight for endpoint in self._endpoints)
        self._now = 0.0
        opens = [0.0] * len(self._endpoints)
        if isinstance(previous, WeightedRoundRobin):
            # An endpoint keeps the part of a window that it still has to wait. A new one begins anywhere in a window of
            # its own, as if it had been there all the time: one that comes and goes gets its share, not more.
            waits = previous.waits()
            for index, endpoint in enumerate(self._endpoints):
                share = waits.get(endpoint)
                opens[index] = (random.random() - 0.5 if share is None else share) * self._spans[index]
        self._waiting: list[_Turn] = [(at, index) for index, at in enumerate(opens)]  # by when the window opens
        self._open: list[_Turn] = []  # by when the window closes
        heapify(self._waiting)

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the one whose turn is due first."""
        waiting, opened, spans = self._waiting, self._open, self._spans
        if not opened and waiting[0][0] > self._now:
            self._now = waiting[0][0]  # rounding, or a change of the set, left nobody eligible: go on to the next turn
        now = self._now + 1e-9  # sums of 1/w round differently; a window that opens now is open
        while waiting and waiting[0][0] <= now:
            opening, index = heappop(waiting)
            heappush(opened, (opening + spans[index], index))
        closing, index = heappop(opened)
        heappush(waiting, (closing, index))
        self._now += self._tick
        return self._endpoints[index]

    def waits(self) -> dict[Endpoint, float]:
        """Tell how long each endpoint's next window is from opening, in windows of its own; negative once open."""
        spans, now = self._spans, self._now
        waits = {self._endpoints[index]: (at - now) / spans[index] for at, index in self._waiting}
        for closing, index in self._open:
            waits[self._endpoints[index]] = (closing - now) / spans[index] - 1.0
        return waits
