"""One request and its response: who gets it, what is tried again, how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.http.answers import answer
from proxy.http.bodies import chunk, last_chunk
from proxy.http.heads import END

if TYPE_CHECKING:
    from collections.abc import Collection

    from balancers.endpoint import Endpoint
    from proxy.http.connections import Connections
    from proxy.http.downstream import Downstream
    from proxy.http.heads import RequestHead, ResponseHead
    from proxy.http.upstream import Upstream
    from proxy.service import Service

NEVER = float("inf")
_JOINED = 16 * 1024  # bytes of content up to which one joined write is cheaper than two
_MAX_LOSSES = 2  # a request that kills whoever reads it must not be sent to everybody
_HEAD_END = b"Via: 1.1 pointsman\r\n\r\n"
_IDEMPOTENT = frozenset([b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"])


class Exchange:
    """One request with its response.

        begin -> (connect ->) connected -> interim* -> respond -> more* -> complete
                      |            |                      |
                 unconnected     lost, failed, timed_out, abandon: another try, an answer of ours, or a broken response

    A request is tried again when no connection could be made for it. It is also tried again, on another instance or on
    a fresh connection and a few times at most, when its connection broke without a byte in answer, but only if it is
    idempotent and has no body: the instance may have acted on it.
    """

    __slots__ = (
        "_chunked",
        "_connections",
        "_ended",
        "_losses",
        "_pending",
        "_status",
        "_tried",
        "downstream",
        "endpoint",
        "request",
        "request_whole",
        "service",
        "started",
        "upstream",
    )

    def __init__(self, downstream: Downstream, request: RequestHead, service: Service, now: float) -> None:
        self.downstream = downstream
        self.request = request
        self.service = service
        self.started = now
        self.endpoint: Endpoint | None = None
        self._connections: Connections | None = None  # the endpoint's
        self.upstream: Upstream | None = None
        self.request_whole = False
        self._pending = b""  # what there is of the request's body before there is a connection
        self._tried: Collection[Endpoint] = ()
        self._losses = 0  # connections that broke without a byte in answer
        self._status = 0  # of the response whose head the client was sent
        self._chunked = False  # the response goes out in chunks
        self._ended = False

    # From the client's side.

    def begin(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Start, with what there is of the request's body."""
        self.request_whole = whole
        if content or (whole and self.request.length is None):
            self._pending = self._frame(content, whole, trailers)
        self.service.traffic.in_flight += 1
        self._try(self.started)

    def body(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Pass on a piece of the request's body."""
        self.request_whole = whole
        timeouts = self.downstream.listener.timeouts
        now = time.monotonic()
        if self._status:
            self.downstream.deadline = now + timeouts.stream_idle
        else:
            self.downstream.deadline = now + (timeouts.response_head if whole else timeouts.body_idle)
        if self.upstream is not None:
            self.upstream.transport.write(self._frame(content, whole, trailers))
        else:
            self._pending += self._frame(content, whole, trailers)

    def abandon(self) -> None:
        """Give up: the client is gone."""
        if not self._ended:
            self.service.traffic.abandoned += 1
            self._let_go()
            self._end()

    def timed_out(self) -> None:
        """Give up: nothing moved for too long."""
        if not self.request_whole and not self._status and not self.downstream.held:
            self.failed(408, "the request's body did not arrive in time")
        else:
            self.failed(504, "the instance did not answer in time")

    def hold_instance(self, held: bool) -> None:
        """Stop or go on reading the response: the client does not keep up, or does again."""
        if self.upstream is not None:
            if self._status:
                self.moves()
            self.upstream.hold(held)

    # From the instance's side.

    def hold_client(self, held: bool) -> None:
        """Stop or go on reading the request's body: the instance does not keep up, or does again."""
        if not self.request_whole and not self._status:
            # While held it cannot send; its time to do so begins anew when it is let go.
            timeouts = self.downstream.listener.timeouts
            self.downstream.deadline = time.monotonic() + (timeouts.stream_idle if held else timeouts.body_idle)
        self.downstream.hold(held)

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request on a connection."""
        self.upstream = upstream
        downstream, request = self.downstream, self.request
        timeouts = downstream.listener.timeouts
        downstream.deadline = now + (timeouts.response_head if self.request_whole else timeouts.body_idle)
        authority = request.authority
        if authority:
            lines = [request.line, b"Host: " + authority, *request.fields, b"X-Forwarded-Host: " + authority]
        else:  # a client of HTTP/1.0 need not say whom it asks, but we must
            lines = [request.line, b"Host: " + upstream.home.authority, *request.fields]
        if request.length is None:
            lines.append(b"Transfer-Encoding: chunked")
        if request.expects_continue and not self.request_whole:
            lines.append(b"Expect: 100-continue")
        lines.append(downstream.forwarded[request.minor_version] + self._pending)
        self._pending = b""
        upstream.lend(self, b"\r\n".join(lines))
        if not self.request_whole:
            downstream.steer()

    def unconnected(self, failure: str, status: int) -> None:
        """Turn to another endpoint: this one cannot be connected to. `status` answers if it was the last one."""
        endpoint = self.endpoint
        assert endpoint is not None
        endpoint.connect_failures += 1
        self._tried = {*self._tried, endpoint}
        self._leave_endpoint()
        now = time.monotonic()
        if now - self.started < 2 * self.downstream.listener.timeouts.connect:
            self._try(now, failure, status)
        else:
            self.failed(status, f"no time is left to try another instance: {failure}")

    def interim(self, response: ResponseHead) -> None:
        """Pass an interim response on, to a client who knows of them."""
        if self.request.minor_version:
            self.downstream.transport.write(b"\r\n".join([response.line, *response.fields, END[2:]]))

    def respond(self, response: ResponseHead, content: bytes, whole: bool, trailers: bytes = b"") -> None:
        """Pass the response's head on, with what there is of its body."""
        downstream, request = self.downstream, self.request
        self._status = response.status
        lines = [response.line, *response.fields]
        if response.length is None:
            if request.minor_version:
                lines.append(b"Transfer-Encoding: chunked")
                self._chunked = True
                content = chunk(content) + last_chunk(trailers) if whole else chunk(content)
            else:
                downstream.keep_alive = False
        if not self.request_whole:
            downstream.keep_alive = False  # the rest of the request may never come, or be of no interest to anybody
        if not downstream.keep_alive:
            lines.append(b"Connection: close")
        elif not request.minor_version:
            lines.append(b"Connection: keep-alive")
        if len(content) <= _JOINED:
            lines.append(_HEAD_END + content)
            downstream.transport.write(b"\r\n".join(lines))
        else:
            lines.append(_HEAD_END)
            downstream.transport.write(b"\r\n".join(lines))
            downstream.transport.write(content)

    def more(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Pass on a piece of the response's body."""
        if self._chunked:
            content = chunk(content) + last_chunk(trailers) if whole else chunk(content)
        if content:
            self.downstream.transport.write(content)

    def moves(self) -> None:
        """Put off the deadline: the response goes on."""
        self.downstream.deadline = time.monotonic() + self.downstream.listener.timeouts.stream_idle

    def complete(self, now: float) -> None:
        """End well: the response is whole."""
        self.upstream = None
        self.service.traffic.ended(self._status, now - self.started)
        self._end()
        self.downstream.exchanged(self.request_whole, now)

    def lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """Mend or report a connection that the instance closed before its response was whole."""
        self.upstream = None
        endpoint, connections = self.endpoint, self._connections
        assert endpoint is not None
        assert connections is not None
        request = self.request
        failure = f"the instance closed the connection early: {exc or 'end of stream'}"
        repeatable = request.length == 0 and request.method in _IDEMPOTENT
        if not (upstream.silent and repeatable and self._losses < _MAX_LOSSES):
            endpoint.broken += 1
            self.failed(502, failure)
            return
        self._losses += 1
        connections.close_idle()  # those it closed while they were idle fare no better, nor do those of one that died
        if not upstream.reused:
            endpoint.broken += 1
            self._tried = {*self._tried, endpoint}
        self._leave_endpoint()
        self._try(time.monotonic(), failure)

    def failed(self, status: int, error: str) -> None:
        """End badly: with an answer of ours or, once the client has seen the response's head, a broken response."""
        self._let_go()
        now = time.monotonic()
        if self._status:
            self.service.traffic.broken += 1
            self._end()
            self.downstream.break_off()
            return
        self.service.traffic.ended(status, now - self.started)
        self._end()
        downstream, request = self.downstream, self.request
        if not self.request_whole:
            downstream.keep_alive = False
        text = answer(
            status,
            error,
            service=self.service.name,
            close=not downstream.keep_alive,
            to_head=request.method == b"HEAD",
        )
        downstream.transport.write(text)
        downstream.exchanged(self.request_whole, now)

    def _try(self, now: float, failure: str = "", status: int = 502) -> None:
        endpoint = self.service.pool.pick(self.request, self._tried)
        if endpoint is None:
            if failure:
                self.failed(status, f"no other instance is left to try: {failure}")
            else:
                self.failed(503, self.service.pool.why_none())
            return
        if failure:
            self.service.traffic.retries += 1
        self.endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.requests += 1
        self._connections = connections = self.service.connections[endpoint]
        upstream = connections.take()
        request = self.request
        if upstream is not None and (request.length != 0 or request.method not in _IDEMPOTENT):
            # This one could not be tried again, so its connection is looked at before a byte is written. 1 µs.
            while upstream is not None and upstream.is_stale():
                upstream.transport.abort()
                upstream = connections.take()
        if upstream is not None:
            self.connected(upstream, now)
            return
        self.downstream.deadline = NEVER  # connecting has a deadline of its own
        connections.connect(self)

    def _frame(self, content: bytes, whole: bool, trailers: bytes) -> bytes:
        if self.request.length is not None:
            return content
        return chunk(content) + last_chunk(trailers) if whole else chunk(content)

    def _let_go(self) -> None:
        """Have nothing more to do with the instance."""
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None
        elif self._connections is not None:
            self._connections.give_up(self)

    def _leave_endpoint(self) -> None:
        if self.endpoint is not None:
            self.endpoint.in_flight -= 1
            self.endpoint = None

    def _end(self) -> None:
        self._ended = True
        self.service.traffic.in_flight -= 1
        if self.endpoint is not None:
            self.endpoint.in_flight -= 1
            self.endpoint = None
