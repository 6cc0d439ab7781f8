"""Token buckets, as many as there are clients, in bounded memory. No clock of its own."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST_MENDED = 32  # entries of the heap that are put right to make room for one bucket, so that no request pays for all


class Buckets:
    """A bucket of tokens for each key. It holds `burst` tokens, and `requests` of them come back in each `per` seconds.

    Of a bucket only the moment is kept at which it will be full again: it lacks as many tokens as come back until then.
    There is a token when it lacks no more than burst - 1; taking one puts the moment off by per / requests. This is the
    generic cell rate algorithm in its form of virtual scheduling (ITU-T I.371, annex A), which lets exactly those pass
    that a bucket of `burst` tokens does: in any t seconds at most burst + t * requests / per. Moments are whole numbers
    of nanoseconds / requests, since what floats lose would be a token now and then.

    A full bucket equals none. When there are `most` buckets and one more is wanted, the one that is full, or will be
    full the soonest, is forgotten: who has used up much stays known, and a crowd of new keys drives out its own. That
    takes O(log n); as the order is put right for no more than 32 buckets at a time, a forgotten one may be the next.
    """

    __slots__ = ("_full_at", "_interval", "_most", "_order", "_room", "_ticks", "forgotten")

    def __init__(self, requests: int, per: float, burst: int, most: int) -> None:
        self._ticks = requests  # of a nanosecond
        self._interval = max(round(per * 1e9), 1)  # ticks in which one token comes back
        self._room = (burst - 1) * self._interval  # ticks to full up to which there is a token
        self._most = most
        self._full_at: dict[Hashable, int] = {}
        self._order: list[tuple[int, int, Hashable]] = []  # a heap of when each is full, as was known when it was noted
        self.forgotten = 0  # buckets that were not full

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until there is a token for a key; 0.0 if there is one."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return 0.0
        ticks = full_at - int(now * 1e9) * self._ticks - self._room
        return ticks / self._ticks / 1e9 if ticks > 0 else 0.0

    def take(self, key: Hashable, now: float) -> None:
        """Take a token, which must be there."""
        moment = int(now * 1e9) * self._ticks
        full_at = self._full_at.get(key)
        if full_at is None:
            if len(self._full_at) >= self._most:
                self._make_room(moment)
            full_at = moment
            heapq.heappush(self._order, (moment + self._interval, id(key), key))
        self._full_at[key] = max(full_at, moment) + self._interval

    def _make_room(self, moment: int) -> None:
        order = self._order
        for _ in range(_MOST_MENDED):
            noted, tie, key = order[0]
            full_at = self._full_at[key]
            if full_at <= noted or full_at <= moment:
                break
            heapq.heapreplace(order, (full_at, tie, key))
        _, _, key = heapq.heappop(order)
        if self._full_at.pop(key) > moment:
            self.forgotten += 1
