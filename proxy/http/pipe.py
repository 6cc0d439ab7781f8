"""Two connections, each of which gets what the other one sends: what a tunnel and a raw connection have in common."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol, cast

from mypy_extensions import mypyc_attr

from proxy.http.buffers import Bounded
from proxy.http.resets import reset, unsent

if TYPE_CHECKING:
    from collections.abc import Callable

_MUCH = 16 * 1024  # bytes that come at once
_FLUSH = 2.0  # seconds in which what is under way is still written when we end


class Side(Protocol):
    """Whoever had a connection before, and still counts it."""

    transport: asyncio.Transport
    full: bool  # our side of the connection holds more than it takes

    def connection_lost(self, exc: Exception | None, /) -> None: ...


class ClientSide(Side, Protocol):
    """The client's; its deadline is the pipe's."""

    deadline: float


@mypyc_attr(allow_interpreted_subclasses=True)
class Pipe:
    """Two connections, each of which gets what the other one sends.

    A side that ends its stream has the other side's ended, and goes on receiving: half a connection is a legal thing to
    have. It is over when both have ended, when one breaks, which breaks the other one too, or when nothing has moved
    for `idle` seconds. `received` and `sent` are the bytes from and to the client.
    A connection on which we speak TLS cannot be ended by half: there the end of one side is the end of both, once all
    is written.
    """

    __slots__ = ("_closed", "_downstream", "_idle", "_to_client", "_to_instance", "received", "sent")

    def __init__(self, downstream: ClientSide, upstream: Side, idle: float) -> None:
        self._downstream = downstream
        self._idle = idle
        self._to_client = End(self.from_client, self, downstream)
        self._to_instance = End(self.from_instance, self, upstream)
        self._to_client.other, self._to_instance.other = self._to_instance, self._to_client
        self._closed = False
        self.received = self.sent = 0

    def join(self, early: bytes, rest: bytes) -> None:
        """Begin, with what the client has sent already, and what the instance has."""
        for end in (self._to_client, self._to_instance):
            end.transport.set_protocol(cast("asyncio.Protocol", end))
        for end in (self._to_client, self._to_instance):
            if end.owner.full:  # it will be told when there is room again, but not once more that there is none
                end.pause_writing()
        if rest:
            self._to_instance.data_received(rest)
        if early:
            self._to_client.data_received(early)
        self.moved()

    def moved(self) -> None:
        """Put off the deadline."""
        self._downstream.deadline = time.monotonic() + self._idle

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        self.received += len(data)
        self._to_instance.transport.write(data)
        self.moved()

    def from_instance(self, data: bytes) -> None:
        """Pass on what the instance sent."""
        self.sent += len(data)
        self._to_client.transport.write(data)
        self.moved()

    def over(self, downstream_end: str, upstream_end: str) -> None:
        """Take in that it has ended, and how."""
        raise NotImplementedError

    @property
    def client_held(self) -> bool:
        """True while the client is not read from: the instance does not keep up."""
        return self._to_instance.full

    def timed_out(self) -> None:
        """End: nothing has moved for too long."""
        self._end("timeout", "timeout")

    def close(self) -> None:
        """End from our side, with what is under way still written."""
        self._end("cut", "aborted")

    def ended(self, end: End, exc: BaseException | None) -> None:
        """Take in that a connection is gone.

        One by TLS that has not ended its stream before was cut off on its way (RFC 8446 6.1), or its owner is rude.
        That is told as a reset, and not passed on as one, which might take from the client what it has not read yet.
        """
        if self._closed:
            return
        cut = exc is not None or not end.transport.can_write_eof()
        both = self._to_client.finished and self._to_instance.finished
        if both:
            ends = ("complete", "complete")
        elif end is self._to_client:
            ends = ("left", "complete" if self._to_instance.finished else "aborted")
        else:
            ends = ("complete" if self._to_client.finished else "broken", "reset" if cut else "complete")
        self._end(*ends, broken=exc is not None)

    def both_finished(self) -> bool:
        """Tell whether neither side has anything more to say."""
        return self._to_client.finished and self._to_instance.finished

    def cannot_tell(self, end: End) -> None:
        """Take in that a side has ended its stream, of which the other one cannot be told by half."""
        self.finish()

    def finish(self) -> None:
        """End: both sides have said all, and have as long as something moves to take it."""
        self._end("complete", "complete", patience=self._idle)

    def _end(self, downstream_end: str, upstream_end: str, *, broken: bool = False, patience: float = _FLUSH) -> None:
        if self._closed:
            return
        self._closed = True
        if broken:
            for end in (self._to_client, self._to_instance):
                reset(end.transport)
        else:
            for end in (self._to_client, self._to_instance):
                end.transport.close()
            asyncio.get_running_loop().call_later(min(_FLUSH, patience), self._flush, patience, self._unwritten(), 0.0)
        self.over(downstream_end, upstream_end)

    def _unwritten(self) -> int:
        return sum(unsent(end.transport) for end in (self._to_client, self._to_instance))

    def _flush(self, patience: float, before: int, waited: float) -> None:
        """End what is still being written once nothing of it has been taken for `patience` seconds."""
        left = self._unwritten()
        waited = waited + _FLUSH if left >= before else 0.0
        if not left or waited >= patience:
            for end in (self._to_client, self._to_instance):
                end.transport.abort()
        else:
            asyncio.get_running_loop().call_later(_FLUSH, self._flush, patience, left, waited)


class End:
    """One connection of a pipe: takes what it sends, and tells its owner when it is gone."""

    __slots__ = ("_bounded", "_pipe", "_take", "finished", "full", "other", "owner", "transport")

    other: End

    def __init__(self, take: Callable[[bytes], None], pipe: Pipe, owner: Side) -> None:
        self._take = take
        self._pipe = pipe
        self.owner = owner
        self.transport = owner.transport
        self._bounded = False
        self.finished = False  # it has ended its stream
        self.full = False  # our side of the connection holds more than it takes

    def data_received(self, data: bytes) -> None:
        """Pass it on; whoever sends much is read in bounded pieces from then on, which make an echo 13 % dearer."""
        if len(data) >= _MUCH and not self._bounded:
            self._bounded = True
            self.transport.set_protocol(Bounded(self))
        self._take(data)

    def eof_received(self) -> bool:
        """End the other side's stream, and stay open for what it still sends; False where that is not to be had."""
        self.finished = True
        by_half = self.transport.can_write_eof()
        other = self.other.transport
        if self._pipe.both_finished() or not by_half:
            self._pipe.finish()
        elif other.can_write_eof():
            if not other.is_closing():
                other.write_eof()
        else:
            self._pipe.cannot_tell(self)
        return by_half

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the pipe, and whoever counts the connection."""
        self._pipe.ended(self, exc)
        self.owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold the other side back."""
        self.full = True
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the other side go on."""
        self.full = False
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def rest(self) -> None:
        """Leave a turn of the loop to others: libuv goes on reading from one connection while that keeps up with us."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        if not self.other.full and not self.transport.is_closing():
            self.transport.resume_reading()
