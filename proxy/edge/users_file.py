"""A file of users, followed as it changes, and the passwords checked against it by threads of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from proxy.edge.users import Users, UsersError, read_users
from proxy.edge.verdicts import Verdicts

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from pathlib import Path

    Told = Callable[[bool | None], None]
    Signature = tuple[int, int, int]

_log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the file
_MOST_BYTES = 16 * 1024 * 1024
_MOST_CHECKED = 64  # passwords that are being checked, or wait for it, at a time
_THREADS = 2


class UsersFileError(Exception):
    """A file of users that cannot be used when pointsman starts; the text says which, and why."""


class UsersFile:
    """The users of a file. A file that cannot be read, or makes no sense, leaves those in force that were there.

    Checking a password takes up to a second of CPU time: it is done by two threads, of at most 64 at a time, and what
    was found is remembered. Those who ask for the same at the same time are told together.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UsersFileError."""
        self.path = path
        self.verdicts = Verdicts()
        self.error = ""  # what is wrong with the file as it is now
        self.failed = self.read = 0  # how often it was read, by what came of it
        self.checked = self.overflowed = 0  # passwords, and those for which there was no room
        self._checking: dict[bytes, list[Told]] = {}  # by what the credentials are known by
        self._threads: ThreadPoolExecutor | None = None
        self._signature: Signature | None = None
        self._changing: Signature | None = None  # as it was at the last look, when it had just changed
        found = self._look(at_once=True)
        if not isinstance(found, Users):
            raise UsersFileError(f"basic_auth.file: {path} {found}")
        self.users = found
        self.read += 1

    async def look(self) -> None:
        """Read the file if it has changed."""
        found = await asyncio.to_thread(self._look)
        if isinstance(found, Users):
            self.read += 1
            if self.error:
                _log.info("%s can be read again", self.path)
            self.error = ""
            self.users = found
            self.verdicts.clear()
        elif found is not None and found != self.error:
            self.failed += 1
            self.error = found
            _log.error("%s %s; the users of before stay in force", self.path, found)

    def check(self, name: bytes, password: bytes, key: bytes, told: Told) -> bool:
        """Have credentials checked, and tell the verdict, None for none; false when too many are being checked.

        `key` is what they are known by. Raises nothing.
        """
        waiting = self._checking.get(key)
        if waiting is not None:
            waiting.append(told)
            return True
        if len(self._checking) >= _MOST_CHECKED:
            self.overflowed += 1
            return False
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "password")
        self._checking[key] = [told]
        self.checked += 1
        users = self.users
        future = asyncio.get_running_loop().run_in_executor(self._threads, users.knows, name, password)
        future.add_done_callback(lambda future: self._checked(key, users, future))
        return True

    def forget(self, key: bytes, told: Told) -> None:
        """Tell this one nothing any more; what is found is remembered all the same."""
        waiting = self._checking.get(key, [])
        if told in waiting:
            waiting.remove(told)

    def retire(self) -> None:
        """Let the threads go: hardly anybody will ask any more. Those who do, or wait, are told all the same."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def close(self) -> None:
        """Check no more passwords."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _checked(self, key: bytes, users: Users, future: Future[bool]) -> None:
        waiting = self._checking.pop(key)
        verdict = None
        if not future.cancelled():
            error = future.exception()
            if error is not None:
                _log.error("a password could not be checked", exc_info=error)
            else:
                verdict = future.result()
                if users is self.users:  # else the file has changed meanwhile
                    self.verdicts.keep(key, verdict, time.monotonic())
        for told in waiting:
            told(verdict)

    def _look(self, *, at_once: bool = False) -> Users | str | None:
        """Read the file; None when it is as it was, a few words when it cannot be used.

        One that has changed is read when it has stayed so for a look: it may be empty in the midst of being written.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                signature = (status.st_mtime_ns, status.st_ino, status.st_size)
                if signature == self._signature:
                    return None
                if signature != self._changing and not at_once:
                    self._changing = signature
                    return None
                text = file.read(_MOST_BYTES + 1)
        except OSError as error:
            self._signature = None
            return f"cannot be read: {error.strerror or error}"
        self._signature = signature
        if len(text) > _MOST_BYTES:
            return f"is larger than {_MOST_BYTES >> 20} MiB"
        try:
            return read_users(text)
        except UsersError as error:
            return str(error)
