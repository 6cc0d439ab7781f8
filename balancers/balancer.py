"""The seam between the pool and a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

    from balancers.choice import Choice
    from balancers.endpoint import Endpoint


class Request(Protocol):
    """What a policy may look at of the request it picks for."""

    @property
    def client(self) -> str:
        """The client's address as far as it can be believed; empty for the client of a unix socket."""
        ...

    @property
    def method(self) -> bytes:
        """The request's method, such as b"GET"."""
        ...

    @property
    def target(self) -> bytes:
        """The request's target in origin form: path and query."""
        ...

    def header(self, name: bytes, /) -> bytes:
        """Return the value of the first header of this name, which is in lower case; b"" where there is none."""
        ...


class Balancer(Protocol):
    """Picks one of the endpoints that it was built with; never called without any.

    It is built anew whenever the set of pickable endpoints or a weight changes, so it need not follow changes. Who was
    tried already for a request is the caller's business.
    """

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the endpoint for one request, in O(log n) or less."""
        ...


# Builds a balancer for a set of endpoints (at least one, every `Endpoint.weight` above 0), drawing all its randomness
# from the given source. The balancer that it replaces is passed in, so that the turn of those who stay is kept: without
# that, a service that changes more often than its turn comes round would serve its first endpoints only. A policy that
# has to know the time has a keyword-only parameter `clock`: it tells it in seconds, and does not go backwards.
Policy = Callable[[Sequence["Endpoint"], "Random", "Choice | None"], Balancer]
