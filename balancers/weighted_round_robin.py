"""Each endpoint in turn, as often as its weight says, and as evenly spread as can be."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

# When its window opens or closes, the number of its row of windows, and whose it is.
_Turn = tuple[float, int, "Endpoint"]
_LEFT = 2  # a heap may hold so many times as many turns as there are endpoints, until those of who left are sorted out


@mypyc_attr(allow_interpreted_subclasses=True)
class WeightedRoundRobin:
    """Smooth weighted round robin: weights 5, 1, 1 give a b a a c a a, not five a in a row. O(log n).

    The rule is that of the earliest eligible virtual deadline (Stoica and Abdel-Wahab, 1995; as WF²Q by Bennett and
    Zhang, 1996): time advances by 1/W a pick, W being the sum of the weights; an endpoint of weight w has its turns in
    the windows [0, 1/w), [1/w, 2/w), ...; among those whose window is open the one whose window closes first is picked.
    So no endpoint is ever a whole turn ahead of its share. nginx's smooth weighted round robin keeps the same shares,
    but looks at every endpoint for every pick.

    A change costs what it changes: whoever stays with the same weight keeps its turn in the heaps, and turns of those
    who left stay there until they come up.
    """

    def __init__(self, endpoints: Sequence[Endpoint], random: Random, previous: Choice | None = None) -> None:
        self._spans = spans = {endpoint: 1.0 / endpoint.weight for endpoint in endpoints}
        self._tick = 1.0 / sum(endpoint.weight for endpoint in endpoints)
        if isinstance(previous, WeightedRoundRobin):
            self._take_over(previous, random)
            return
        first = int(random.random() * len(endpoints)) if previous is None else 0  # proxies started together begin apart
        rows = [*endpoints[first:], *endpoints[:first]]
        self._now = 0.0
        self._row = len(rows)  # the next number of a row
        self._rows = {endpoint: row for row, endpoint in enumerate(rows)}
        self._waiting: list[_Turn] = [(0.0, row, endpoint) for row, endpoint in enumerate(rows)]  # by when it opens
        self._open: list[_Turn] = []  # by when it closes
        assert len(spans) == len(rows)

    def _take_over(self, previous: WeightedRoundRobin, random: Random) -> None:
        """Go on where the one before stopped.

        An endpoint whose weight changed keeps the part of a window that it still has to wait. A new one begins anywhere
        in a window of its own, as if it had been there all the time: one that comes and goes gets its share, not more.
        """
        spans, before, now = self._spans, previous._spans, previous._now
        self._now, self._row = now, previous._row
        self._rows = rows = previous._rows.copy()
        self._waiting, self._open = previous._waiting.copy(), previous._open.copy()
        for endpoint in before.keys() - spans.keys():
            del rows[endpoint]
        changed = [endpoint for endpoint, span in spans.items() if before.get(endpoint) != span]
        if changed:
            waits = previous.waits(changed)
            for endpoint in changed:
                share = waits.get(endpoint)
                opens = now + (random.random() - 0.5 if share is None else share) * spans[endpoint]
                rows[endpoint] = self._row
                heappush(self._waiting, (opens, self._row, endpoint))
                self._row += 1
        if len(self._waiting) + len(self._open) > _LEFT * len(spans):
            for heap in (self._waiting, self._open):
                heap[:] = [turn for turn in heap if rows.get(turn[2]) == turn[1]]
                heapify(heap)

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the one whose turn is due first."""
        waiting, opened, spans, rows = self._waiting, self._open, self._spans, self._rows
        while True:
            if not opened and waiting[0][0] > self._now:
                self._now = waiting[0][0]  # rounding, or a change of the set, left nobody eligible: on to the next turn
            now = self._now + 1e-9  # sums of 1/w round differently; a window that opens now is open
            while waiting and waiting[0][0] <= now:
                opening, row, endpoint = heappop(waiting)
                if rows.get(endpoint) == row:
                    heappush(opened, (opening + spans[endpoint], row, endpoint))
            while opened:
                closing, row, endpoint = heappop(opened)
                if rows.get(endpoint) == row:
                    heappush(waiting, (closing, row, endpoint))
                    self._now += self._tick
                    return endpoint

    def waits(self, endpoints: Sequence[Endpoint]) -> dict[Endpoint, float]:
        """Tell how long the next windows of some are from opening, in windows of their own; negative once open."""
        spans, rows, now = self._spans, self._rows, self._now
        wanted = {rows[endpoint] for endpoint in endpoints if endpoint in rows}
        if not wanted:
            return {}
        waits = {turn[2]: (turn[0] - now) / spans[turn[2]] for turn in self._waiting if turn[1] in wanted}
        waits |= {turn[2]: (turn[0] - now) / spans[turn[2]] - 1.0 for turn in self._open if turn[1] in wanted}
        return waits
