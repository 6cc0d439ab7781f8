"""How much of a connection's bytes we hold at a time.

A head, and whatever came with it, is read as the loop hands it out: that is the cheapest, 0.7 µs a request less. But
uvloop hands out up to 256 kB at a time, which 200 slow readers turn into 50 MB that wait to be written. So while a body
is under way its connection is read through `Bounded`.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

JOINED: Final = 16 * 1024  # bytes of content up to which one joined piece is cheaper than two
SIZE: Final = 64 * 1024  # bytes read at a time of a body, and of requests that come ahead of their turn
WRITE_HIGH, WRITE_LOW = 32 * 1024, 8 * 1024  # bytes waiting to be written, above and below which the other side pauses

# One buffer serves every connection of the process: the loop fills it, and we copy out of it before anything else runs.
_buffer = bytearray(SIZE)
_view = memoryview(_buffer)


class Stream(Protocol):
    """A protocol that is fed with bytes."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Bounded(asyncio.BufferedProtocol):
    """Stands in for a protocol, which gets pieces of SIZE bytes at most."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def get_buffer(self, sizehint: int) -> bytearray:
        """Say where the loop may put what arrived."""
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take over what arrived."""
        self._stream.data_received(bytes(_view[:nbytes]))

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._stream.resume_writing()
