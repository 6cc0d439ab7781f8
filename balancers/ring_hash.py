"""The same key to the same endpoint, by a ring of hashes."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from balancers.bounded_load import BoundedLoad, check_factor
from balancers.hash_keys import hash64, hashes, read_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

POINTS = 128  # of an endpoint of average weight, where there are not too many of them
MOST_POINTS = 2**17  # of all endpoints together, but for at least FEWEST of each
FEWEST = 8
MOST_WEIGHT = 8  # times the average that a weight counts, at the most
_BUCKET_BITS = 12  # the ring is cut into so many pieces (a power of two), each a sorted list of its own

_Point = tuple[int, int, "Endpoint"]  # where on the ring, a number that no other point there has, and whose it is


class RingHash:
    """Consistent hashing on a ring (Karger and others, 1997; Ketama): a key belongs to the next point on the ring.

    An endpoint has 128 points, more or fewer by its weight relative to the average (to the nearest power of two of an
    average, so that a change of one weight moves the points of that one alone), and a change of the set moves no keys
    but those of the endpoints that it concerns. Above a thousand endpoints each has fewer points.

    `key` says what of a request is hashed (see hash_keys); a request that has none of it goes anywhere. With
    `load_factor`, loads are bounded (see bounded_load). Where on the ring an endpoint is follows from its identity, so
    proxies that see the same registry agree. O(log n).
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        random: Random,
        previous: Choice | None = None,
        *,
        key: object = "client",
        load_factor: float | None = None,
    ) -> None:
        self._endpoints = list(endpoints)
        self._key = read_key(key)
        self._draw = random.random
        total = sum(endpoint.weight for endpoint in self._endpoints)
        self._bounded = BoundedLoad(load_factor, total) if load_factor is not None else None
        self._unit = 2.0 ** round_log2(total / len(self._endpoints))  # the weight of POINTS points
        self._most = max(FEWEST, min(POINTS, power_of_two_below(MOST_POINTS // len(self._endpoints) or 1)))
        self._points: dict[Endpoint, int] = {}
        self._weights = {endpoint: endpoint.weight for endpoint in self._endpoints}
        self._buckets: list[list[_Point]]
        known: dict[Endpoint, float] = {}
        if isinstance(previous, RingHash) and (previous._most, previous._unit) == (self._most, self._unit):
            # The one before is not asked any more; what changes is what the change concerns.
            self._buckets, self._points, known = previous._buckets, previous._points, previous._weights
            for endpoint in known.keys() - self._weights.keys():
                self._set(endpoint, 0)
        else:
            self._buckets = [[] for _ in range(2**_BUCKET_BITS)]
        for endpoint in [one for one, weight in self._weights.items() if known.get(one) != weight]:
            self._set(endpoint, self._wanted(endpoint))

    @staticmethod
    def check(*, key: object = "client", load_factor: object = None) -> None:
        """Raise ValueError when an option makes no sense."""
        read_key(key)
        check_factor(load_factor)

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the endpoint that the request's key belongs to."""
        key = self._key(request) if request is not None else b""
        place = hash64(key) if key else int(self._draw() * 2**64)
        if self._bounded is not None:
            return self._bounded.first_with_room(self._from(place))
        index = place >> (64 - _BUCKET_BITS)
        bucket = self._buckets[index]
        at = bisect_left(bucket, (place,))
        while at == len(bucket):
            index = (index + 1) % 2**_BUCKET_BITS
            bucket, at = self._buckets[index], 0
        return bucket[at][2]

    def _from(self, place: int) -> Iterator[Endpoint]:
        """Yield each endpoint once, in the order in which their points follow a place on the ring."""
        seen: set[Endpoint] = set()
        first = place >> (64 - _BUCKET_BITS)
        for step in range(2**_BUCKET_BITS + 1):
            bucket = self._buckets[(first + step) % 2**_BUCKET_BITS]
            at = bisect_left(bucket, (place,)) if step == 0 else 0
            for _, _, endpoint in bucket[at:]:
                if endpoint not in seen:
                    seen.add(endpoint)
                    yield endpoint
                    if len(seen) == len(self._endpoints):
                        return

    def _wanted(self, endpoint: Endpoint) -> int:
        share = min(endpoint.weight / self._unit, MOST_WEIGHT)
        return max(1, round(self._most * share))

    def _set(self, endpoint: Endpoint, wanted: int) -> None:
        """Give an endpoint so many points; those that it has stay where they are."""
        known = self._points.pop(endpoint, 0)
        identity = endpoint.instance.id.encode()
        places = hashes(identity, max(known, wanted))
        tie = hash64(identity)
        for place in places[wanted:known]:
            bucket = self._buckets[place >> (64 - _BUCKET_BITS)]
            at = next(at for at in range(bisect_left(bucket, (place, tie)), len(bucket)) if bucket[at][2] is endpoint)
            del bucket[at]
        for place in places[known:wanted]:
            insort(self._buckets[place >> (64 - _BUCKET_BITS)], (place, tie, endpoint), key=_in_order)
        if wanted:
            self._points[endpoint] = wanted


def _in_order(point: _Point) -> tuple[int, int]:
    return point[:2]


def round_log2(value: float) -> int:
    """Return the exponent of the nearest power of two."""
    exponent = 0
    while value >= 2**0.5 * 2.0**exponent:
        exponent += 1
    while value < 2**-0.5 * 2.0**exponent:
        exponent -= 1
    return exponent


def power_of_two_below(value: int) -> int:
    """Return the greatest power of two that is not greater."""
    return 1 << (value.bit_length() - 1)
