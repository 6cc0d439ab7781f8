"""One endpoint is filled before the next one gets anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

LOOK = 64  # endpoints that one pick looks at, at the most
HIGHEST = 1_000_000


class First:
    """Fill the first endpoint, in the order of their identities, before the next, as HAProxy's `first`: few are needed.

    An endpoint is full with `in_flight` requests times its weight. When all are full, the one that is least so of those
    looked at gets more. It is meant for instances that are switched off when they have nothing to do.

    A pick looks at 64 endpoints at the most. With more than that, those in front that were full are not all looked at
    again for each pick, but two of them, in turn: a place that becomes free there is found some picks later. O(1).
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        random: Random,
        previous: Choice | None = None,
        *,
        in_flight: int = 100,
    ) -> None:
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.instance.id)
        self._most = in_flight
        self._full = 0  # so many in front were full when they were last looked at
        self._turn = 0  # which of those is looked at next

    @staticmethod
    def check(*, in_flight: object = 100) -> None:
        """Raise ValueError when an option makes no sense."""
        if not isinstance(in_flight, int) or isinstance(in_flight, bool) or not 1 <= in_flight <= HIGHEST:
            raise ValueError(f"in_flight must be a whole number from 1 to {HIGHEST}, not {in_flight!r}")

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the first that has room."""
        endpoints, most = self._endpoints, self._most
        count = len(endpoints)
        start = self._look_back() if count > LOOK else 0
        best, least = endpoints[start % count], float("inf")
        for index in range(start, min(start + LOOK, count)):
            endpoint = endpoints[index]
            taken = endpoint.in_flight / endpoint.weight
            if taken < most:
                self._full = index
                return endpoint
            if taken < least:
                best, least = endpoint, taken
        self._full = start + LOOK if start + LOOK < count else 0  # all are full: begin anew
        return best

    def _look_back(self) -> int:
        """Return how many in front need not be looked at, after a look at two of them."""
        for _ in range(2):
            if self._turn >= self._full:
                self._turn = 0
                break
            endpoint = self._endpoints[self._turn]
            if endpoint.in_flight / endpoint.weight < self._most:
                self._full, self._turn = self._turn, 0
                break
            self._turn += 1
        return self._full
