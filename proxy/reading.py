"""Have a configuration read by a process that ends afterwards, and with it pydantic and all else that reading takes.

That process runs `proxy.reader`. What it has read, or what is wrong with it, comes back by pickle: both are of one
program, and nobody else has a hand on the pipes between them. One that read for a reload stays for some seconds, as
one reload often follows another, and to start it takes longer than all the rest.
"""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, cast

from config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from config.model import Config
    from proxy.config_file import Loaded

PATIENCE = 60.0  # seconds that it may take
STAYS = 10.0  # seconds
_LENGTH = struct.Struct("!Q")  # bytes of the pickle that follows

# -P and this: it finds the same modules as we do, and none that lie by chance where it is run.
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from proxy.reader import answer_all; answer_all()"
)


def read_file(path: Path, *, stay: bool = False) -> Loaded:
    """Read a file. Raises UnreadableError with all that is wrong with it, and ConfigError when nobody could read.

    With `stay` whoever reads it is ready for the next one, for STAYS.
    """
    return cast("Loaded", _ask(path, str(path), STAYS if stay else 0.0))


def read_text(text: str, name: str) -> Config:
    """Read a text, which errors call `name` and which stands for no variables. Raises ConfigError."""
    return cast("Config", _ask((text, name), name, 0.0))


def dismiss() -> None:
    """End the process that stays, if there is one and nobody waits for its answer."""
    if _lock.acquire(blocking=False):
        try:
            while _kept:
                _kept.pop().end()
        finally:
            _lock.release()


def receive(stream: IO[bytes]) -> object:
    """Read what `send` has written. Raises EOFError."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def send(stream: IO[bytes], pickled: bytes) -> None:
    """Write a pickle. Raises OSError."""
    stream.write(_LENGTH.pack(len(pickled)) + pickled)
    stream.flush()


class _Process:
    """One that reads. Raises OSError when it cannot be started."""

    def __init__(self) -> None:
        # In a group of its own: what is typed at a terminal, Ctrl-C above all, comes to us alone.
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self._late = False
        self._fresh = True

    def ask(self, asked: object, stays: float) -> object:
        """Return what it says. Raises OSError and EOFError when it has ended, or ends."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        alarm = threading.Timer(PATIENCE, self._expire)
        alarm.start()
        try:
            if self._fresh:
                stdin.write(pickle.dumps(sys.path))
                self._fresh = False
            send(stdin, pickle.dumps((asked, stays)))
            return receive(stdout)
        finally:
            alarm.cancel()

    def watch(self) -> None:
        """Take note of its end, when it comes."""
        threading.Thread(target=self._popen.wait, name="the end of the reader", daemon=True).start()

    def end(self) -> str:
        """End it, and say how it has."""
        for stream in (self._popen.stdin, self._popen.stdout):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass  # what it has not read any more
        try:
            status = self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait()
        if self._late:
            return f"that took more than {PATIENCE:g} s"
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the process that was to do it ended with {how}"

    def _expire(self) -> None:
        self._late = True
        self._popen.kill()


_lock = threading.Lock()
_kept: list[_Process] = []  # the one that stays, if there is one


def _ask(asked: object, name: str, stays: float) -> object:
    with _lock:
        found = _from_kept(asked, stays)
        if found is None:
            found = _from_new(asked, name, stays)
    if isinstance(found, Exception):
        raise found
    return found


def _from_kept(asked: object, stays: float) -> object | None:
    """Ask the one that has stayed; None if there is none any more."""
    if not _kept:
        return None
    try:
        return _kept[0].ask(asked, stays)
    except (OSError, EOFError):
        _kept.pop().end()
        return None


def _from_new(asked: object, name: str, stays: float) -> object:
    try:
        process = _Process()
    except OSError as error:
        raise _unread(name, f"no process can be started: {error.strerror or error}") from error
    try:
        found = process.ask(asked, stays)
    except (OSError, EOFError):
        raise _unread(name, process.end()) from None
    if stays:
        _kept.append(process)
        process.watch()
    else:
        process.end()
    return found


def _unread(name: str, why: str) -> ConfigError:
    return ConfigError(name, [Problem((), f"could not be read: {why}")])
