"""What is remembered of passwords that were checked, so that a client is checked once and not with each request."""

from __future__ import annotations

import os
from hashlib import blake2b

_MOST = 10_000  # verdicts of either kind
_GOOD = 60.0  # seconds that one is remembered
_BAD = 5.0


class Verdicts:
    """Good and bad verdicts on credentials, by a hash whose key this process alone has, and forgets when it ends.

    Bad ones are kept apart, so that whoever guesses cannot drive out those of users.
    """

    __slots__ = ("_bad", "_good", "_key")

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._good: dict[bytes, float] = {}  # until when
        self._bad: dict[bytes, float] = {}

    def key(self, name: bytes, password: bytes) -> bytes:
        """Return what credentials are known by; the name has no colon in it."""
        return blake2b(name + b":" + password, key=self._key, digest_size=32).digest()

    def find(self, key: bytes, now: float) -> bool | None:
        """Return the verdict on credentials; None when there is none, or none that still counts."""
        until = self._good.get(key)
        if until is not None and now < until:
            return True
        until = self._bad.get(key)
        return False if until is not None and now < until else None

    def keep(self, key: bytes, good: bool, now: float) -> None:
        """Remember a verdict; the oldest goes when there are too many."""
        kept, lasts = (self._good, _GOOD) if good else (self._bad, _BAD)
        kept.pop(key, None)  # so that their order is that of their ends
        if len(kept) >= _MOST:
            del kept[next(iter(kept))]
        kept[key] = now + lasts

    def clear(self) -> None:
        """Forget all: the passwords may have changed."""
        self._good.clear()
        self._bad.clear()
