"""Every endpoint with a chance in proportion to its weight."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint


@mypyc_attr(allow_interpreted_subclasses=True)
class WeightedRandom:
    """Pick at random by weight: a draw in the running sum of the weights. O(log n)."""

    def __init__(self, endpoints: Sequence[Endpoint], random: Random, previous: Choice | None = None) -> None:
        self._endpoints = list(endpoints)
        self._sums = list(accumulate(endpoint.weight for endpoint in self._endpoints))
        self._total = self._sums[-1]
        self._draw = random.random

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose one at random by weight."""
        return self._endpoints[bisect_right(self._sums, self._draw() * self._total)]
