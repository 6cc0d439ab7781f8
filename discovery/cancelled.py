"""What becomes of a task that was asked to end, and met a fault on its way out."""

from __future__ import annotations

import asyncio


def end_if_cancelled(fault: BaseException) -> None:
    """Go on ending: raise CancelledError where the present task was cancelled, and `fault` took the place of that.

    What is raised while something is closed takes the place of what went before. So whoever tries again after any fault
    would never end if closing fails, as it does in asyncio's TLS with Python 3.11.2, Debian 12's, when a connection is
    aborted a second time (`_SSLProtocolTransport.abort`).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from fault
