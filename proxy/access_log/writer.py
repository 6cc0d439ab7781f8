"""Writing lines beside the event loop: a bounded queue, and a thread that empties it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.access_log.destination import Destination

_log = logging.getLogger(__name__)

_CHUNK = 64 * 1024  # bytes that are written without waiting for more, and about as many as are written at once
_INTERVAL = 0.25  # seconds after which what waits is written, however little it is, and a failed write tried again
_QUIET = 60.0  # seconds from one word about dropped lines to the next


class Writer:
    """Writes lines to a destination, in their order, and never lets the event loop wait for it.

    `put` and the thread share no lock: each of them alone writes the counts that are its own, and the deque does the
    rest. At most `limit` bytes wait, what is being written among them; lines beyond are dropped and counted. Lines that
    cannot be written wait until they can be.

    `written` and `dropped` count lines, `failed` attempts to write; all three only grow.
    """

    def __init__(self, destination: Destination, limit: int) -> None:
        self.written = 0
        self.dropped = 0
        self.failed = 0
        self._destination = destination
        self._limit = limit
        self._plenty = min(_CHUNK, limit // 2)
        # The loop's.
        self._accepted = 0  # lines
        self._came = 0  # bytes
        # The thread's.
        self._went = 0  # bytes
        self._chunk = b""  # lines that are being written
        self._start = 0  # of what has not been written of them
        self._trouble = False  # has been said
        self._drops_said = 0
        self._drops_said_at = -_QUIET
        # Both sides'.
        self._lines: deque[bytes] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # unlike Event.set, its put takes no lock
        self._rung = False
        self._deadline: float | None = None  # of the last attempts, once it is to end
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # so that nobody who waits for it can cancel it
        self._thread = Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Take a line, with its end, to be written soon. Call it from one thread only; never waits, never raises."""
        came = self._came + len(line)
        waiting = came - self._went
        if waiting > self._limit:
            self.dropped += 1
            return
        self._lines.append(line)
        self._came = came
        self._accepted += 1
        if waiting >= self._plenty and not self._rung:
            self._rung = True
            self._bell.put(None)

    async def watch(self) -> None:
        """Wait until the thread ends; raise what it died of. To be run as a task whose owner notices its death."""
        await asyncio.wrap_future(self._ended)

    def close(self, timeout: float) -> None:
        """Write what waits, and end; what is not written within `timeout` seconds is dropped. Waits for that long."""
        if self._deadline is None:
            self._limit = -1
            self._deadline = time.monotonic() + timeout
            self._bell.put(None)
        self._thread.join(timeout)
        lost = self._accepted - self.written
        if lost:
            self._accepted -= lost
            self.dropped += lost
            _log.warning("lines lost at the end of the access log: %d", lost)

    def _run(self) -> None:
        try:
            try:
                self._work()
            finally:
                self._destination.close()
        except BaseException as error:  # goes to whoever watches
            self._limit = -1
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    def _work(self) -> None:
        while True:
            try:
                self._bell.get(timeout=self._patience())
            except Empty:
                pass
            deadline = self._deadline  # looked at before the lines: what was put before it was set is written below
            emptied = self._flush()
            self._say_drops()
            if deadline is not None and (emptied or time.monotonic() >= deadline):
                return

    def _flush(self) -> bool:
        """Write all that waits; tell whether that was possible."""
        try:
            while self._next_chunk():
                if self._destination.follow():
                    # The beginning of a line that is in the old file is of no use in the new one.
                    self._start = self._chunk.rfind(b"\n", 0, self._start) + 1
                while self._start < len(self._chunk):
                    count = self._destination.write(self._chunk, self._start, self._patience())
                    self.written += self._chunk.count(b"\n", self._start, self._start + count)
                    self._start += count
        except OSError as error:
            self.failed += 1
            if not self._trouble:
                self._trouble = True
                _log.warning("%s; trying again", _sentence(error, self._destination.path))
            return False
        if self._trouble:
            self._trouble = False
            _log.info("the access log to %s is written again", self._destination.path)
        return True

    def _next_chunk(self) -> bool:
        """Have a chunk to write, or the rest of one; tell whether there is any."""
        if self._start < len(self._chunk):
            return True
        self._went += len(self._chunk)
        self._chunk, self._start = b"", 0
        self._rung = False  # now: a bell that rings from here on is for lines that may not be seen below
        lines: list[bytes] = []
        size = 0
        while self._lines and size < _CHUNK:
            line = self._lines.popleft()
            lines.append(line)
            size += len(line)
        self._chunk = b"".join(lines)
        return size > 0

    def _patience(self) -> float:
        """Return the seconds that the thread may wait for anything."""
        deadline = self._deadline
        return _INTERVAL if deadline is None else max(0.0, min(_INTERVAL, deadline - time.monotonic()))

    def _say_drops(self) -> None:
        now = time.monotonic()
        dropped = self.dropped
        if dropped > self._drops_said and now - self._drops_said_at >= _QUIET:
            _log.warning("the access log cannot keep up; lines dropped so far: %d", dropped)
            self._drops_said, self._drops_said_at = dropped, now


def _sentence(error: OSError, path: str) -> str:
    return f"cannot write the access log to {path}: {error.strerror or error}"
