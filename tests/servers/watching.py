"""Looking at something again and again while a test does something else."""

from __future__ import annotations

import threading
from typing import Self


class Watching:
    """Has `look` called every `pause` seconds, in a thread, while the block lasts, or until it returns False."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watches")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def look(self) -> bool:
        """Look once; return whether there is more to see."""
        raise NotImplementedError

    def _watch(self) -> None:
        while self.look() and not self._end.wait(self._pause):
            pass
