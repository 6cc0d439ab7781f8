"""A connection from a client: reads its requests, one after the other, and holds each until its response is whole."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Final, cast

from mypy_extensions import mypyc_attr

from proxy.edge.admission import Admission
from proxy.http import answers
from proxy.http.answers import Answer
from proxy.http.bodies import BodyReader, ChunkedBody, LengthBody, narrow
from proxy.http.buffers import SIZE, WRITE_HIGH, WRITE_LOW, Bounded
from proxy.http.client import Client
from proxy.http.exchange import Exchange
from proxy.http.fields import BadMessageError
from proxy.http.forwarding import Origin
from proxy.http.heads import END
from proxy.http.resets import unsent
from proxy.http.terms import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.edge.guard import Guard
    from proxy.http.heads import RequestHead
    from proxy.http.marks import Marks
    from proxy.http.terms import Terms
    from proxy.listener import Listener
    from proxy.proxy_protocol import Ends

_now: Final = time.monotonic  # looked up once: compiled, each look-up would cost more than the call
_LAST_CHANCE = 1.0  # seconds that a drained connection has left for a request that may be on its way
_HEADS_AT_ONCE = 64  # read in one turn of the loop; those whose requests we answer ourselves wait for nothing else
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_TLS = b"\x16\x03"  # what TLS begins with (RFC 8446 5.1); its client would wait for us, and we for a line


@mypyc_attr(allow_interpreted_subclasses=True)
class Downstream(Client):
    """A client's connection, whose requests are read one after the other.

    Requests that arrive before the response to the one before is whole wait in `_ahead`, of which we read no more than
    a buffer or two.
    """

    __slots__ = (
        "_body",
        "_bounded",
        "_head_begun",
        "_reading_heads",
        "_served",
        "keep_alive",
        "marks",
    )

    def __init__(self, listener: Listener, proxied: Ends | None = None) -> None:
        super().__init__(listener, proxied)
        self.keep_alive = True
        self.marks: Callable[[], Marks] | None = listener.marks
        self._body: BodyReader | None = None  # of the present request, until it is whole
        self._bounded = False  # the body is read in bounded pieces
        self._head_begun = True  # the deadline of the next head runs already; it does on a new connection
        self._reading_heads = False
        self._served = 0  # requests so far, where they are limited

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a client."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        listener = self.listener
        secured = None
        if listener.handshakes is not None:
            secured = listener.handshakes.secured(transport)
            if secured is not None:
                self.transport.set_read_buffer_limits(SIZE)  # type: ignore[attr-defined]  # of TLS alone
        proxied = self._proxied
        peer = transport.get_extra_info("peername") if proxied is None else proxied.source
        self.origin = Origin(listener.forwarding, peer, secured)
        self.deadline = _now() + listener.timeouts.request_head
        refusal = listener.joined(self)
        if refusal is not None:
            self._give(refusal, None)
        elif listener.draining:
            self.drain()  # it was accepted before; a handshake takes its time

    def data_received(self, data: bytes) -> None:
        """Take in a piece of what the client sends."""
        exchange = self._exchange
        if exchange is None:
            if (self.full or self._resting) and not self._lingering:
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
        self.full = True
        if self._exchange is not None:
            self._exchange.hold_instance(True)

    def resume_writing(self) -> None:
        """Let the instance go on, or the requests that wait."""
        self.full = False
        if self._exchange is not None:
            self._exchange.hold_instance(False)
        else:
            self._go_on()

    # From the exchange.

    def exchanged(self, request_whole: bool, now: float) -> None:
        """Go on to the next request, or close: the response to the present one is whole."""
        self._exchange = None
        self.held = False
        self.expires = NEVER
        if not request_whole:
            self._body = None
            self._linger()
        elif self.keep_alive:
            self._next(now)
        elif self._ahead:
            self._linger()
        else:
            self._close()

    def switched(self) -> bytes:
        """Speak HTTP no more: the connection is one end of a tunnel. Return what the client has sent ahead of it."""
        ahead, self._ahead = self._ahead, b""
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        return ahead

    def log(self, exchange: Exchange, status: int, downstream_end: str, upstream_end: str, error: str) -> None:
        """Write the access log's line of an exchange that has ended."""
        self.listener.log_exchange(exchange, status, downstream_end, upstream_end, error)

    # From an admission.

    def admitted(self, admission: Admission, answer: Answer | None) -> None:
        """Go on with a request that may pass, or give the client the answer that it gets instead."""
        self._exchange = None
        self.expires = NEVER
        request, terms, now = admission.request, admission.terms, _now()
        if answer is not None:
            self.keep_alive = self.keep_alive and admission.request_whole
            self._give(answer, request, admission.started)
            return
        content, whole, trailers = admission.content
        passed = self._at_edge(request, terms, now, content, trailers, admission.started)
        if passed is None:
            return
        exchange = self._exchange = Exchange(self, request, passed, now)
        exchange.begin(content, whole, trailers)
        if self._exchange is exchange:
            admission.hand_over(exchange)
            self.steer()

    # From the listener.

    @property
    def idle(self) -> bool:
        """True between two requests, with nothing on its way in either direction."""
        return self._exchange is None and not (self._head_begun or self.full or self._lingering or self._ahead)

    def drain(self) -> None:
        """Close soon: once what is under way, or may be on its way in this moment, has been answered."""
        self.keep_alive = False
        if self._exchange is None and not (self.full or self._lingering or self.transport.is_closing()):
            self.deadline = min(self.deadline, _now() + _LAST_CHANCE)

    def say_goodbye(self) -> None:
        """Ask a client to leave whose connection is a tunnel, where it can be asked."""
        if self._exchange is not None and self._exchange.tunnel is not None:
            self._exchange.tunnel.say_goodbye()

    def timed_out(self, now: float) -> None:
        """End a wait whose deadline has passed."""
        exchange = self._exchange
        if exchange is not None:
            if self.deadline <= now:
                exchange.timed_out()
            else:
                exchange.expired()
        elif self.full or self._lingering or self.transport.is_closing():
            if self.origin.secured is not None and self.expires == NEVER and unsent(self.transport):
                # With TLS it shows only now that a client is slow; it gets the time of one.
                self.expires = self.deadline = now + self.listener.timeouts.stream_idle
            else:
                self.abort()
        elif self._ahead:
            self._refuse(408, "the request's head did not arrive in time")
        else:
            self._close()

    def _wait(self, data: bytes) -> None:
        self._ahead += data
        self.steer()

    def _next(self, now: float) -> None:
        """Wait for the next request, or begin those that are there already."""
        self._head_begun = False
        timeouts = self.listener.timeouts
        self.deadline = now + (timeouts.stream_idle if self.full else timeouts.keepalive)
        if self._ahead and not self._reading_heads and not self._resting:
            self._read_heads()
        if self.paused:
            self.steer()

    def _go_on(self) -> None:
        """Begin with the requests that waited, unless something else holds them up by now."""
        if self._exchange is None and not (self.full or self._lingering or self.transport.is_closing()):
            self._next(_now())
            if self.listener.draining:
                self.drain()

    def _rest(self) -> None:
        """Leave a turn of the loop to others: libuv goes on reading from one client while that keeps up with us."""
        self._resting = True
        self.steer()
        asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._go_on()
        self.steer()

    def _read_heads(self) -> None:
        """Start the exchanges whose heads are there, each as soon as the one before is over."""
        self._reading_heads = True
        left = _HEADS_AT_ONCE
        try:
            while self._ahead and self._exchange is None and not self.full:
                if not left:
                    self._rest()
                    break
                left -= 1
                if self.transport.is_closing():
                    self._ahead = b""
                    break
                ahead = self._ahead
                self._read_head(ahead)
                if self._ahead is ahead:
                    break  # the beginning of a head
        finally:
            self._reading_heads = False

    def _read_head(self, data: bytes) -> None:
        """Read the head that `data` begins with and start its exchange; what is behind it, or no whole head, waits."""
        if self._lingering:
            self._ahead = b""
            return
        listener = self.listener
        now = _now()
        known = listener.reader.recall(data)
        if known is not None:
            request, head, ahead = known, data, b""
        else:
            if data.startswith(b"\r\n"):
                data = _EMPTY_LINES.sub(b"", data, count=1)  # RFC 9112 2.2: empty lines before a request are ignored
            end = data.find(END)
            if end < 0:
                self._ahead = data
                self._await_head(data)
                return
            if end > listener.limits.headers + listener.limits.request_line:
                self._refuse_large(data)
                return
            end += len(END)
            head, ahead = data[:end], data[end:]
            try:
                request = listener.reader.read(head)
            except BadMessageError as error:
                self._refuse(error.status, str(error))
                return
        self._head_begun = False
        self.keep_alive = request.keep_alive and not listener.draining
        if listener.requests_per_connection:
            self._served += 1
            self.keep_alive = self.keep_alive and self._served < listener.requests_per_connection
        if listener.make_id is not None and not (request.request_id and listener.keeps_ids):
            request.request_id = listener.make_id()
        request.origin = self.origin
        try:
            terms = listener.router.find(request)
        except BadMessageError as error:
            self.keep_alive = False
            self._refuse(error.status, str(error), request)
            return
        most = terms.body if terms is not None else NEVER
        body: BodyReader | None
        if request.length == 0:
            body, content, trailers, whole = None, b"", b"", True
            self._ahead = ahead
        else:
            if request.length is not None and request.length > most:
                self.keep_alive = False
                self._refuse(413, f"a body of more than {most:.0f} bytes", request)
                return
            body = ChunkedBody(most) if request.length is None else LengthBody(request.length)
            try:
                content = body.feed(ahead)
            except BadMessageError as error:
                self.keep_alive = False
                self._refuse(error.status, str(error), request)
                return
            trailers, whole = body.trailers, body.whole
            self._ahead = body.rest
            if whole:
                body = None
        self._body = body
        if request.max_forwards == 0:
            self._answer_for_all(request, head)
            return
        if terms is None:
            self.keep_alive = self.keep_alive and body is None
            limits = listener.rate_limits
            own = limits.refuses(request, now) if limits is not None else None
            self._give(own or answers.refusal(404, "no route matches this host and path"), request)
            return
        if terms.edge is not None:
            guard = terms.edge.guard
            if guard is not None and self._guarded(guard, request, terms, now, content, whole, trailers):
                return
            terms = self._at_edge(request, terms, now, content, trailers)
            if terms is None:
                return
            body = self._reader()
        exchange = self._exchange = Exchange(self, request, terms, now)
        exchange.begin(content, whole, trailers)
        if body is not None and self._exchange is exchange:
            self._bounded = True
            self.transport.set_protocol(Bounded(self))
            self.steer()

    def _await_head(self, data: bytes) -> None:
        """Wait for the rest of a head, unless its beginning is bad already."""
        limits = self.listener.limits
        if data.startswith(_TLS):
            self._refuse(400, "plain HTTP is spoken on this port: ask for http://")
        elif b"\n\n" in data or b"\n\r\n" in data:
            self._refuse(400, "lines must end with CR LF")
        elif len(data) > (limits.headers + limits.request_line + 3 if b"\n" in data else limits.request_line + 1):
            self._refuse_large(data)
        elif not self._head_begun:
            self._head_begun = True
            self.deadline = _now() + self.listener.timeouts.request_head

    def _guarded(
        self, guard: Guard, request: RequestHead, terms: Terms, now: float, content: bytes, whole: bool, trailers: bytes
    ) -> bool:
        """Give the guard's answer, or wait until it has one; false when the request may pass at once."""
        verdict = guard.judge(request, now)
        if not verdict:
            return False
        if isinstance(verdict, Answer):
            self.keep_alive = self.keep_alive and whole
            self._give(verdict, request)
            return True
        admission = Admission(self, request, terms, now, verdict)
        self._exchange = admission
        admission.begin(content, whole, trailers)
        if self._body is not None and self._exchange is not None:
            self._bounded = True
            self.transport.set_protocol(Bounded(self))
            self.steer()
        return True

    def _at_edge(
        self,
        request: RequestHead,
        terms: Terms,
        now: float,
        content: bytes,
        trailers: bytes,
        started: float = 0.0,
    ) -> Terms | None:
        """Return what holds for a request on its way to an instance; None for one that has been answered."""
        edge, body = terms.edge, self._body  # nothing of it is kept for a mirror yet
        if edge is None:
            return terms
        own = edge.answer(request, now)
        if own is not None:
            self.keep_alive = self.keep_alive and self._body is None
            self._give(own, request, started)
            return None
        try:
            passed = edge.passed(request, terms)
            if passed.body < terms.body:  # the service that it fell to takes less than another of its split
                narrow(body, request.length, len(content), passed.body)
        except BadMessageError as error:
            self.keep_alive = False
            self._refuse(error.status, str(error), request)
            return None
        if edge.mirror is not None:
            self._body = edge.mirror.taken(request, content, trailers, body)
        return passed

    def _reader(self) -> BodyReader | None:
        """Return who reads the rest of the body: a mirror, too, by now."""
        return self._body

    def _read_body(self, exchange: Exchange | Admission, body: BodyReader, data: bytes) -> None:
        try:
            content = body.feed(data)
        except BadMessageError as error:
            exchange.failed(error.status, str(error), "refused" if error.status == 413 else "malformed", "aborted")
            return
        if body.whole:
            self._body = None
            self._ahead = body.rest
            self._unbound()
        if content or body.whole:
            exchange.body(content, body.whole, body.trailers)
        if len(data) == SIZE and len(content) < SIZE // 4:
            self._rest()  # chunks of a few bytes: 20 ms of work

    def _unbound(self) -> None:
        if self._bounded:
            self._bounded = False
            self.transport.set_protocol(cast("asyncio.Protocol", self))

    def _refuse(self, status: int, error: str, request: RequestHead | None = None) -> None:
        """Answer by ourselves; what cannot be understood, or is not read to its end, ends the connection."""
        self._give(answers.refusal(status, error), request)

    def _give(self, answer: Answer, request: RequestHead | None, started: float = 0.0) -> None:
        """Answer by ourselves, without an instance."""
        if answer.error:
            self.listener.refused += 1
        else:
            self.listener.answered[answer.status // 100] += 1
        close = request is None or not self.keep_alive
        text = answer.written(close=close, request=request, rules=self.listener.response_rules)
        if self.marks is not None:
            self.listener.log_refusal(self.origin, request, answer.status, answer.error, started)
        self.transport.write(text)
        if close:
            self._linger()
        else:
            self._next(_now())

    def _answer_for_all(self, request: RequestHead, head: bytes) -> None:
        """Answer an OPTIONS or TRACE that may be passed on no further."""
        self.keep_alive = self.keep_alive and self._body is None
        self._give(answers.trace(head) if request.method == b"TRACE" else answers.OPTIONS, request)

    def _refuse_large(self, data: bytes) -> None:
        limits = self.listener.limits
        if b"\n" not in data[: limits.request_line + 2]:
            self._refuse(414, f"a request line of more than {limits.request_line} bytes")
        else:
            self._refuse(431, f"a head of more than {limits.headers} bytes")
