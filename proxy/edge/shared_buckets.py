"""Token buckets that several processes share: a limit holds for all workers together, whoever has a client."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

SLOTS = 2**17  # 2 MiB, of which only what is used takes memory
_TRIED = 8  # slots that a key may have
_WORD = 2**64 - 1


class Table:
    """The memory of the buckets, made before the processes are forked that share it.

    A slot is two words: what the key is known by, and when its bucket will be full again, in nanoseconds of the
    monotonic clock, which is one for all processes of a machine. Words are read and written whole. Nobody locks: when
    two processes take a token of one bucket in the same microsecond, one of the two may not be counted.

    Keys are known by Python's own hash of 64 bits, whose secret seed forked processes share, and nobody else knows.
    """

    def __init__(self, slots: int = SLOTS) -> None:
        self.slots = slots
        self._memory = mmap.mmap(-1, slots * 16)  # shared, and zeros
        self.words = memoryview(self._memory).cast("Q")


class SharedBuckets:
    """Buckets as those of buckets.py, in a table; `owner` tells those of one limit from those of others.

    A bucket that finds none of its slots free takes that of the bucket which will be full the soonest.
    """

    __slots__ = ("_interval", "_owner", "_room", "_slots", "_words", "forgotten")

    def __init__(self, table: Table, owner: Hashable, requests: int, per: float, burst: int) -> None:
        self._words = table.words
        self._slots = table.slots
        self._owner = owner
        self._interval = max(round(per * 1e9 / requests), 1)  # nanoseconds in which one token comes back
        self._room = (burst - 1) * self._interval
        self.forgotten = 0  # buckets that were not full

    def __len__(self) -> int:
        """How many there are is not known: nobody counts what all write to."""
        return 0

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until there is a token for a key; 0.0 if there is one."""
        words, mark = self._words, self._mark(key)
        for slot in self._places(mark):
            if words[slot] == mark:
                missing = words[slot + 1] - int(now * 1e9) - self._room
                return missing / 1e9 if missing > 0 else 0.0
        return 0.0

    def take(self, key: Hashable, now: float) -> None:
        """Take a token, which must be there."""
        words, mark, moment = self._words, self._mark(key), int(now * 1e9)
        soonest = -1
        for slot in self._places(mark):
            if words[slot] == mark:
                words[slot + 1] = max(words[slot + 1], moment) + self._interval
                return
            if soonest < 0 or words[slot + 1] < words[soonest + 1]:
                soonest = slot
        if words[soonest + 1] > moment:
            self.forgotten += 1
        words[soonest + 1] = moment + self._interval
        words[soonest] = mark

    def _mark(self, key: Hashable) -> int:
        return hash((self._owner, key)) & _WORD or 1

    def _places(self, mark: int) -> range:
        first = mark % (self._slots - _TRIED + 1) * 2
        return range(first, first + _TRIED * 2, 2)
