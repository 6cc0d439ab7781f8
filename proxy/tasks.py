"""Tasks that have an owner who notices when they die."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)


class Tasks:
    """A group of tasks that are to run until they are stopped.

    One that dies of an exception is logged with its name, and `died` is told: a part of pointsman that has silently
    stopped working is worse than one that has ended loudly.
    """

    def __init__(self, died: Callable[[str, BaseException], None] = lambda name, error: None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._died = died

    def start(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run `work` in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("%s died: %s", task.get_name(), error, exc_info=error)
            self._died(task.get_name(), error)
