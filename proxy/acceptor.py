"""Accepts connections, and knows how to wait when the process has no file descriptors left.

The loop's own servers do not: with uvloop, a listening socket whose accept fails for want of a descriptor is closed for
good. So the sockets are ours, which costs 6 µs a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from typing import TYPE_CHECKING

from discovery.check import OURS
from proxy.descriptors import FOR_INSTANCES, all_but, check_room

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

_log = logging.getLogger(__name__)

_QUIET = 10.0  # seconds between two lines of the log that say the same
_AT_ONCE = 64  # connections accepted before others get their turn
_LAST_ROUNDS = 32  # of so many at the end; the kernel's queue holds no more


class _Stream(socket.socket):
    """A socket that need not find out what it is: that takes 0.6 µs, and five are wanted a connection."""

    __slots__ = ()

    type = socket.SOCK_STREAM


class _Stream4(_Stream):
    __slots__ = ()

    family = socket.AF_INET


class _Stream6(_Stream):
    __slots__ = ()

    family = socket.AF_INET6


class _StreamUnix(_Stream):
    __slots__ = ()

    family = socket.AF_UNIX


_KINDS: dict[socket.AddressFamily, type[_Stream]] = {
    socket.AF_INET: _Stream4,
    socket.AF_INET6: _Stream6,
    socket.AF_UNIX: _StreamUnix,
}


class Acceptor:
    """Accepts on listening sockets, which it owns, and has each connection served.

    It pauses when a connection could not be accepted, or took a descriptor so high that only a quarter of those that
    the process may have is left: connections to instances, probes and logs need some too. Clients then wait in the
    kernel's backlog. Whoever sweeps calls `resume`. Of `copied` sockets other processes of ours keep copies, to hand
    them to who takes our place: at the end they are shut for all.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        serve: Callable[[socket.socket], Awaitable[object]],
        *,
        copied: bool = False,
    ) -> None:
        self._sockets = list(sockets)
        self._copied = copied
        self._serving = serve
        self._begun: set[asyncio.Task[object]] = set()
        self._most = all_but(FOR_INSTANCES)
        self.paused = False
        self.exhausted = 0  # how often it paused
        self._said = -_QUIET  # when that was last logged

    @property
    def ports(self) -> list[int]:
        """The TCP ports that it accepts on."""
        return [sock.getsockname()[1] for sock in self._sockets if sock.family != socket.AF_UNIX]

    def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock, self._accept, sock, _KINDS[sock.family])

    def pause(self, why: str) -> None:
        """Accept nobody for now."""
        now = time.monotonic()
        if now - self._said >= _QUIET:
            self._said = now
            _log.warning("accepting pauses: %s", why)
        self.paused = True
        self.exhausted += 1
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)

    def resume(self) -> None:
        """Go on accepting, if there are descriptors again."""
        if not self._sockets:
            return
        try:
            check_room(self._most)
        except OSError:
            return
        self.paused = False
        self.start()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets; none once it is closed."""
        return self._sockets

    @property
    def inodes(self) -> set[int]:
        """What tells the sockets from others, and is the same for a copy."""
        return {os.fstat(sock.fileno()).st_ino for sock in self._sockets}

    def leave(self, inodes: Collection[int]) -> None:
        """Accept no more on those of which another one has copies, who goes on accepting."""
        for sock in list(self._sockets):
            if os.fstat(sock.fileno()).st_ino in inodes:
                asyncio.get_running_loop().remove_reader(sock)
                sock.close()
                self._sockets.remove(sock)

    def close(self, *, shared: bool = False) -> bool:
        """Accept no more, and close the sockets; false when that was done before.

        Who waits in the queue of a socket that nobody else listens on is accepted first: closing would be a reset.
        `shared` sockets are left as they are to those who share them.
        """
        sockets, self._sockets = self._sockets, []
        loop = asyncio.get_running_loop()
        for sock in sockets:
            loop.remove_reader(sock)
            if not shared and not self.paused:
                for _ in range(_LAST_ROUNDS):
                    if self._accept(sock, _KINDS[sock.family]):
                        break
                if self._copied:
                    with contextlib.suppress(OSError):  # of a unix socket another worker has done so
                        sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        return bool(sockets)

    def _accept(self, listening: socket.socket, kind: type[_Stream]) -> bool:
        """Accept who waits, but no more than some; tell whether nobody is left."""
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                descriptor, _ = listening._accept()  # type: ignore[attr-defined]  # what socket.accept() calls
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                if error.errno in OURS:
                    self.pause(error.strerror or str(error))
                    return True
                continue  # the client has left already (accept(2))
            sock = kind(kind.family, kind.type, 0, descriptor)  # type: ignore[arg-type]
            sock.setblocking(False)
            task = loop.create_task(self._serve(sock))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
            if sock.fileno() >= self._most:
                self.pause(f"{sock.fileno()} file descriptors are in use")
                return True
        return False

    async def _serve(self, sock: socket.socket) -> None:
        try:
            await self._serving(sock)
        except OSError as error:
            _log.info("a connection ended as it began: %s", error)
            sock.close()
        except Exception:
            _log.exception("a connection could not be begun")
            sock.close()


class Held(Acceptor):
    """Keeps listening sockets open on which other processes accept."""

    def start(self) -> None:
        """Accept nobody."""

    def close(self, *, shared: bool = False) -> bool:
        """Close the sockets, which are left as they are to those who accept on them."""
        return super().close(shared=True)
