"""A connection from a client: reads its requests, one after the other, and holds each until its response is whole."""

from __future__ import annotations

import asyncio
import re
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from proxy.http.answers import answer
from proxy.http.bodies import BodyReader, ChunkedBody, LengthBody
from proxy.http.buffers import SIZE, WRITE_HIGH, WRITE_LOW, Bounded
from proxy.http.exchange import NEVER, Exchange
from proxy.http.fields import BadMessageError
from proxy.http.heads import END

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead
    from proxy.listener import Listener

_LAST_CHANCE = 1.0  # seconds that a drained connection has left for a request that may be on its way
_LINGER = 2.0  # seconds in which what a refused client still sends is read and dropped (RFC 9112 9.6)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class Downstream(asyncio.Protocol):
    """One client's connection.

    Requests that arrive before the response to the one before is whole wait in `_ahead`, of which we read no more than
    a buffer or two. `deadline` is when the present wait ends, whatever it is for; the listener's sweep looks at it.
    """

    __slots__ = (
        "_ahead",
        "_body",
        "_bounded",
        "_exchange",
        "_full",
        "_head_begun",
        "_lingering",
        "_reading_heads",
        "deadline",
        "forwarded",
        "held",
        "keep_alive",
        "listener",
        "paused",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.deadline = NEVER
        self.keep_alive = True
        self.forwarded = (b"", b"")  # the fields that say where a request came from, for HTTP/1.0 and HTTP/1.1
        self._exchange: Exchange | None = None
        self._body: BodyReader | None = None  # of the present request, until it is whole
        self._bounded = False  # the body is read in bounded pieces
        self._ahead = b""  # arrived, not looked at
        self._head_begun = True  # the deadline of the next head runs already; it does on a new connection
        self._reading_heads = False
        self._full = False  # our side of the connection holds more than the client takes
        self.held = False  # the instance does not keep up with the request's body
        self.paused = False  # we do not read
        self._lingering = False  # answered for the last time; what still comes is dropped

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a client."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self.forwarded = _forwarded(transport.get_extra_info("peername"))
        self.deadline = time.monotonic() + self.listener.timeouts.request_head
        self.listener.joined(self)

    def data_received(self, data: bytes) -> None:
        """Take in a piece of what the client sends."""
        exchange = self._exchange
        if exchange is None:
            if self._full and not self._lingering:
                self._wait(data)
            else:
                self._read_head(self._ahead + data if self._ahead else data)
        elif self._body is not None:
            self._read_body(exchange, self._body, data)
        else:
            self._wait(data)

    def eof_received(self) -> None:
        """Take a client that ends its stream for gone, as nginx, Envoy and Go do."""
        if self._exchange is not None:
            self.abort()
        else:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is under way for this client."""
        self.listener.left(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def pause_writing(self) -> None:
        """Hold the instance back: the client does not keep up."""
        self._full = True
        if self._exchange is not None:
            self._exchange.hold_instance(True)

    def resume_writing(self) -> None:
        """Let the instance go on, or the requests that wait."""
        self._full = False
        if self._exchange is not None:
            self._exchange.hold_instance(False)
        elif not self._lingering and not self.transport.is_closing():
            self._next(time.monotonic())
            if self.listener.draining:
                self.drain()

    # From the exchange.

    def hold(self, held: bool) -> None:
        """Stop or go on reading the request's body: the instance does not keep up."""
        self.held = held
        self.steer()

    def steer(self) -> None:
        """Read if there is room for what comes."""
        exchange = self._exchange
        connecting = exchange is not None and exchange.upstream is None and not exchange.request_whole
        pause = self.held or connecting or len(self._ahead) >= SIZE
        if pause != self.paused and not self.transport.is_closing():
            self.paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def exchanged(self, request_whole: bool, now: float) -> None:
        """Go on to the next request, or close: the response to the present one is whole."""
        self._exchange = None
        self.held = False
        if not request_whole:
            self._body = None
            self._linger()
        elif self.keep_alive:
            self._next(now)
        elif self._ahead:
            self._linger()
        else:
            self._close()

    def break_off(self) -> None:
        """End the connection so that nobody takes what was sent for the whole: without an end, and with a reset."""
        self._exchange = None
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    # From the listener.

    def drain(self) -> None:
        """Close soon: once what is under way, or may be on its way in this moment, has been answered."""
        self.keep_alive = False
        if self._exchange is None and not (self._full or self._lingering or self.transport.is_closing()):
            self.deadline = min(self.deadline, time.monotonic() + _LAST_CHANCE)

    def timed_out(self) -> None:
        """End a wait whose deadline has passed."""
        exchange = self._exchange
        if exchange is not None:
            exchange.timed_out()
        elif self._full or self._lingering or self.transport.is_closing():
            self.abort()
        elif self._ahead:
            self._refuse(408, "the request's head did not arrive in time")
        else:
            self._close()

    def is_gone(self) -> bool:
        """Tell whether the client has ended its stream, which the loop does not see while we do not read.

        Nor does anybody see it while it is behind bytes for which the kernel has no room; then the deadline ends it.
        """
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close at once, answered or not; a client that does not get all learns it by a reset."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        if exchange is not None or self.transport.get_write_buffer_size():
            self.break_off()
        else:
            self.transport.abort()

    def _wait(self, data: bytes) -> None:
        self._ahead += data
        self.steer()

    def _next(self, now: float) -> None:
        """Wait for the next request, or begin those that are there already."""
        self._head_begun = False
        timeouts = self.listener.timeouts
        self.deadline = now + (timeouts.stream_idle if self._full else timeouts.keepalive)
        if self._ahead and not self._reading_heads:
            self._read_heads()
        if self.paused:
            self.steer()

    def _read_heads(self) -> None:
        """Start the exchanges whose heads are there, each as soon as the one before is over."""
        self._reading_heads = True
        try:
            while self._ahead and self._exchange is None and not self._full:
                ahead = self._ahead
                self._read_head(ahead)
                if self._ahead is ahead:
                    break  # the beginning of a head
        finally:
            self._reading_heads = False

    def _read_head(self, data: bytes) -> None:
        """Read the head that `data` begins with and start its exchange; what is behind it, or no whole head, waits."""
        if self._lingering or self.transport.is_closing():
            self._ahead = b""
            return
        if data.startswith(b"\r\n"):
            data = _EMPTY_LINES.sub(b"", data, count=1)  # RFC 9112 2.2: empty lines before a request are ignored
        end = data.find(END)
        if end < 0:
            self._ahead = data
            self._await_head(data)
            return
        listener = self.listener
        if end > listener.limits.headers + listener.limits.request_line:
            self._refuse_large(data)
            return
        try:
            request = listener.reader.read(data[: end + 4])
        except BadMessageError as error:
            self._refuse(error.status, str(error))
            return
        self._head_begun = False
        self.keep_alive = request.keep_alive and not listener.draining
        now = time.monotonic()
        service = listener.router.find(request.authority, request.target)
        body: BodyReader | None
        if request.length == 0:
            body, content, trailers, whole = None, b"", b"", True
            self._ahead = data[end + 4 :]
        else:
            body = ChunkedBody() if request.length is None else LengthBody(request.length)
            try:
                content = body.feed(data[end + 4 :])
            except BadMessageError as error:
                self._refuse(error.status, str(error))
                return
            trailers, whole = body.trailers, body.whole
            self._ahead = body.rest
            if whole:
                body = None
        self._body = body
        if service is None:
            self.keep_alive = self.keep_alive and body is None
            self._refuse(404, "no route matches this host and path", request)
            return
        exchange = self._exchange = Exchange(self, request, service, now)
        exchange.begin(content, whole, trailers)
        if body is not None and self._exchange is exchange:
            self._bounded = True
            self.transport.set_protocol(Bounded(self))
            self.steer()

    def _await_head(self, data: bytes) -> None:
        """Wait for the rest of a head, unless its beginning is bad already."""
        limits = self.listener.limits
        if b"\n\n" in data or b"\n\r\n" in data:
            self._refuse(400, "lines must end with CR LF")
        elif len(data) > (limits.headers + limits.request_line + 3 if b"\n" in data else limits.request_line + 1):
            self._refuse_large(data)
        elif not self._head_begun:
            self._head_begun = True
            self.deadline = time.monotonic() + self.listener.timeouts.request_head

    def _read_body(self, exchange: Exchange, body: BodyReader, data: bytes) -> None:
        try:
            content = body.feed(data)
        except BadMessageError as error:
            exchange.failed(400, str(error))
            return
        if body.whole:
            self._body = None
            self._ahead = body.rest
            self._unbound()
        if content or body.whole:
            exchange.body(content, body.whole, body.trailers)

    def _unbound(self) -> None:
        if self._bounded:
            self._bounded = False
            self.transport.set_protocol(self)

    def _refuse(self, status: int, error: str, request: RequestHead | None = None) -> None:
        """Answer by ourselves; what cannot be understood, or is not read to its end, ends the connection."""
        self.listener.refused += 1
        close = request is None or not self.keep_alive
        to_head = request is not None and request.method == b"HEAD"
        self.transport.write(answer(status, error, close=close, to_head=to_head))
        if close:
            self._linger()
        else:
            self._next(time.monotonic())

    def _refuse_large(self, data: bytes) -> None:
        limits = self.listener.limits
        if b"\n" not in data[: limits.request_line + 2]:
            self._refuse(414, f"a request line of more than {limits.request_line} bytes")
        else:
            self._refuse(431, f"a head of more than {limits.headers} bytes")

    def _close(self) -> None:
        """Close as soon as the client has taken what was written, for which it has some time."""
        slow = self.transport.get_write_buffer_size() > 0
        self.deadline = time.monotonic() + (self.listener.timeouts.stream_idle if slow else _LINGER)
        self.transport.close()

    def _linger(self) -> None:
        """Close when the client has, or soon: closing on unread bytes would be a reset, and lose our answer."""
        self._ahead = b""
        self._lingering = True
        if self.transport.is_closing():
            return
        slow = self.transport.get_write_buffer_size() > 0
        self.deadline = time.monotonic() + (self.listener.timeouts.stream_idle if slow else _LINGER)
        self.transport.write_eof()
        if self.paused:
            self.paused = False
            self.transport.resume_reading()


def _forwarded(peer: object) -> tuple[bytes, bytes]:
    """Write the fields that say where a request came from; a unix socket's client has no address."""
    address = f"X-Forwarded-For: {peer[0]}\r\n" if isinstance(peer, tuple) else ""
    start = f"{address}X-Forwarded-Proto: http\r\n"
    return f"{start}Via: 1.0 pointsman\r\n\r\n".encode(), f"{start}Via: 1.1 pointsman\r\n\r\n".encode()
