"""Bytes both ways, unread, between a client and an instance that have agreed on another protocol than HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from proxy.http.buffers import SIZE, Bounded
from proxy.http.resets import reset
from proxy.http.websocket import GOING_AWAY, Frames

if TYPE_CHECKING:
    from proxy.http.downstream import Downstream
    from proxy.http.exchange import Exchange
    from proxy.http.upstream import Upstream


_FLUSH = 2.0  # seconds in which what is under way is still written when we end


class Tunnel:
    """Two connections, each of which gets what the other one sends.

    A side that ends its stream has the other side's ended, and goes on receiving: half a connection is a legal thing to
    have. It is over when both have ended, when one breaks, which breaks the other one too, or when nothing has moved
    for `stream_idle`. `received` and `sent` are the bytes from and to the client.

    The protocol inside is not looked into, but for where the frames of a WebSocket begin: so that a client can be told
    to go away (RFC 6455 7.4.1, status 1001) before we end, instead of being cut off.
    """

    __slots__ = (
        "_closed",
        "_exchange",
        "_frames",
        "_idle",
        "_leaving",
        "_to_client",
        "_to_instance",
        "received",
        "sent",
    )

    def __init__(self, exchange: Exchange, downstream: Downstream, upstream: Upstream, *, websocket: bool) -> None:
        self._exchange = exchange
        self._idle = exchange.terms.timeouts.stream_idle
        self._to_client = _End(self, downstream, downstream.transport)
        self._to_instance = _End(self, upstream, upstream.transport)
        self._to_client.other, self._to_instance.other = self._to_instance, self._to_client
        self._frames = Frames() if websocket else None
        self._leaving = False  # the client is, or will be, told to go away
        self._closed = False
        self.received = self.sent = 0

    def open(self, rest: bytes) -> None:
        """Begin, with what the instance has sent already, and what the client has."""
        exchange = self._exchange
        downstream, upstream = exchange.downstream, exchange.upstream
        assert upstream is not None
        exchange.service.traffic.tunnels += 1
        upstream.switched()
        early = downstream.switched()
        for end in (self._to_client, self._to_instance):
            end.transport.set_protocol(Bounded(end))
        if downstream.full:  # it will be told when there is room again, but not once more that there is none
            self._to_client.pause_writing()
        if upstream.full:
            self._to_instance.pause_writing()
        if rest:
            self._to_instance.data_received(rest)
        if early:
            self._to_client.data_received(early)
        self.moved()

    def moved(self) -> None:
        """Put off the deadline."""
        self._exchange.downstream.deadline = time.monotonic() + self._idle

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        self.received += len(data)
        self._exchange.service.traffic.tunnel_bytes_in += len(data)
        self._to_instance.transport.write(data)
        self.moved()

    def from_instance(self, data: bytes) -> None:
        """Pass on what the instance sent."""
        if self._frames is not None:
            if len(data) == SIZE:
                self._to_instance.rest()  # it may have been in frames of a few bytes
            data = self._until_farewell(data, self._frames)
        if data:
            self.sent += len(data)
            self._exchange.service.traffic.tunnel_bytes_out += len(data)
            self._to_client.transport.write(data)
        self.moved()

    def say_goodbye(self) -> None:
        """Tell the client of a WebSocket to go away, as soon as the frame under way is whole. Others cannot be told."""
        if self._frames is not None and not (self._leaving or self._closed or self._to_instance.finished):
            self._leaving = True
            self.from_instance(b"")

    def _until_farewell(self, data: bytes, frames: Frames) -> bytes:
        """Cut what comes from the instance where the client is told to go away; nothing goes behind that."""
        if not self._leaving:
            frames.feed(data)
            return data
        if frames.ended:
            return b""
        boundary = 0 if frames.whole else frames.feed(data, stop=True)
        if boundary < 0:
            return data
        frames.ended = True
        return data[:boundary] + GOING_AWAY

    def timed_out(self) -> None:
        """End: nothing has moved for too long."""
        self._end("timeout", "timeout")

    def close(self) -> None:
        """End from our side, with what is under way still written."""
        self._end("cut", "aborted")

    def ended(self, end: _End, exc: BaseException | None) -> None:
        """Take in that a connection is gone."""
        if self._closed:
            return
        both = self._to_client.finished and self._to_instance.finished
        if both:
            ends = ("complete", "complete")
        elif end is self._to_client:
            ends = ("left", "complete" if self._to_instance.finished else "aborted")
        else:
            ends = ("complete" if self._to_client.finished else "broken", "reset" if exc else "complete")
        self._end(*ends, broken=exc is not None)

    def both_finished(self) -> bool:
        """Tell whether neither side has anything more to say."""
        return self._to_client.finished and self._to_instance.finished

    def finish(self) -> None:
        """End: both sides have said all."""
        self._end("complete", "complete")

    def _end(self, downstream_end: str, upstream_end: str, *, broken: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        self._exchange.service.traffic.tunnels -= 1
        if broken:
            for end in (self._to_client, self._to_instance):
                reset(end.transport)
        else:
            for end in (self._to_client, self._to_instance):
                end.transport.close()
            asyncio.get_running_loop().call_later(_FLUSH, self._abort)
        self._exchange.tunnelled(downstream_end, upstream_end)

    def _abort(self) -> None:
        for end in (self._to_client, self._to_instance):
            end.transport.abort()


class _End:
    """One connection of a tunnel: takes what it sends, and tells its owner when it is gone."""

    __slots__ = ("_full", "_owner", "_tunnel", "finished", "other", "transport")

    other: _End

    def __init__(self, tunnel: Tunnel, owner: Downstream | Upstream, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._owner = owner
        self.transport = transport
        self.finished = False  # it has ended its stream
        self._full = False  # our side of the connection holds more than it takes

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self is self._tunnel._to_client:
            self._tunnel.from_client(data)
        else:
            self._tunnel.from_instance(data)

    def eof_received(self) -> bool:
        """End the other side's stream, and stay open for what it still sends."""
        self.finished = True
        # TLS ends both directions at once: half a connection is nothing that the loop's can have.
        whole = not (self.transport.can_write_eof() and self.other.transport.can_write_eof())
        if whole or self._tunnel.both_finished():
            self._tunnel.finish()
        elif not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the tunnel, and whoever counts the connection."""
        self._tunnel.ended(self, exc)
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold the other side back."""
        self._full = True
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the other side go on."""
        self._full = False
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def rest(self) -> None:
        """Leave a turn of the loop to others: libuv goes on reading from one connection while that keeps up with us."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        if not self.other._full and not self.transport.is_closing():
            self.transport.resume_reading()
