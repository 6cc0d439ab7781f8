"""Blocked queries, and what wakes them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from discovery.embedded.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_WAITING = 10_000

# The topics of the list of services and of that of checks; all others are names of services, and none is one of these.
SERVICES = ""
CHECKS = "\0"


class Waiting:
    """Who waits for what. A waiter looks at the index before and after: being woken promises nothing."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.count = 0  # of those who wait now
        self._closed = False

    async def change(self, topic: str, until: float) -> bool:
        """Wait for a change of `topic`, and return False when there was none until then, a moment of the loop's clock.

        Raises RefusedError when too many wait already.
        """
        if self._closed:
            return False
        if self.count >= MOST_WAITING:
            raise RefusedError(429, f"Too many blocking queries: {MOST_WAITING} are waiting")
        woken = asyncio.get_running_loop().create_future()
        self._waiters[topic].add(woken)
        self.count += 1
        try:
            async with asyncio.timeout_at(until):
                await woken
        except TimeoutError:
            return False
        finally:
            self.count -= 1
            self._waiters[topic].discard(woken)
            if not self._waiters[topic]:
                del self._waiters[topic]
        return not self._closed

    def wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for waiter in self._waiters.get(topic, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def close(self) -> None:
        """Let all go, and nobody wait any more: the registry stops."""
        self._closed = True
        self.wake(list(self._waiters))
