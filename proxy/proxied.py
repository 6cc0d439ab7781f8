"""Clients that come through a proxy which says in a PROXY header whom it speaks for: read first of all, or refused."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from typing import TYPE_CHECKING

from proxy.proxy_protocol import (
    SIGNATURE,
    V1_MOST,
    V1_START,
    V2_FIXED,
    BadHeaderError,
    Ends,
    length_v2,
    parse_v1,
    parse_v2,
)

if TYPE_CHECKING:
    from config.trusted import TrustedProxies

_log = logging.getLogger(__name__)

RESULTS = ("taken", "malformed", "missing", "overflowed")  # what became of connections; missing: in time

_WAITING_AT_ONCE = 1024  # connections whose header has not come yet; one more is closed


class UnproxiedError(OSError):
    """A connection from which a header must come has none, or a malformed one; the text says which."""


class Proxied:
    """The proxies of a listener that send a header; `results` counts what came of their connections.

    From them it must come, within `patience` seconds; others are served as what they are, and whatever they send is
    taken for what the listener speaks.
    """

    def __init__(self, proxies: TrustedProxies, patience: float) -> None:
        self._proxies = proxies
        self._patience = patience
        self._waiting: set[socket.socket] = set()
        self.results: Counter[str] = Counter()  # of RESULTS, those that there were

    def __len__(self) -> int:
        """How many headers are waited for."""
        return len(self._waiting)

    def adopt(self, other: Proxied) -> None:
        """Wait for the headers of other proxies from now on, or for another time."""
        self._proxies, self._patience = other._proxies, other._patience

    async def read(self, sock: socket.socket) -> Ends | None:
        """Read the header of a connection, and not a byte more; None where the peer's own address counts.

        Raises UnproxiedError; OSError for one that ended meanwhile. The socket is the caller's to close.
        """
        peer = sock.getpeername()
        address = peer[0].partition("%")[0] if isinstance(peer, tuple) else ""
        if not (self._proxies.trusts(address) if address else self._proxies.unix):
            return None
        if len(self._waiting) >= _WAITING_AT_ONCE:
            self.results["overflowed"] += 1
            raise UnproxiedError(f"{_WAITING_AT_ONCE} PROXY headers are waited for already")
        self._waiting.add(sock)
        try:
            async with asyncio.timeout(self._patience):
                ends = await _read(sock)
        except TimeoutError:
            self.results["missing"] += 1
            raise UnproxiedError(
                f"no PROXY header from {address or 'a unix socket'} within {self._patience:g} s"
            ) from None
        except BadHeaderError as error:
            self.results["malformed"] += 1
            raise UnproxiedError(f"no PROXY header from {address or 'a unix socket'}: {error}") from None
        except OSError:
            self.results["missing"] += 1
            raise
        finally:
            self._waiting.discard(sock)
        self.results["taken"] += 1
        return ends

    def cut(self) -> None:
        """End the connections whose header has not come yet: they have asked for nothing."""
        for sock in list(self._waiting):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone by itself


async def _read(sock: socket.socket) -> Ends | None:
    """Take exactly the header from a socket. Raises BadHeaderError, and OSError where the stream ends before.

    What is seen is always taken, since a socket that is left with something to read would keep the loop busy.
    """
    start = b""
    while len(start) < len(SIGNATURE):
        start += await _some(sock, len(SIGNATURE) - len(start))
        if not V1_START.startswith(start[: len(V1_START)]) and not SIGNATURE.startswith(start):
            raise BadHeaderError("it begins with neither version's signature")
    if start == SIGNATURE:
        fixed = await _exactly(sock, start, V2_FIXED)
        return parse_v2(await _exactly(sock, fixed, V2_FIXED + length_v2(fixed)))
    line = start
    while not line.endswith(b"\n"):
        if len(line) >= V1_MOST:
            raise BadHeaderError(f"a line of more than {V1_MOST} bytes")
        seen = await _some(sock, V1_MOST - len(line), socket.MSG_PEEK)
        line += await _some(sock, seen.find(b"\n") + 1 or len(seen))
    return parse_v1(line)


async def _exactly(sock: socket.socket, start: bytes, length: int) -> bytes:
    while len(start) < length:
        start += await _some(sock, length - len(start))
    return start


async def _some(sock: socket.socket, most: int, flags: int = 0) -> bytes:
    """Receive what is there, at least a byte. Raises ConnectionResetError at the end of the stream."""
    while True:
        try:
            data = sock.recv(most, flags)
        except BlockingIOError:
            await _readable(sock)
            continue
        if not data:
            raise ConnectionResetError("it ended before its PROXY header was whole")
        return data


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
