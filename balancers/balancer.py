"""The seam between the pool and a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

    from balancers.endpoint import Endpoint


class Request(Protocol):
    """What a policy may look at of the request it picks for."""

    @property
    def method(self) -> bytes:
        """The request's method, such as b"GET"."""
        ...

    @property
    def target(self) -> bytes:
        """The request's target in origin form: path and query."""
        ...


class Balancer(Protocol):
    """Picks one of the endpoints that it was built with; never called without any.

    It is built anew whenever the set of pickable endpoints or a weight changes, so it need not follow changes. Who was
    tried already for a request is the caller's business.
    """

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the endpoint for one request, in O(log n) or less."""
        ...


# Builds a balancer for a set of endpoints (at least one, every weight at least 1), drawing all its randomness from the
# given source. The balancer that it replaces is passed in, so that the turn of those who stay is kept: without that,
# a service that changes more often than its turn comes round would serve its first endpoints only.
Policy = Callable[[Sequence["Endpoint"], "Random", "Balancer | None"], Balancer]
