"""Bytes both ways, unread, between a client and an instance that have agreed on another protocol than HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.http.buffers import SIZE
from proxy.http.pipe import Pipe
from proxy.http.websocket import GOING_AWAY, Frames

if TYPE_CHECKING:
    from proxy.http.downstream import Downstream
    from proxy.http.exchange import Exchange
    from proxy.http.upstream import Upstream


class Tunnel(Pipe):
    """A pipe that a request has become; it is over when nothing has moved for `stream_idle`, too.

    The protocol inside is not looked into, but for where the frames of a WebSocket begin: so that a client can be told
    to go away (RFC 6455 7.4.1, status 1001) before we end, instead of being cut off.
    """

    __slots__ = ("_exchange", "_frames", "_leaving")

    def __init__(self, exchange: Exchange, downstream: Downstream, upstream: Upstream, *, websocket: bool) -> None:
        super().__init__(downstream, upstream, exchange.terms.timeouts.stream_idle)
        self._exchange = exchange
        self._frames = Frames() if websocket else None
        self._leaving = False  # the client is, or will be, told to go away

    def open(self, rest: bytes) -> None:
        """Begin, with what the instance has sent already, and what the client has."""
        exchange = self._exchange
        downstream, upstream = exchange.downstream, exchange.upstream
        assert upstream is not None
        exchange.service.traffic.tunnels += 1
        upstream.switched()
        self.join(downstream.switched(), rest)

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        self._exchange.service.traffic.tunnel_bytes_in += len(data)
        super().from_client(data)

    def from_instance(self, data: bytes) -> None:
        """Pass on what the instance sent."""
        if self._frames is not None:
            if len(data) >= SIZE:
                self._to_instance.rest()  # it may have been in frames of a few bytes
            data = self._until_farewell(data, self._frames)
        if data:
            self._exchange.service.traffic.tunnel_bytes_out += len(data)
            super().from_instance(data)
        else:
            self.moved()

    def say_goodbye(self) -> None:
        """Tell the client of a WebSocket to go away, as soon as the frame under way is whole. Others cannot be told."""
        if self._frames is not None and not (self._leaving or self._closed or self._to_instance.finished):
            self._leaving = True
            self.from_instance(b"")

    def over(self, downstream_end: str, upstream_end: str) -> None:
        """Tell the exchange."""
        self._exchange.service.traffic.tunnels -= 1
        self._exchange.tunnelled(downstream_end, upstream_end)

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
