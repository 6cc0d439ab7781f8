"""The folder of last good sets: read when a process starts, written while it runs, by a thread and never waited for.

How a file looks is the concern of stored.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

from config.units import format_duration
from discovery import stored
from discovery.stored import Stored, StoredError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from discovery.instance import Snapshot
    from discovery.stored import Owner

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that reading a file may take; a file system that hangs is no reason not to start
GATHER = 0.5  # seconds in which changes are gathered before they are written, the newest alone
SHARE = 4  # of the time at least three quarters pass without writing, however many services change
REFRESH = 60.0  # seconds after which a set is written again though it is the same, for its time
AGAIN = 10.0  # seconds until what could not be written is tried again
REPEAT = 60.0  # seconds between two warnings of one failure that goes on
LEFT_BEHIND = 3600.0  # seconds after which the temporary file of a process that was killed is removed


class StateFolder:
    """Keeps sets in the folder at `path`, which is made when it is needed.

    Sets that are older than `max_age` seconds are not used; 0: however old. `clock` gives seconds since 1970.
    `written` and `failed` count files. One file is written at a time, and each no oftener than twice a second.
    """

    def __init__(self, path: Path, *, max_age: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.max_age = max_age
        self.clock = clock
        self.written = self.failed = 0
        self._pending: dict[StateFile, Stored] = {}
        self._news = asyncio.Event()
        self._lock = threading.Lock()  # for a writer that was cancelled while its thread goes on
        self._next_warning = float("-inf")

    def file(self, owner: Owner) -> StateFile:
        """Return the place of one set."""
        return StateFile(self, owner)

    def put(self, file: StateFile, what: Stored) -> None:
        """Have a set written, instead of any that waits for it."""
        self._pending[file] = what
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._tidy)
        pause = GATHER
        while True:
            await self._news.wait()
            await asyncio.sleep(pause)
            self._news.clear()
            began = loop.time()
            is_well = await self._write()
            pause = max(GATHER, (SHARE - 1) * (loop.time() - began)) if is_well else AGAIN

    async def close(self) -> None:
        """Write what still waits; `run` must have ended."""
        await self._write()

    async def _write(self) -> bool:
        pending, self._pending = self._pending, {}
        is_well = True
        for file, what in pending.items():
            try:
                await asyncio.to_thread(self._save, file, what)
            except OSError as error:
                is_well = False
                self._failed(file, error.strerror or str(error))
                if file not in self._pending:
                    self.put(file, what)
            except (TypeError, ValueError) as error:  # a registry of somebody else's may name what is no text
                self._failed(file, str(error))
            else:
                self.written += 1
        return is_well

    def _save(self, file: StateFile, what: Stored) -> None:
        with self._lock:
            stored.save(file.path, stored.dump(file.owner, what))

    def _failed(self, file: StateFile, why: str) -> None:
        self.failed += 1
        now = self.clock()
        if now >= self._next_warning:
            self._next_warning = now + REPEAT
            log.warning("the state of service %s cannot be written to %s: %s", file.owner.service, file.path, why)

    def _tidy(self) -> None:
        try:
            for path in self.path.glob(".*.state.*.tmp"):
                if self.clock() - path.lstat().st_mtime > LEFT_BEHIND:
                    path.unlink()
        except OSError as error:
            log.warning("temporary files in %s cannot be removed: %s", self.path, error.strerror)


class StateFile:
    """The place of the last good set of one service in one registry."""

    def __init__(self, folder: StateFolder, owner: Owner) -> None:
        self.owner = owner
        self.path = folder.path / owner.file_name
        self._folder = folder
        self._put_at = float("-inf")

    async def read(self) -> Stored | None:
        """Return what an earlier process left, None if that is nothing. Raises StoredError."""
        try:
            async with asyncio.timeout(PATIENCE):
                content = await asyncio.to_thread(stored.load, self.path)
                if content is None:
                    return None
                found = await asyncio.to_thread(stored.parse, self.owner, content)
        except TimeoutError as error:
            raise StoredError(f"{self.path} could not be read within {PATIENCE:g} s") from error
        except OSError as error:
            raise StoredError(f"{self.path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise StoredError(f"{self.path} is not used: {error}") from error
        age = self.age(found)
        if self._folder.max_age and age > self._folder.max_age:
            most = format_duration(self._folder.max_age)
            raise StoredError(f"{self.path} is not used: it is {format_duration(round(age))} old, more than {most}")
        return found

    def age(self, found: Stored) -> float:
        """Return how many seconds ago the registry said it; 0 if that is yet to come, by a clock that was set back."""
        return max(0.0, self._folder.clock() - found.time)

    def keep(self, snapshot: Snapshot, *, age: float, is_changed: bool) -> None:
        """Have a good answer of the registry kept, `age` seconds old; one without changes only now and then."""
        now = self._folder.clock()
        if is_changed or not 0 <= now - self._put_at < REFRESH:
            self._put_at = now
            self._folder.put(self, Stored(snapshot, now - age))
