"""Tell somebody who waits that there is something to tell, and since when."""

from __future__ import annotations

import asyncio
import time


class News(asyncio.Event):
    """Set when there is something to tell, and `since` when, by time.monotonic."""

    since = 0.0

    def tell(self) -> None:
        if not self.is_set():
            self.since = time.monotonic()
        self.set()
