"""The own zone first, and as much to the others as it cannot bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from balancers.balancer import Balancer, Policy, Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class ZonePreference:
    """Which zone is preferred, and how far.

    The zone gets all requests as long as its healthy share times `overprovisioning` is 1 or more, and that product of
    them otherwise; the rest goes to the other zones, by weight. It is Envoy's rule for what a level of priority spills
    (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority), where 1.4 is
    usual. With less than `least` endpoints that the registry offers, zones are ignored; so they are while the own zone
    has none.
    """

    zone: str
    overprovisioning: float = 1.4
    least: int = 6

    def share(self, candidates: Sequence[Endpoint], fallible: Sequence[Endpoint]) -> float:
        """Return the share of the requests that the zone gets, 0 to 1; 1 as well where zones are ignored."""
        whole = _weight(fallible, self.zone)
        if len(fallible) < self.least or not whole:
            return 1.0
        return min(1.0, self.overprovisioning * _weight(candidates, self.zone) / whole)

    def compose(
        self,
        policy: Policy,
        candidates: Sequence[Endpoint],
        fallible: Sequence[Endpoint],
        random: Random,
        previous: Choice | None,
    ) -> Choice:
        """Put a policy to use on the zone, and on the others beside it: see balancers.choice."""
        near_before = previous.near if isinstance(previous, Zoned) else previous
        near = [endpoint for endpoint in candidates if endpoint.instance.zone == self.zone]
        if len(fallible) < self.least or not near or len(near) == len(candidates):
            return policy(candidates, random, near_before)
        share = self.share(candidates, fallible)
        chosen = policy(near, random, near_before)
        if share >= 1.0:
            return Zoned(chosen, None, 1.0, random.random)
        far_before = previous.far if isinstance(previous, Zoned) else None
        far = [endpoint for endpoint in candidates if endpoint.instance.zone != self.zone]
        return Zoned(chosen, policy(far, random, far_before), share, random.random)


class Zoned:
    """The balancer of the own zone, and that of the others for what is spilt."""

    def __init__(self, near: Balancer, far: Balancer | None, share: float, draw: Callable[[], float]) -> None:
        self.near = near
        self.far = far
        self.share = share
        self._draw = draw

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the zone, and have its balancer choose."""
        if self.far is not None and self._draw() >= self.share:
            return self.far.pick(request)
        return self.near.pick(request)

    def work(self) -> None:
        """Have both do what they have put off."""
        for balancer in (self.near, self.far):
            work = getattr(balancer, "work", None)
            if work is not None:
                work()


def _weight(endpoints: Sequence[Endpoint], zone: str) -> float:
    return sum(endpoint.weight for endpoint in endpoints if endpoint.instance.zone == zone)
