"""Where the lines go: a file that others rename and remove, a named pipe, or a stream that we were started with."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys

_MODE = 0o640  # of a file that is made: addresses and targets are not for everybody
_ATOMIC = select.PIPE_BUF  # bytes that the kernel never mixes with those of another writer to the same pipe
_STREAMS = {"stdout": 1, "stderr": 2}


class Destination:
    """A file descriptor to write to; `path` is "stdout", "stderr" or that of a file.

    A file is opened anew when another one, or none, has its name: so logrotate needs no signal. All methods may wait,
    and are for the writer's thread alone.
    """

    def __init__(self, path: str) -> None:
        """Open it. Raises an OSError whose `strerror` is a sentence."""
        self.path = path
        self._fd = -1
        self._rotates = False
        self._whole = False  # takes any number of bytes at once, unmixed
        try:
            if path in _STREAMS:
                self._adopt_stream(_STREAMS[path])
            else:
                self._open()
        except OSError as error:
            if error.errno == errno.ENXIO and _is_pipe(path):
                return  # nobody reads the pipe yet
            raise OSError(error.errno, f"cannot write the access log to {path}: {error.strerror}") from error

    def follow(self) -> bool:
        """Open the file anew if it was renamed or removed; tell whether it was. Raises OSError."""
        if self._fd >= 0:
            if not self._rotates:
                return False
            try:
                named = os.stat(self.path)
            except FileNotFoundError:
                pass
            else:
                if os.path.samestat(named, os.fstat(self._fd)):
                    return False
        self._open()
        return True

    def write(self, lines: bytes, start: int, patience: float) -> int:
        """Write of `lines` from `start` on as many as go at once, at least a byte; return how many bytes.

        Waits up to `patience` seconds for room in a pipe that does not wait by itself. Raises OSError.
        """
        view = memoryview(lines)[start : len(lines) if self._whole else _atomic_end(lines, start)]
        try:
            return os.write(self._fd, view)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll(patience * 1000)
            return os.write(self._fd, view)

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _open(self) -> None:
        # Without O_NONBLOCK a pipe would be waited for until somebody reads it; to a file it makes no difference.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(self.path, flags, _MODE)
        self.close()
        self._adopt(fd)
        self._rotates = True

    def _adopt_stream(self, number: int) -> None:
        # When we are started without it, the number may be that of some socket by now.
        if (sys.__stdout__ if number == 1 else sys.__stderr__) is None:
            raise OSError(errno.EBADF, "it is closed")
        self._adopt(os.dup(number))

    def _adopt(self, fd: int) -> None:
        self._fd = fd
        self._whole = stat.S_ISREG(os.fstat(fd).st_mode)


def _atomic_end(lines: bytes, start: int) -> int:
    """Return up to where whole lines are written without mixing with those of others: our log, say, on stderr too."""
    return lines.rfind(b"\n", start, start + _ATOMIC) + 1 or lines.find(b"\n", start) + 1


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False
