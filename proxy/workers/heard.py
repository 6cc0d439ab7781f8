"""Waiting for what others say: looked at when somebody has said something, and not before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Heard:
    """Wakes those who wait, whenever something has been heard."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def now(self) -> None:
        """Have all who wait look again."""
        for waiting in self._waiting:
            _wake(waiting)

    async def until(
        self, holds: Callable[[], bool], seconds: float, besides: Coroutine[object, object, object] | None = None
    ) -> bool:
        """Wait until it holds, at most so many seconds; return whether it does.

        The end of `besides`, which is ended with the wait, is a reason to look again, too.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        other = loop.create_task(besides) if besides is not None else None
        if other is not None:
            other.add_done_callback(lambda _: self.now())
        try:
            while not holds():
                left = end - loop.time()
                if left <= 0.0:
                    return False
                waiting: asyncio.Future[None] = loop.create_future()
                timer = loop.call_later(left, _wake, waiting)
                self._waiting.add(waiting)
                try:
                    await waiting
                finally:
                    self._waiting.discard(waiting)
                    timer.cancel()
            return True
        finally:
            if other is not None:
                other.cancel()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
