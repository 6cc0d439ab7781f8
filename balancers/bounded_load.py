"""No endpoint gets much more than its share, however many requests have the same key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from balancers.endpoint import Endpoint

LEAST, MOST = 1.01, 100.0


class BoundedLoad:
    """Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016).

    An endpoint is full when it has `factor` times its share of all requests in flight or more, the one that is to be
    placed counted among these. A key whose endpoint is full goes to the next one in an order that is the key's own.
    """

    __slots__ = ("_factor", "_total")

    def __init__(self, factor: float, total_weight: float) -> None:
        self._factor = factor
        self._total = total_weight

    def first_with_room(self, order: Iterable[Endpoint]) -> Endpoint:
        """Choose the first that is not full; as their shares add up to more than all there is, there is one."""
        per_weight = -1.0
        least: Endpoint | None = None
        for endpoint in order:
            if per_weight < 0:
                per_weight = self._factor * (endpoint.load.in_flight + 1) / self._total
            if endpoint.in_flight < per_weight * endpoint.weight:
                return endpoint
            if least is None or endpoint.in_flight * least.weight < least.in_flight * endpoint.weight:
                least = endpoint
        assert least is not None
        return least  # what has left the pool counts in the load but has no share, so all may be full


def check_factor(factor: object) -> None:
    """Raise ValueError when the option load_factor makes no sense."""
    if factor is None:
        return
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not LEAST <= factor <= MOST:
        raise ValueError(f"load_factor must be a number from {LEAST} to {MOST:g}, such as 1.25, not {factor!r}")
