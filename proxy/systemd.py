"""What systemd is told of us, and the sockets that it hands us: sd_notify(3), sd_listen_fds(3), without a library."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from config.units import Bind

_log = logging.getLogger(__name__)

FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1000  # sockets that are handed over
_LOOK = 0.1  # seconds from one look at whether we are ready to the next


class ActivationError(OSError):
    """What systemd handed over cannot be used; the text says why."""


class Notifier:
    """Tells systemd how we are, by datagrams to the socket that NOTIFY_SOCKET names; without one it tells nobody.

    A name that begins with @ is in the abstract namespace. Nothing waits: a datagram that cannot be sent is lost.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        self._pid = pid or os.getpid()
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address[:1] == "@" else address if address[:1] == "/" else ""
        self._interval = _interval(environ, self._pid)
        self._is_ready = False
        self._ends = False

    @property
    def is_on(self) -> bool:
        """True when somebody wants to be told."""
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Send one message of these assignments."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.debug("systemd cannot be told: %s", error)

    def reloading(self) -> None:
        """Tell that the configuration is being changed; systemd 253 wants to know since when."""
        if self._is_ready and not self._ends:
            self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def ready(self) -> None:
        """Tell that this is over."""
        if self._is_ready and not self._ends:
            self.send("READY=1")

    def hand_over(self, pid: int) -> None:
        """Tell that another process is the main one from now on, and nothing more."""
        if not self._ends:
            self._ends = True
            self.send(f"MAINPID={pid}")
        self._address = ""

    def succeed(self, watchdog: float) -> None:
        """Tell that we are the main process from now on; who was before has had a sign of life wanted as often."""
        self._interval = self._interval or watchdog
        self.send(f"MAINPID={self._pid}")

    @property
    def watchdog(self) -> float:
        """Seconds from one sign of life to the next; 0: none is wanted."""
        return self._interval

    def stopping(self, status: str) -> None:
        """Tell that we end."""
        if not self._ends:
            self._ends = True
            self.send("STOPPING=1", f"STATUS={status}")

    async def run(self, unready: Callable[[], list[str]]) -> None:
        """Tell once that we are ready, and from time to time how we are and that we live, until cancelled."""
        if not self._address:
            return
        said = ""
        next_sign = 0.0
        while True:
            now = time.monotonic()
            reasons = unready()
            status = f"not ready: {reasons[0]}" if reasons else "ready"
            if not reasons and not self._is_ready:
                self._is_ready = True
                self.send("READY=1", f"STATUS={status}")
            elif status != said and not self._ends:
                self.send(f"STATUS={status}")
            said = status
            if self._interval and now >= next_sign:
                next_sign = now + self._interval
                self.send("WATCHDOG=1")
            await asyncio.sleep(min(_LOOK, self._interval or _LOOK))


def activated(environ: MutableMapping[str, str] | None = None, pid: int | None = None) -> list[socket.socket]:
    """Return the listening sockets that systemd started us with, and take them out of the environment.

    Raises ActivationError for what is no listening stream socket.
    """
    given = os.environ if environ is None else environ
    count, of = given.pop("LISTEN_FDS", ""), given.pop("LISTEN_PID", "")
    given.pop("LISTEN_FDNAMES", None)  # sockets are known by their addresses
    if not count or of != str(pid or os.getpid()):
        return []
    if not count.isdecimal() or not 0 <= int(count) <= _MOST:
        raise ActivationError(f"LISTEN_FDS is {count!r}, and must be a number up to {_MOST}")
    return [_adopted(fd) for fd in range(FIRST, FIRST + int(count))]


def _adopted(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise ActivationError(f"file descriptor {fd} of LISTEN_FDS is no socket: use ListenStream=")
        sock = socket.socket(fileno=fd)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.detach()
            raise ActivationError(
                f"file descriptor {fd} of LISTEN_FDS is no listening stream socket: use ListenStream=, and Accept=no"
            )
        sock.setblocking(False)
    except ActivationError:
        raise
    except OSError as error:
        raise ActivationError(f"file descriptor {fd} of LISTEN_FDS: {error.strerror}") from error
    return sock


def shared_out(binds: Sequence[Bind], given: Sequence[socket.socket]) -> list[list[socket.socket]]:
    """Give each address the sockets that listen there. Raises ActivationError for one that nobody wants."""
    left = list(given)
    shared: list[list[socket.socket]] = []
    for bind in binds:
        ours = [sock for sock in left if matches(bind, sock)]
        left = [sock for sock in left if sock not in ours]
        shared.append(ours)
    if left:
        names = " and ".join(_shown(sock) for sock in left)
        raise ActivationError(f"systemd listens on {names}, which is the bind of no listener, admin or registry")
    return shared


def _shown(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"unix:{name}" if sock.family == socket.AF_UNIX else f"{name[0]}:{name[1]}"


def matches(bind: Bind, sock: socket.socket) -> bool:
    """Tell whether a socket listens where `bind` says; for all addresses one that takes IPv6 and IPv4 does."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return bool(bind.path) and name == bind.path
    if bind.path or name[1] != bind.port:
        return False
    if not bind.host:
        return name[0] in ("::", "0.0.0.0")
    try:
        found = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(address[0] == name[0] for _, _, _, _, address in found)


def _interval(environ: Mapping[str, str], pid: int) -> float:
    """Return the seconds from one sign of life to the next: half of what systemd waits for; 0: none is wanted."""
    of, microseconds = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if of not in ("", str(pid)) or not (microseconds.isascii() and microseconds.isdecimal()):
        return 0.0
    return int(microseconds) / 1e6 / 2
