"""Messages, with sockets beside them, between processes of ours that one has forked.

They go over a pair of unix sockets of type SOCK_SEQPACKET, which keeps the bounds of what is sent. A message is a
pickle: both ends are of one program, and nobody else can reach them. A long one is sent in pieces, the first of which
says so: whoever reads drops what a process left unfinished that died, and whose end another one goes on with.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import pickle
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from proxy import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Received = Callable[[object, list[socket.socket]], None]

_log = logging.getLogger(__name__)

ENDED = "it has ended"  # why somebody is gone who has hung up, or whose process is no more
PIECE = 60_000  # bytes of a message in one packet; a few fit into the usual buffer of a socket
MOST = 64 * 2**20  # bytes that wait to be sent, and of one message
_FIRST, _LAST = 1, 2  # flags in the first byte of a packet
_AT_ONCE = 64  # packets read before others have their turn
_LOOK = 0.01  # seconds from one look at whether all is sent to the next
_HUNG_UP = (errno.EPIPE, errno.ECONNRESET)
# Memory, or the descriptors of this user that are on their way somewhere (unix(7)), will be fewer soon.
_SHORT = (errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)

Packet = tuple[bytes, "list[socket.socket]"]


class ChannelError(OSError):
    """The other end has gone, does not listen, or sends what makes no sense; the text says which."""


class DeafError(ChannelError):
    """The other end is there, and does not listen."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Make both ends of a channel."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def pickled(message: object) -> bytes:
    """Write a message down."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def packets(data: bytes, sockets: Sequence[socket.socket]) -> Iterator[Packet]:
    """Cut a message into packets; those that carry sockets come first."""
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)] or [b""]
    groups = [list(sockets[at : at + beside.MOST]) for at in range(0, len(sockets), beside.MOST)]
    pieces += [b""] * (len(groups) - len(pieces))
    for number, piece in enumerate(pieces):
        flags = (_FIRST if number == 0 else 0) | (_LAST if number == len(pieces) - 1 else 0)
        yield bytes((flags,)) + piece, groups[number] if number < len(groups) else []


class Pieces:
    """Puts packets together to messages."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._sockets: list[socket.socket] = []
        self._begun = False

    def add(self, packet: bytes, sockets: list[socket.socket]) -> tuple[object, list[socket.socket]] | None:
        """Take a packet; return the message that it ends. Raises ChannelError."""
        flags = packet[0]
        if flags & _FIRST:
            self.clear()
            self._begun = True
        self._sockets += sockets
        if not self._begun:
            self.clear()
            return None  # the rest of what one began whose place another has taken
        if len(self._read) + len(packet) - 1 > MOST:
            self.clear()
            raise ChannelError(f"a message of more than {MOST} bytes")
        self._read += memoryview(packet)[1:]
        if not flags & _LAST:
            return None
        data, found = bytes(self._read), self._sockets
        self._sockets = []
        self.clear()
        try:
            return pickle.loads(data), found
        except Exception as error:  # whatever a damaged pickle may raise
            for sock in found:
                sock.close()
            raise ChannelError(f"a message that makes no sense: {type(error).__name__}: {error}") from error

    def clear(self) -> None:
        """Drop what is unfinished."""
        self._begun = False
        self._read.clear()
        for sock in self._sockets:
            sock.close()
        self._sockets = []


