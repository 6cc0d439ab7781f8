"""Run a server as a process of its own, which never outlives the tests."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

OUTPUT_SHOWN = 4000  # bytes of a server's last words in the error that reports it

# The kernel sends the parent-death signal when the *thread* that started the child ends, so one thread starts them
# all and lives as long as the interpreter. `start` may then be called from any thread, asyncio.to_thread included.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starts servers")
_TAKEN = b"address already in use"
_setpriv = shutil.which("setpriv")
_running: set[ServerProcess] = set()


class ServerFailedError(Exception):
    """A server ended, or did not become ready in time; the text holds its last words."""


class ServerProcess:
    """A command that serves, its output in a file.

    `ready` says whether the server can be used; it is asked until it is true, and an OSError of it means "not yet".
    All methods block: `start` until the server is ready, a few seconds for most servers. A test whose event loop has
    other work meanwhile calls `await asyncio.to_thread(server.start)`.
    """

    tries_again = True  # whether an address in use is to be waited for

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> None:
        self.command = list(command)
        self.log = log
        self._ready = ready
        self._environment = dict(environment) if environment is not None else None
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailedError(f"{self.command[0]} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it, for the first time or again, and return when it is ready.

        A server that is not ours is started anew, until the deadline, where it ends because its address is in use.
        """
        if self._process is not None:
            raise ServerFailedError(f"{self.command[0]} is running already")
        until = time.monotonic() + self._deadline
        said = self._start()
        while not self._is_ready():
            assert self._process is not None
            if self._process.poll() is not None:
                status = self._process.returncode
                self.kill()
                if self.tries_again and _TAKEN in self.log.read_bytes()[said:].lower() and time.monotonic() < until:
                    time.sleep(0.2)
                    said = self._start()
                    continue
                raise ServerFailedError(f"{self.command[0]} ended with status {status}:\n{self.output()}")
            if time.monotonic() > until:
                self.kill()
                raise ServerFailedError(
                    f"{self.command[0]} was not ready within {self._deadline:g} s:\n{self.output()}"
                )
            time.sleep(0.02)

    def stop(self, timeout: float = 5.0) -> None:
        """Ask it to end, and kill it when it has not after `timeout` seconds."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            _running.discard(self)

    def freeze(self) -> None:
        """Stop its clock: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Its threads stop one by one, and may answer until the last one has.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def output(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_bytes()[-OUTPUT_SHOWN:].decode("utf-8", "replace")

    def _start(self) -> int:
        """Spawn it, and return how many bytes its log had before."""
        said = self.log.stat().st_size if self.log.exists() else 0
        self._process = _starter.submit(self._spawn).result()
        _running.add(self)
        return said

    def _is_ready(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    def _spawn(self) -> subprocess.Popen[bytes]:
        end_with_us = [_setpriv, "--pdeathsig", "KILL", "--"] if _setpriv else []
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*end_with_us, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )


@atexit.register
def _kill_all() -> None:
    for server in list(_running):
        server.kill()
