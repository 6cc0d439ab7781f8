"""One request and its response: who gets it, what is tried again, how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.answers import answer
from proxy.bodies import chunk, last_chunk
from proxy.heads import END

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.connections import Connections
    from proxy.downstream import Downstream
    from proxy.heads import RequestHead, ResponseHead
    from proxy.service import Service
    from proxy.upstream import Upstream

NEVER = float("inf")
_MAX_TRIES = 10  # endpoints asked for a connection on behalf of one request
_JOINED = 16 * 1024  # bytes of content up to which one joined write is cheaper than two
_HEAD_END = b"Via: 1.1 pointsman\r\n\r\n"
_IDEMPOTENT = frozenset([b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"])


class Exchange:
    """One request with its response.

        begin -> (connect ->) connected -> interim* -> respond -> more* -> complete
                      |            |                      |
                 unconnected     lost, failed, timed_out, abandon: another try, an answer of ours, or a broken response

    A request is tried again only while the instance cannot have acted on it: the connection was never made, or it had
    been idle and closed without a byte in answer to a request that is idempotent and has no body.
    """

    __slots__ = (
        "_chunked",
        "_connections",
        "_ended",
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
        self._tried: tuple[Endpoint, ...] = ()
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
        if not self.request_whole and not self._status:
            self.failed(408, "the request's body did not arrive in time")
        else:
            self.failed(504, "the instance did not answer in time")

    # From the instance's side.

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request on a connection."""
        self.upstream = upstream
        downstream, request = self.downstream, self.request
        timeouts = downstream.listener.timeouts
        downstream.deadline = now + (timeouts.response_head if self.request_whole else timeouts.body_idle)
        authority = request.authority or upstream.home.authority
        lines = [request.line, b"Host: " + authority, *request.fields, b"X-Forwarded-Host: " + authority]
        if request.length is None:
            lines.append(b"Transfer-Encoding: chunked")
        if request.expects_continue and not self.request_whole:
            lines.append(b"Expect: 100-continue")
        lines.append(downstream.forwarded[request.minor_version] + self._pending)
        self._pending = b""
        upstream.lend(self, b"\r\n".join(lines))
        if not self.request_whole:
            downstream.steer()

    def unconnected(self, failure: str) -> None:
        """Turn to another endpoint: this one cannot be connected to."""
        endpoint = self.endpoint
        assert endpoint is not None
        endpoint.connect_failures += 1
        self._tried = (*self._tried, endpoint)
        self._leave_endpoint()
        now = time.monotonic()
        in_time = now - self.started < 2 * self.downstream.listener.timeouts.connect
        if in_time and len(self._tried) < _MAX_TRIES:
            self.service.traffic.retries += 1
            self._try(now, failure)
        else:
            self.failed(502, f"{endpoint.instance.id}: {failure}")

    def interim(self, response: ResponseHead) -> None:
        """Pass an interim response on, to a client who knows of them."""
        if self.request.minor_version:
            self.downstream.transport.write(b"\r\n".join([response.line, *response.fields, END[2:]]))

    def respond(self, response: ResponseHead, content: bytes) -> None:
        """Pass the response's head on, with what there is of its body."""
        downstream, request = self.downstream, self.request
        self._status = response.status
        lines = [response.line, *response.fields]
        if response.length is None:
            if request.minor_version:
                lines.append(b"Transfer-Encoding: chunked")
                self._chunked = True
                content = chunk(content)
            else:
                downstream.keep_alive = False
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

    def more(self, content: bytes) -> None:
        """Pass on a piece of the response's body."""
        if content:
            self.downstream.transport.write(chunk(content) if self._chunked else content)

    def moves(self) -> None:
        """Put off the deadline: the response goes on."""
        self.downstream.deadline = time.monotonic() + self.downstream.listener.timeouts.stream_idle

    def complete(self, trailers: bytes, now: float) -> None:
        """End well: the response is whole."""
        if self._chunked:
            self.downstream.transport.write(last_chunk(trailers))
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
        if upstream.used and not self._status and self.request.length == 0 and self.request.method in _IDEMPOTENT:
            # The instance closed an idle connection while we wrote to it. Its other idle ones fare no better.
            connections.close_idle()
            self._leave_endpoint()
            self.service.traffic.retries += 1
            self._try(time.monotonic())
            return
        endpoint.broken += 1
        self.failed(502, f"the instance closed the connection early: {exc or 'end of stream'}")

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

    def _try(self, now: float, failure: str = "") -> None:
        endpoint = self.service.pool.pick(self.request, self._tried)
        if endpoint is None:
            if failure:
                self.failed(502, f"no instance could be connected to, the last one: {failure}")
            else:
                self.failed(503, self.service.pool.why_none())
            return
        self.endpoint = endpoint
        endpoint.in_flight += 1
        endpoint.requests += 1
        self._connections = connections = self.service.connections[endpoint]
        upstream = connections.take()
        if upstream is not None and self.request.method not in _IDEMPOTENT:
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
