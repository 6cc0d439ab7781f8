"""A split at work: which service a request falls to, by weight, and who stays where they were."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from balancers.hash_keys import cookie_of
from config.split import MOST_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from balancers.balancer import Request
    from balancers.sticky import Cookie, Sticky
    from proxy.service import Service


class Split:
    """Shares requests between services by weight, each request by chance.

    `random` draws from 0 to below 1. With a `cookie`, whose values `sticky` makes, a client stays with the service that
    it had before for as long as that has a weight, whatever the weights are meanwhile: they share out those who are
    new. With `fall_over` a request for a service without a healthy endpoint goes to the others, by their weights; its
    client's cookie stays, so that it goes back later.
    """

    def __init__(
        self,
        name: str,
        services: Mapping[str, Service],
        weights: Mapping[str, int],
        random: Callable[[], float],
        *,
        cookie: Cookie | None = None,
        sticky: Sticky | None = None,
        fall_over: bool = False,
    ) -> None:
        self.name = name
        self.tell: Callable[[Mapping[str, int]], None] | None = None  # is told of weights that an operator sets
        self.services = {service: services[service] for service in weights}
        self.weights: dict[str, int] = {}
        self.requests = dict.fromkeys(weights, 0)  # so far, by the service that they fell to
        self.fall_over = fall_over
        self.cookies: dict[str, bytes] = {}  # the fields that say to a client where it is, by service
        self._random = random
        self._cookie = b""
        self._marks: dict[bytes, str] = {}
        if cookie is not None and sticky is not None:
            self._cookie = cookie.name.encode()
            self._marks = {sticky.mark(service): service for service in weights}
            self.cookies = {
                service: b"Set-Cookie: %b=%b%b" % (self._cookie, mark, cookie.attributes)
                for mark, service in self._marks.items()
            }
        self._weigh(weights)

    def choose(self, request: Request) -> tuple[str, bool]:
        """Return the service that a request falls to, and whether the response is to tell its client so."""
        kept = self._marks.get(cookie_of(request, self._cookie)) if self._cookie else None
        if kept is not None and not self.weights[kept]:
            kept = None
        name = kept or self._draw(self._names, self._sums)
        if self.fall_over and not works(self.services[name]):
            names = [other for other in self._names if works(self.services[other])]
            if names:
                name = self._draw(names, list(accumulate(self.weights[other] for other in names)))
        self.requests[name] += 1
        return name, bool(self._cookie) and kept is None

    def reweigh(self, weights: Mapping[str, int]) -> None:
        """Share requests anew; a service that is left out keeps its weight.

        Raises ValueError, which says what is wrong: there is no such service in it, a weight is none, or no service
        would get any.
        """
        unknown = [name for name in weights if name not in self.weights]
        if unknown:
            raise ValueError(f"there is no service {unknown[0]!r} in it; there are: {', '.join(self.weights)}")
        if not all(type(weight) is int and 0 <= weight <= MOST_WEIGHT for weight in weights.values()):
            raise ValueError(f"a weight must be a whole number from 0 to {MOST_WEIGHT}")
        changed = {**self.weights, **weights}
        if not any(changed.values()):
            raise ValueError("at least one service must have a weight above 0")
        self._weigh(changed)
        if self.tell is not None:
            self.tell(self.weights)

    def follow(self, before: Split, *, keep: bool) -> None:
        """Go on counting where one before stopped; with `keep`, whose services are the same, by its weights."""
        for name in self.requests.keys() & before.requests.keys():
            self.requests[name] = before.requests[name]
        if keep:
            self._weigh(before.weights)

    def _weigh(self, weights: Mapping[str, int]) -> None:
        self.weights = dict(weights)
        self._names = [name for name, weight in weights.items() if weight]
        self._sums = list(accumulate(self.weights[name] for name in self._names))

    def _draw(self, names: Sequence[str], sums: Sequence[int]) -> str:
        if len(names) == 1:
            return names[0]
        return names[bisect_right(sums, int(self._random() * sums[-1]))]


def works(service: Service) -> bool:
    """Tell whether a service has a healthy endpoint; one that uses the others for want of them has none."""
    pool = service.pool
    if not pool.panic:
        return bool(pool.candidates)
    return any(endpoint.pickable for endpoint in pool.endpoints)
