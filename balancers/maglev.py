"""The same key to the same endpoint, by a table."""

from __future__ import annotations

from heapq import heapify, heapreplace
from itertools import cycle
from math import isqrt
from typing import TYPE_CHECKING

from balancers.bounded_load import BoundedLoad, check_factor
from balancers.hash_keys import hash64, hashes, read_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from balancers.balancer import Request
    from balancers.choice import Choice
    from balancers.endpoint import Endpoint

SIZE = 65537
LARGEST = 5_000_011
A_PICKS_WORK = 200  # places looked at for the next table by each pick: some 20 microseconds
A_TURNS_WORK = 20_000  # and whenever the pool has nothing else to do: some 2 milliseconds


class Maglev:
    """Consistent hashing by a table of `table_size` places (Eisenbud and others, "Maglev", NSDI 2016, section 3.4).

    The endpoints take places in turn, each in an order of its own that follows from its identity, and as often as its
    weight says. A key belongs to the place that its hash points to. Shares are more even than on a ring and a pick is
    one look, but a change moves some keys of those that stay, too. `table_size` is a prime, a hundred times as many as
    there are endpoints or more.

    `key` says what of a request is hashed (see hash_keys); a request that has none of it goes anywhere. With
    `load_factor`, loads are bounded (see bounded_load). Proxies that see the same registry agree.

    A table costs some 70 ms to fill. The first one is filled at once; after a change the old table is used, passing
    over those who left, while the new one is filled a little with each pick and each `work`. O(1).
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        random: Random,
        previous: Choice | None = None,
        *,
        key: object = "client",
        load_factor: float | None = None,
        table_size: int = SIZE,
    ) -> None:
        self._members = dict.fromkeys(endpoints)
        self._key = read_key(key)
        self._draw = random.random
        self._size = table_size
        total = sum(endpoint.weight for endpoint in endpoints)
        self._bounded = BoundedLoad(load_factor, total) if load_factor is not None else None
        self._table: list[Endpoint]
        self._filling: list[_Filling] = [_Filling(list(endpoints), table_size)]  # the tables to come, the last is ours
        if isinstance(previous, Maglev) and previous._size == table_size:
            self._table = previous._table
            # A table for a set that has changed again meanwhile is nearer to the truth than the one in use, and if it
            # were given up, changes that follow each other closely would never let one be finished.
            self._filling[:0] = previous._filling[:1]
        else:
            self._table = self._filling.pop().whole()

    @staticmethod
    def check(*, key: object = "client", load_factor: object = None, table_size: object = SIZE) -> None:
        """Raise ValueError when an option makes no sense."""
        read_key(key)
        check_factor(load_factor)
        if not isinstance(table_size, int) or isinstance(table_size, bool) or not 2 <= table_size <= LARGEST:
            raise ValueError(f"table_size must be a prime from 2 to {LARGEST}, not {table_size!r}")
        if any(table_size % divisor == 0 for divisor in range(2, isqrt(table_size) + 1)):
            raise ValueError(f"table_size must be a prime such as {SIZE}, not {table_size}")

    def pick(self, request: Request | None = None, /) -> Endpoint:
        """Choose the endpoint that the request's key belongs to."""
        if self._filling:
            self._fill(A_PICKS_WORK)
        key = self._key(request) if request is not None else b""
        place = (hash64(key) if key else int(self._draw() * 2**52)) % self._size
        if self._bounded is not None:
            return self._bounded.first_with_room(self._from(place))
        endpoint = self._table[place]
        return endpoint if endpoint in self._members else next(self._from(place))

    def work(self) -> None:
        """Go on with the table to come."""
        if self._filling:
            self._fill(A_TURNS_WORK)

    def _fill(self, steps: int) -> None:
        if self._filling[0].go_on(steps):
            self._table = self._filling.pop(0).table

    def _from(self, place: int) -> Iterator[Endpoint]:
        """Yield each endpoint once, in the order in which they have the places from this one on."""
        seen: set[Endpoint] = set()
        table, members = self._table, self._members
        for step in range(self._size):
            endpoint = table[(place + step) % self._size]
            if endpoint in members and endpoint not in seen:
                seen.add(endpoint)
                yield endpoint
                if len(seen) == len(members):
                    return
        yield from (endpoint for endpoint in members if endpoint not in seen)  # those that the old table has not got


class _Filling:
    """A table on the way."""

    def __init__(self, endpoints: list[Endpoint], size: int) -> None:
        self._endpoints = endpoints
        self._size = size
        self._steps: Iterator[int] | None = None
        self.table: list[Endpoint] = []

    def whole(self) -> list[Endpoint]:
        """Fill it, and return it."""
        self.go_on(0)
        return self.table

    def go_on(self, steps: int) -> bool:
        """Look at so many more places, and a few besides; 0: at all. True when it is whole."""
        if self._steps is None:
            self._steps = self._fill()
        looked = 0
        for looked_now in self._steps:
            looked += looked_now
            if steps and looked >= steps:
                return False
        return True

    def _fill(self) -> Iterator[int]:
        """Yield now and then how many places were looked at since."""
        size = self._size
        # Who comes first depends on nothing but the set, so that proxies agree.
        endpoints = sorted(self._endpoints, key=lambda endpoint: endpoint.instance.id)
        places: list[int] = []
        skips: list[int] = []
        for number, endpoint in enumerate(endpoints):
            offset, skip = hashes(endpoint.instance.id.encode(), 2)
            places.append(offset % size)
            skips.append(skip % (size - 1) + 1)
            if number % 100 == 99:
                yield 1000  # a pair of hashes takes as long as some ten looks
        table: list[Endpoint | None] = [None] * size
        looked = 0
        for left, index in zip(range(size - 1, -1, -1), _turns(endpoints), strict=False):
            place, skip = places[index], skips[index]
            while table[place] is not None:
                place += skip
                if place >= size:
                    place -= size
                looked += 1
            table[place] = endpoints[index]
            places[index] = (place + skip) % size
            looked += 1
            if looked >= 1000 and left:
                yield looked
                looked = 0
        self.table = [endpoint for endpoint in table if endpoint is not None]


def _turns(endpoints: Sequence[Endpoint]) -> Iterator[int]:
    """Yield for ever whose turn it is: each as often as its weight says, and everybody in turn when all are equal."""
    if len({endpoint.weight for endpoint in endpoints}) == 1:
        yield from cycle(range(len(endpoints)))
    spans = [1.0 / endpoint.weight for endpoint in endpoints]
    due = [(span, index) for index, span in enumerate(spans)]
    heapify(due)
    while True:
        at, index = due[0]
        yield index
        heapreplace(due, (at + spans[index], index))
