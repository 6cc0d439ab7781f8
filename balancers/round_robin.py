"""Each endpoint in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint


@mypyc_attr(allow_interpreted_subclasses=True)
class RoundRobin:
    """Pick in turn; weights are ignored. O(1).

    The first turn begins at a random place, so that many proxies started together do not all begin with the same
    instance.
    """

    def __init__(self, endpoints: Sequence[Endpoint], random: Random, previous: Choice | None = None) -> None:
        self._endpoints = list(endpoints)
        self._next = int(random.random() * len(self._endpoints))
        if isinstance(previous, RoundRobin):
            members = set(self._endpoints)
            following = next((endpoint for endpoint in previous.upcoming() if endpoint in members), None)
            if following is not None:
                self._next = self._endpoints.index(following)

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the next in turn."""
        index = self._next
        endpoint = self._endpoints[index]
        self._next = index + 1 if index + 1 < len(self._endpoints) else 0
        return endpoint

    def upcoming(self) -> list[Endpoint]:
        """List all endpoints in the order in which their turns come."""
        return self._endpoints[self._next :] + self._endpoints[: self._next]
