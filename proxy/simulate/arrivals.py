"""When requests come, and from whom."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import inf, log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from proxy.simulate.world import Arrivals, Clients

_ROUNDING = 1e-9  # of a request

_Piece = tuple[float, float, float, float]  # from when to when, and the rate at both ends


class Rates:
    """The arrival rate over time: constant pieces and ramps."""

    def __init__(self, arrivals: Arrivals) -> None:
        pieces: list[_Piece] = []
        begin, rate = 0.0, arrivals.rate
        for change in arrivals.changes:
            pieces.append((begin, change.at, rate, rate))
            pieces.append((change.at, change.at + change.over, rate, change.rate))
            begin, rate = change.at + change.over, change.rate
        self._pieces = [piece for piece in pieces if piece[1] > piece[0]] + [(begin, inf, rate, rate)]

    def at(self, time: float) -> float:
        """Return the rate at a time."""
        for begin, end, first, last in self._pieces:
            if begin <= time < end:
                return first if end == inf else first + (last - first) * (time - begin) / (end - begin)
        return self._pieces[-1][3]

    def count(self, until: float) -> float:
        """Return how many requests are expected until a time."""
        return sum(_area(piece, until) for piece in self._pieces if piece[0] < until)

    def time_of(self, count: float) -> float | None:
        """Return when so many requests are expected to have come; None for never."""
        return next(self._times(iter([count])), None)

    def end(self, duration: float | None, count: int | None) -> float | None:
        """Return when the last request is expected, of a duration, a count of requests, or both; None for never."""
        last = self.time_of(count) if count is not None else None
        return min((time for time in (duration, last) if time is not None), default=None)

    def times(self, random: Random, *, even: bool) -> Iterator[float]:
        """Yield when requests come: as a Poisson process of this rate, or evenly.

        The time between two is drawn for a rate of 1 and then measured out below the curve of the rate.
        """
        return self._times(iter(lambda: 1.0, 0.0) if even else iter(lambda: -log(1.0 - random.random()), -1.0))

    def _times(self, steps: Iterator[float]) -> Iterator[float]:
        need = next(steps)
        for begin, end, first, last in self._pieces:
            slope = 0.0 if end == inf else (last - first) / (end - begin)
            now, rate = begin, first
            while True:
                # d in rate·d + slope·d²/2 = need, in the form that does not divide by a slope of 0
                square = rate * rate + 2.0 * slope * need
                further = 2.0 * need / (rate + sqrt(square)) if square > 0 else inf
                if need <= _ROUNDING:
                    further = 0.0  # it was due at the end of the piece before, after which none may come
                elif now + further >= end or further == inf:
                    need -= _area((now, end, rate, last), end) if end != inf else 0.0
                    break
                now += further
                rate += slope * further
                yield now
                following = next(steps, None)
                if following is None:
                    return
                need = following


def _area(piece: _Piece, until: float) -> float:
    begin, end, first, last = piece
    if until >= end:
        return (first + last) / 2 * (end - begin)
    if end == inf:
        return first * (until - begin)
    part = (until - begin) / (end - begin)
    return (first + (first + (last - first) * part)) / 2 * (until - begin)


class Asked:
    """A request as a balancer sees it: all that it has is its client's own."""

    __slots__ = ("_cookie", "_value", "client", "target")

    method = b"GET"

    def __init__(self, number: int, cookies: tuple[str, ...], queries: tuple[str, ...]) -> None:
        self.client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self._value = b"%d" % number
        self._cookie = "; ".join(f"{name}={number}" for name in cookies).encode()
        query = "&".join(f"{name}={number}" for name in queries)
        self.target = f"/{number}?{query}".rstrip("?").encode()

    def header(self, name: bytes, /) -> bytes:
        """Return the header of this name."""
        return self._cookie if name == b"cookie" else self._value


class Crowd:
    """The clients, some of whom ask more often than others."""

    def __init__(self, clients: Clients, options: Mapping[str, object], random: Random) -> None:
        keys = list(_keys(options))
        cookies = tuple(name for kind, name in keys if kind == "cookie")
        queries = tuple(name for kind, name in keys if kind == "query")
        self._asked = [Asked(number, cookies, queries) for number in range(clients.count)]
        self._sums = list(accumulate((rank + 1) ** -clients.skew for rank in range(clients.count)))
        self._even = clients.skew == 0.0
        self._draw = random.random

    def next(self) -> Asked:
        """Choose who asks next."""
        if self._even:
            return self._asked[int(self._draw() * len(self._asked))]
        return self._asked[min(bisect_right(self._sums, self._draw() * self._sums[-1]), len(self._asked) - 1)]


def _keys(options: object) -> Iterator[tuple[str, str]]:
    """Find the names of cookies and of fields of the query that a balancer goes by."""
    if isinstance(options, list | tuple):
        for one in options:
            yield from _keys(one)
    elif hasattr(options, "items"):
        for key, value in options.items():
            if key in ("cookie", "query") and isinstance(value, str):
                yield key, value
            else:
                yield from _keys(value)
