"""Lines of JSON, and sockets beside them, between two processes of one user."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from config.units import show
from proxy import beside
from proxy.takeover.failing import GoneError, TakeoverError
from proxy.takeover.messages import Refused, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.takeover.messages import Message

M = TypeVar("M", bound="Message")
N = TypeVar("N", bound="Message")

_PIECE = 65536  # bytes read at a time
_CREDENTIALS = struct.Struct("3i")  # ucred of unix(7): process, user, group
_QUOTED = 200  # characters of what was wrong

_decoder: msgspec.json.Decoder[Spoken] = msgspec.json.Decoder(Spoken)


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as the kernel knows it."""

    pid: int
    uid: int

    def is_trusted_by(self, uid: int) -> bool:
        """Tell whether it may take part: it is of the same user, or root's."""
        return self.uid in (0, uid)


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel who is at the other end (SO_PEERCRED); what it says cannot be forged.

    For who connects that is the process which called listen(2) last, for who accepts the one which connected.
    """
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


class Channel:
    """Owns a connected unix socket, which does not block.

    A line has at most `most` bytes. Sockets that come are kept in `sockets`, in their order, until somebody takes them
    out; where none are expected (`takes` is false) the kernel closes them at once.
    """

    def __init__(self, sock: socket.socket, *, most: int, takes: bool = False) -> None:
        self.peer = peer_of(sock)
        self.pid = self.peer.pid  # what the other is called
        self.sockets: list[socket.socket] = []
        self._sock = sock
        self._most = most
        self._takes = takes
        self._read = bytearray()

    async def send(self, message: Message, sockets: Sequence[socket.socket] = (), *, within: float) -> None:
        """Send a line, with sockets. Raises GoneError, and TakeoverError when it takes longer than `within` seconds."""
        data = memoryview(msgspec.json.encode(message) + b"\n")
        try:
            async with asyncio.timeout(within):
                if sockets:
                    data = data[await self._send_with(data, sockets) :]
                await asyncio.get_running_loop().sock_sendall(self._sock, data)
        except TimeoutError:
            raise TakeoverError(f"process {self.pid} did not listen for {within:g} s") from None
        except OSError as error:
            raise GoneError(f"process {self.pid} has gone: {error.strerror or error}") from error

    async def receive(self, kind: type[M], *, within: float) -> M:
        """Read a line of this kind.

        Raises GoneError, and TakeoverError when the other has refused, says something else, or takes longer than
        `within` seconds.
        """
        return _parsed(kind, await self._line_within(within), self.pid)

    async def receive_one_of(self, first: type[M], last: type[N], *, within: float) -> M | N:
        """Read a line of one of two kinds; raises what `receive` does."""
        line = await self._line_within(within)
        found = _read(line)
        return found if isinstance(found, first) else _parsed(last, line, self.pid)

    def take(self, count: int) -> list[socket.socket]:
        """Take out the first sockets that have come. Raises TakeoverError when there are not so many."""
        if len(self.sockets) < count:
            raise TakeoverError(f"process {self.pid} sent {len(self.sockets)} sockets, and said {count}")
        taken, self.sockets = self.sockets[:count], self.sockets[count:]
        return taken

    def close(self) -> None:
        """Hang up, and close the sockets that nobody took."""
        self._sock.close()
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    async def _line_within(self, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await self._line()
        except TimeoutError:
            raise TakeoverError(f"process {self.pid} said nothing for {seconds:g} s") from None
        except OSError as error:
            raise GoneError(f"process {self.pid} has gone: {error.strerror or error}") from error

    async def _line(self) -> bytes:
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > self._most:
                raise TakeoverError(f"process {self.pid} sent a line of more than {self._most} bytes")
            piece = await self._piece()
            if not piece:
                raise GoneError(f"process {self.pid} has hung up")
            self._read += piece
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    async def _piece(self) -> bytes:
        loop = asyncio.get_running_loop()
        room = beside.room_for(beside.MOST) if self._takes else 0
        while True:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(_PIECE, room, socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                await _until(loop.add_reader, loop.remove_reader, self._sock)
                continue
            for sock in beside.read(ancillary):
                if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    self.sockets.append(sock)
                else:
                    sock.close()  # it is no socket that listens, and so it will be one too few
            return data

    async def _send_with(self, data: memoryview, sockets: Sequence[socket.socket]) -> int:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return self._sock.sendmsg([data], beside.written(sockets))
            except (BlockingIOError, InterruptedError):
                await _until(loop.add_writer, loop.remove_writer, self._sock)


async def _until(watch: Callable[..., object], forget: Callable[[socket.socket], object], sock: socket.socket) -> None:
    """Wait until a socket can be read from, or written to."""
    able: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not able.done():
            able.set_result(None)

    watch(sock, tell)
    try:
        await able
    finally:
        forget(sock)


def _read(line: bytes) -> Spoken | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _parsed(kind: type[M], line: bytes, pid: int) -> M:
    """Read a line of this kind. Raises TakeoverError with what the other says, or with what is wrong."""
    found = _read(line)
    if isinstance(found, kind):
        return found
    if isinstance(found, Refused):
        raise TakeoverError(found.error)
    text = line[:_QUOTED].decode("utf-8", "replace")
    raise TakeoverError(f"process {pid} should have said {kind.__struct_config__.tag!r}, not {show(text)}")
