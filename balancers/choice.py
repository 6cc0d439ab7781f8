"""How a policy is put to use: on all candidates at once, or on parts of them, chosen before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

    from balancers.balancer import Policy, Request
    from balancers.endpoint import Endpoint


class Choice(Protocol):
    """Picks an endpoint, or nobody where none of them may have the request.

    One that lets a request go to some candidates only has a method `open_to(request)` besides, which returns those. One
    that has put work off has a method `work`, which does a little of it.
    """

    def pick(self, request: Request | None = None, /) -> Endpoint | None:
        """Choose the endpoint for one request."""
        ...


# Puts a policy to use on the candidates (at least one), given all endpoints of their priority that could be among them
# if they were healthy, the random source, and the choice that is replaced.
Compose = Callable[["Policy", Sequence["Endpoint"], Sequence["Endpoint"], "Random", "Choice | None"], Choice]


def plainly(
    policy: Policy,
    candidates: Sequence[Endpoint],
    fallible: Sequence[Endpoint],
    random: Random,
    previous: Choice | None,
) -> Choice:
    """Let the policy choose among all candidates."""
    return policy(candidates, random, previous)
