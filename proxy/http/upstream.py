"""A connection to an instance: reads its responses, one exchange at a time."""

from __future__ import annotations

import asyncio
import os
import select
import time
from typing import TYPE_CHECKING, ClassVar, Final, cast

from mypy_extensions import mypyc_attr

from proxy.http.bodies import BodyReader, ChunkedBody, CloseBody, LengthBody, behind
from proxy.http.buffers import SIZE, WRITE_HIGH, WRITE_LOW, Bounded
from proxy.http.fields import BadMessageError
from proxy.http.heads import END
from proxy.http.splice import LEAST, Splice
from proxy.http.terms import NEVER

if TYPE_CHECKING:
    from proxy.http.connections import Connections
    from proxy.http.writing import Asks

_now: Final = time.monotonic  # looked up once: compiled, each look-up would cost more than the call


@mypyc_attr(allow_interpreted_subclasses=True)
class Upstream:
    """One connection to an instance, idle or lent to an exchange.

    What an instance sends without being asked is never given to anybody: an idle connection that turns readable is
    discarded, and so is one whose response was followed by more bytes than its framing told.
    """

    __slots__ = (
        "_body",
        "_bounded",
        "_held",
        "_keep_alive",
        "_partial",
        "_paused",
        "_resting",
        "_saw_end",
        "_splice",
        "exchange",
        "full",
        "home",
        "idle_since",
        "look",
        "reused",
        "secure",
        "silent",
        "transport",
    )

    protocol: ClassVar = "http/1.1"  # that is asked for by TLS (ALPN)
    transport: asyncio.Transport

    def __init__(self, home: Connections) -> None:
        self.home = home
        self.exchange: Asks | None = None
        self.secure = False  # by TLS
        self.reused = False  # it was idle before it was lent: the instance may have closed it meanwhile
        self.silent = True  # not a byte has come in answer to the present request
        self.idle_since = 0.0
        self._body: BodyReader | None = None
        self._bounded = False  # the body is read in bounded pieces
        self.full = False  # our side of the connection holds more than the instance takes
        self._partial = b""
        self._keep_alive = False
        self._held = False  # the client does not keep up
        self._resting = False  # enough was read in this turn of the loop
        self._paused = False  # we do not read, for one of the two
        self._saw_end = False
        self._splice: Splice | None = None  # hands the body on, and we do not read

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self.secure = transport.get_extra_info("ssl_object") is not None
        if self.secure:
            self.transport.set_read_buffer_limits(SIZE)  # type: ignore[attr-defined]  # of TLS alone
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        self.look = poll.poll  # of an idle connection look(0) finds nothing, unless it is stale: see Connections.take

    def data_received(self, data: bytes) -> None:
        """Take in a piece of the response."""
        exchange = self.exchange
        if exchange is None:
            self.home.discard(self)
            self.abort()
            return
        try:
            if self._body is None:
                self._read_head(exchange, data)
            else:
                self._read_body(exchange, self._body, data)
        except BadMessageError as error:
            self.abort()
            exchange.malformed(str(error))

    def eof_received(self) -> None:
        """Remember that the instance ended the stream itself, and close without waiting to be rid of what it gets."""
        self._saw_end = True
        self.home.discard(self)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits on this connection."""
        self.home.lost(self)
        if self._splice is not None:
            self._splice.stop()
            self._splice = None
        if exc is not None:
            self._salvage()
        exchange = self.exchange
        if exchange is None:
            return
        self.exchange = None
        if isinstance(self._body, CloseBody) and self._saw_end and exc is None:
            exchange.more(b"", True, b"")
            exchange.complete(_now())
        else:
            exchange.lost(self, exc)

    def pause_writing(self) -> None:
        """Hold the client back: the instance does not keep up."""
        self.full = True
        if self.exchange is not None:
            self.exchange.hold_client(True)

    def resume_writing(self) -> None:
        """Let the client go on."""
        self.full = False
        if self.exchange is not None:
            self.exchange.hold_client(False)

    # From a splice.

    def moved(self, count: int, *, whole: bool = False) -> None:
        """Take in that so many bytes were handed on, and whether that was all."""
        exchange = self.exchange
        assert exchange is not None
        exchange.handed_on(count)
        if not whole:
            exchange.moves()
            return
        self._splice = None
        self._steer()
        self._finish(exchange)

    def broke(self, error: OSError | None) -> None:
        """Take in that our connection broke, or that the instance ended the stream."""
        exchange = self.exchange
        self.home.discard(self)
        self.abort()
        if exchange is not None:
            exchange.lost(self, error)

    # From the exchange.

    def lend(self, exchange: Asks, head: bytes) -> None:
        """Serve this exchange, whose head (and what is there of its body) is written at once."""
        self.exchange = exchange
        self.transport.write(head)

    def hold(self, held: bool) -> None:
        """Stop or go on reading: the client does not keep up."""
        self._held = held
        self._steer()

    def abort(self) -> None:
        """Close at once; nothing of this connection can be trusted any more."""
        self.exchange = None
        if self._splice is not None:
            self._splice.stop()
            self._splice = None
        self.transport.abort()

    def is_doubtful(self) -> bool:
        """Tell whether a stale connection may be a good one: by TLS it is readable for what concerns TLS alone, too.

        In TLS 1.3 the tickets of a session come when the server likes. The loop will have read them soon, or found that
        it was the end, or an answer that nobody asked for; until then nothing is known of the connection.
        """
        return self.secure and all(events == select.POLLIN for _, events in self.look(0))

    def switched(self) -> None:
        """Speak HTTP no more: the connection is one end of a tunnel."""
        self.exchange = None
        self._partial = b""
        if self._paused:
            self.hold(False)

    def _steer(self) -> None:
        pause = self._held or self._resting or self._splice is not None
        if pause != self._paused and not self.transport.is_closing():
            self._paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _rest(self) -> None:
        """Leave a turn of the loop to others: libuv goes on reading from one instance while that keeps up with us."""
        self._resting = True
        self._steer()
        asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._steer()

    def _salvage(self) -> None:
        """Read what is left on a connection that broke.

        An instance that answers before it has read the whole request, and closes, resets what we still write to it;
        that may be noticed first, with the answer yet unread. By TLS there is nothing to read that would make sense.
        """
        if self.secure:
            return
        descriptor = self.transport.get_extra_info("socket").fileno()
        try:
            while self.exchange is not None and (data := os.read(descriptor, SIZE)):
                self.data_received(data)
        except OSError:
            pass  # nothing is left; what is missing is told as for any broken connection

    def _read_head(self, exchange: Asks, data: bytes) -> None:
        """Read the head, passing interim responses on, and what there is of the body."""
        self.silent = False
        home = self.home
        much = len(data) >= SIZE
        if self._partial:
            data = self._partial + data
        elif data.startswith(home.last_head) and (known := home.last) is not None:
            length = len(home.last_head)
            if len(data) - length == known.length and exchange.request.method not in (b"HEAD", b"CONNECT"):
                # The head that came last, and all in one piece: nobody looks for its end. 2,600 instructions less.
                self._keep_alive = known.keep_alive
                exchange.respond(known, behind(data, length), True)
                if self.exchange is exchange:
                    self._finish(exchange)
                return
        limit = home.limits.headers
        at = 0
        while True:
            end = data.find(END, at, at + limit)
            if end < 0:
                data = data[at:]
                if len(data) > limit:
                    raise BadMessageError(f"a head of more than {limit} bytes")
                if b"\n\n" in data or b"\n\r\n" in data:
                    raise BadMessageError("lines must end with CR LF")
                self._partial = data
                if much:
                    self._rest()  # thousands of interim responses
                return
            end += len(END)
            response = home.reader.read(data[at:end], to_head=exchange.request.method == b"HEAD")
            if response.status >= 200:
                break
            if response.status == 101:
                exchange.switch(self, response, data[end:])
                return
            exchange.interim(response)
            at = end
        if response.written is not None and not at:
            home.last, home.last_head = response, data[:end]
        self._partial = b""
        if exchange.request.method == b"CONNECT" and response.status < 300:
            exchange.switch(self, response, data[end:])
            return
        self._keep_alive = response.keep_alive
        if len(data) - end == response.length:
            # All in one piece, as nearly all small responses are: no reader is needed.
            exchange.respond(response, behind(data, end), True)
            if self.exchange is exchange:
                self._finish(exchange)
            return
        data = data[end:]
        if response.length is not None:
            self._body = LengthBody(response.length)
        else:
            # A 205 has no content (RFC 9110 15.3.6), and some clients would take it for the next response.
            most = 0 if response.status == 205 else NEVER
            self._body = ChunkedBody(most) if response.chunked else CloseBody(most)
        content = self._body.feed(data) if data else b""
        exchange.respond(response, content, self._body.whole, self._body.trailers)
        if self.exchange is exchange and not self._body.whole:
            if response.length is not None and self._handed_on(exchange, response.length - len(data)):
                return
            self._bounded = True
            self.transport.set_protocol(Bounded(self))
        self._go_on(exchange, self._body)

    def _handed_on(self, exchange: Asks, left: int) -> bool:
        """Have the kernel hand on what is left of the body, if that is much and nobody has to look at it."""
        client = exchange.reader() if left >= LEAST and not self.secure else None
        if client is None:
            return False
        splice = Splice(self, client, left)
        if not splice.start():
            return False
        self._splice = splice
        self._steer()
        exchange.moves()
        return True

    def _read_body(self, exchange: Asks, body: BodyReader, data: bytes) -> None:
        content = body.feed(data)
        if len(data) == SIZE and len(content) < SIZE // 4:
            self._rest()  # chunks of a few bytes: 20 ms of work
        if not content and not body.whole:
            return  # a part of a chunk's line: nothing has moved yet
        exchange.more(content, body.whole, body.trailers)
        self._go_on(exchange, body)

    def _go_on(self, exchange: Asks, body: BodyReader) -> None:
        if self.exchange is not exchange:
            return  # ended while its client was written to
        if body.whole:
            self._finish(exchange, surplus=bool(body.rest))
        else:
            exchange.moves()

    def _finish(self, exchange: Asks, *, surplus: bool = False) -> None:
        """The response is whole: keep the connection for the next exchange if nothing speaks against it."""
        self.exchange = None
        self._body = None
        if self._bounded:
            self._bounded = False
            self.transport.set_protocol(cast("asyncio.Protocol", self))
        now = _now()
        read = exchange.request_whole and not self.full  # an instance may answer before it has read all
        if self._keep_alive and read and not surplus:
            self.reused = self.silent = True
            if self._paused:
                self.hold(False)
            self.home.put(self, now)
        else:
            self.transport.abort()
        exchange.complete(now)
