"""Every endpoint with the same chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random as RandomSource

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint


@mypyc_attr(allow_interpreted_subclasses=True)
class Random:
    """Pick uniformly; weights are ignored. O(1)."""

    def __init__(self, endpoints: Sequence[Endpoint], random: RandomSource, previous: Choice | None = None) -> None:
        self._endpoints = list(endpoints)
        self._count = len(self._endpoints)
        self._draw = random.random

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose one at random."""
        return self._endpoints[int(self._draw() * self._count)]