class Link:
    """One end of a channel, in an event loop.

    `received` is called with each message and its sockets, which are the callee's then; `gone` once, with the reason,
    when nothing will come any more, unless `close` is called before. Nothing is raised and nothing waits: what cannot
    be sent at once is queued, and where more than MOST bytes are, the other end does not listen and counts as gone.
    Neither is called from within `send`.
    """

    def __init__(self, sock: socket.socket, received: Received, gone: Callable[[str], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = received
        self._gone = gone
        self._pieces = Pieces()
        self._queue: deque[Packet] = deque()
        self._queued = 0
        self._hung_up = False  # the other end has: nothing can be sent, and its last words are still to be read
        self._closed = False
        self._telling: asyncio.Handle | None = None  # that it is gone

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._sock, self._readable)

    @property
    def queued(self) -> int:
        """How many bytes wait to be sent."""
        return self._queued

    def send(self, message: object, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a message, now or soon; the sockets stay the caller's."""
        self.send_pickled(pickled(message), sockets)

    def send_pickled(self, data: bytes, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a message that is written down already: what goes to several is so once."""
        if len(data) > MOST:
            self._end(f"a message for it has more than {MOST} bytes")
        for packet, along in packets(data, sockets):
            if self._closed or self._hung_up:
                return
            if not self._queue and self._sends(packet, along):
                continue
            try:
                self._queue.append((packet, _duplicates(along)))  # the caller may close its own before their turn
            except OSError as error:
                self._end(f"a message for it cannot wait: {error.strerror}")
                return
            self._queued += len(packet)
        if self._queued > MOST:
            self._end("it does not listen")

    async def flush(self, within: float) -> bool:
        """Wait until all is sent, at most for so many seconds; tell whether it is."""
        deadline = time.monotonic() + within
        while self._queue and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        return not (self._queue or self._closed or self._hung_up)

    def close(self) -> None:
        """Hang up; `gone` will not be called."""
        if self._telling is not None:
            self._telling.cancel()
        self._shut()

    def _shut(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(RuntimeError):  # there may be no loop any more
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._sock)
            loop.remove_writer(self._sock)
        self._sock.close()
        self._pieces.clear()
        self._drop()

    def _drop(self) -> None:
        for _, sockets in self._queue:
            for sock in sockets:
                sock.close()
        self._queue.clear()
        self._queued = 0

    def _end(self, why: str) -> None:
        if not self._closed:
            self._shut()
            self._telling = asyncio.get_running_loop().call_soon(self._gone, why)

    def _sends(self, packet: bytes, sockets: Sequence[socket.socket]) -> bool:
        """Send a packet, or see to it that `_write` is called when it can be sent; tell whether it was."""
        try:
            _send(self._sock, packet, sockets)
        except (BlockingIOError, InterruptedError):
            asyncio.get_running_loop().add_writer(self._sock, self._writable)
        except OSError as error:
            if error.errno in _SHORT:
                asyncio.get_running_loop().call_later(_LOOK, self._write)
            elif error.errno in _HUNG_UP:
                self._hung_up = True
                self._drop()
            else:
                self._end(error.strerror or str(error))
        else:
            return True
        return False

    def _write(self) -> None:
        while self._queue:
            packet, sockets = self._queue[0]
            if not self._sends(packet, sockets):
                return
            self._queue.popleft()
            self._queued -= len(packet)
            for sock in sockets:
                sock.close()

    def _writable(self) -> None:
        asyncio.get_running_loop().remove_writer(self._sock)
        self._write()

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet, sockets = _receive(self._sock)
                if not packet:
                    self._end(ENDED)
                    return
                found = self._pieces.add(packet, sockets)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._end(error.strerror or str(error))
                return
            if found is None:
                continue
            try:
                self._received(*found)
            except Exception:
                _log.exception("a message met a fault in pointsman: %s", type(found[0]).__name__)
            if self._closed:
                return


def send_now(sock: socket.socket, message: object, sockets: Sequence[socket.socket] = (), within: float = 5.0) -> None:
    """Send a message without a loop, within so many seconds.

    Raises DeafError when the other end does not listen for that long, and ChannelError when it has gone.
    """
    deadline = time.monotonic() + within
    for packet, along in packets(pickled(message), sockets):
        while True:
            try:
                _send(sock, packet, along)
                break
            except OSError as error:
                if not isinstance(error, (BlockingIOError, InterruptedError)) and error.errno not in _SHORT:
                    raise ChannelError(error.strerror or str(error)) from error
                if time.monotonic() > deadline:
                    raise DeafError(f"it did not listen for {within:g} s") from None
                time.sleep(_LOOK)


class Inbox:
    """Reads messages from an end of a channel without a loop; one that makes no sense is logged."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pieces = Pieces()

    def receive(self) -> list[tuple[object, list[socket.socket]]]:
        """Return the messages that are there by now, none if none are; the rest of many comes at the next call.

        Raises ChannelError when no more will come.
        """
        found: list[tuple[object, list[socket.socket]]] = []
        for _ in range(_AT_ONCE):
            try:
                packet, sockets = _receive(self._sock)
                one = self._pieces.add(packet, sockets) if packet else None
            except (BlockingIOError, InterruptedError):
                break
            except ChannelError as error:
                self._pieces.clear()
                _log.error("a message of another process is lost: %s", error)
                continue
            if one is not None:
                found.append(one)
            elif not packet:
                if found:
                    break  # the end is seen again
                self._pieces.clear()
                raise ChannelError(ENDED)
        return found


def _duplicates(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    found: list[socket.socket] = []
    try:
        for sock in sockets:
            found.append(sock.dup())  # noqa: PERF401 - what there is must be closed when one fails
    except OSError:
        for sock in found:
            sock.close()
        raise
    return found


def _send(sock: socket.socket, packet: bytes, sockets: Sequence[socket.socket]) -> None:
    if not sockets:
        sock.send(packet, socket.MSG_NOSIGNAL)
        return
    sock.sendmsg([packet], beside.written(sockets), socket.MSG_NOSIGNAL)


def _receive(sock: socket.socket) -> Packet:
    """Return the next packet, an empty one at the end. Raises ChannelError for one that is not whole."""
    room = beside.room_for(beside.MOST)
    try:
        packet, ancillary, flags, _ = sock.recvmsg(PIECE + 1, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        # The other end was closed before it had read all that we sent: the kernel says so, once, before it gives out
        # what the other had sent until then.
        packet, ancillary, flags, _ = sock.recvmsg(PIECE + 1, room, socket.MSG_CMSG_CLOEXEC)
    sockets = beside.read(ancillary)
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
        for one in sockets:
            one.close()
        if flags & socket.MSG_CTRUNC:
            raise ChannelError("sockets came that there are no file descriptors for: raise the limit (ulimit -n)")
        raise ChannelError(f"a packet of more than {PIECE + 1} bytes")
    return packet, sockets
