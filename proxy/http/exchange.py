"""One request and its response: who gets it, what is tried again, how it ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.http.answers import refusal
from proxy.http.bodies import Content, chunk, last_chunk
from proxy.http.buffers import JOINED
from proxy.http.dispatch import Dispatch
from proxy.http.fields import BadMessageError, tunnelled
from proxy.http.heads import END
from proxy.http.hedge import Hedge
from proxy.http.retries import IDEMPOTENT, repeatable
from proxy.http.terms import NEVER
from proxy.http.tunnel import Tunnel

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint
    from proxy.http.client import Client
    from proxy.http.heads import ResponseHead
    from proxy.http.upstream import Upstream

_HEAD_ENDS: Final[tuple[bytes, ...]] = (b"Via: 1.0 pointsman\r\n\r\n", b"Via: 1.1 pointsman\r\n\r\n")


class Exchange(Dispatch):
    """One request with its response.

    begin -> (find ...) connected -> interim* -> respond -> more* -> complete
                            |                       |
                       lost, malformed, failed, timed_out, abandon:     switch -> a tunnel
                       another try, an answer of ours, or a broken response
    """

    __slots__ = ()

    # From the client's side.

    def begin(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Start, with what there is of the request's body."""
        self.request_whole = whole
        request = self.request
        if content or (whole and request.length is None):
            self._pending = self._frame(content, whole, trailers)
        self.service.traffic.in_flight += 1
        if self.terms.timeouts.request != NEVER:
            self.downstream.expires = self.started + self.terms.timeouts.request
        marks = self.downstream.marks
        if marks is None:
            self.find(self.started)
        else:
            self.marks = marks()
            self.marks.received = len(content)
            self.find(self.started)
            self.marks.worked(self.started)

    def body(self, content: bytes, whole: bool, trailers: bytes) -> None:
        """Pass on a piece of the request's body."""
        self.request_whole = whole
        timeouts = self.terms.timeouts
        now = time.monotonic()
        if self._status:
            self.downstream.deadline = now + timeouts.stream_idle
        else:
            self.downstream.deadline = now + (timeouts.response_head if whole else timeouts.body_idle)
        if self.marks is not None:
            self.marks.received += len(content)
        content = self._frame(content, whole, trailers)
        if self.upstream is None:
            self._pending += content
            return
        self._keep(content)
        self.upstream.transport.write(content)

    def abandon(self) -> None:
        """Give up: the client is gone, or must be."""
        if self._ended:
            return
        if self.tunnel is not None:
            self.tunnel.close()
            return
        self.service.traffic.abandoned += 1
        asked = self.endpoint is not None
        self._let_go()
        self._end(self._status, "left", "aborted" if asked else "none")

    def timed_out(self) -> None:
        """Give up: nothing moved for too long."""
        downstream = self.downstream
        if self.tunnel is not None:
            self.tunnel.timed_out()
        elif self.endpoint is None:
            self.unplaced()
        elif self._status:
            idle = downstream.full or not self.request_whole
            self._break(*(("timeout", "aborted") if idle else ("broken", "timeout")))
        elif not self.request_whole and not downstream.held:
            self.failed(408, "the request's body did not arrive in time", "timeout", "aborted")
        else:
            self.unanswered()

    def expired(self) -> None:
        """Give up: the whole took too long."""
        failure = f"the request was not answered within {self.terms.timeouts.request:g} s"
        if not self.request_whole and not self._status and not self.downstream.held:
            self.failed(408, failure, "timeout", "aborted")
        else:
            self.failed(504, failure, "complete", "timeout" if self.endpoint is not None else "overload")

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
            timeouts = self.terms.timeouts
            self.downstream.deadline = time.monotonic() + (timeouts.stream_idle if held else timeouts.body_idle)
        self.downstream.hold(held)

    def connected(self, upstream: Upstream, now: float) -> None:
        """Send the request on a connection."""
        self.upstream = upstream
        self._sent = now
        downstream = self.downstream
        timeouts = self.terms.timeouts
        downstream.deadline = now + (timeouts.response_head if self.request_whole else timeouts.body_idle)
        content = self._pending
        self._replay = b""
        head = self.head(upstream.home.authority)
        if content:
            self._pending = b""
            self._keep(content)
            head += content
        upstream.lend(self, head)
        if not self.request_whole:
            downstream.steer()
        if downstream.full:
            upstream.hold(True)
        if self.marks is not None:
            self.marks.reused = upstream.reused
            if now != self.started:
                self.marks.worked(now)
        if self.service.retries.hedge_after != NEVER:
            self.plan_hedge()

    def interim(self, response: ResponseHead) -> None:
        """Pass an interim response on, to a client who knows of them.

        What rules put in is for the final response, but what they take out is nobody's business before it either.
        """
        if self.request.minor_version:
            rules = self.terms.response_rules
            fields = response.fields if rules is None else rules.without(response.fields)
            self.downstream.transport.write(b"\r\n".join([response.line, *fields, END[2:]]))

    def respond(self, response: ResponseHead, content: Content, whole: bool, trailers: bytes = b"") -> None:
        """Pass the response's head on, with what there is of its body."""
        downstream, request, endpoint = self.downstream, self.request, self.endpoint
        assert endpoint is not None
        arrived = 0.0
        if self.marks is not None:
            arrived = self.marks.answered(self.started)
        if endpoint.latency is not None:
            now = time.monotonic()
            endpoint.latency.observed(now - self._sent, now)
        status = response.status
        if status >= 400 and self.answered(endpoint, status):
            return
        if self._hedge is not None:
            self._hedge.drop()
        self._status = status
        if (
            response.written is not None and not self.terms.adds
            and downstream.keep_alive and self.request_whole and request.minor_version
        ):  # fmt: skip
            # Nothing is to be said of the connection, and nothing to be put in: what most responses are like.
            end = _HEAD_ENDS[response.minor_version]
            if isinstance(content, bytes) and len(content) <= JOINED:
                downstream.transport.write(b"%b%b%b" % (response.written, end, content))
            else:
                downstream.transport.writelines((response.written, end, content))
            if self.marks is not None:
                self.marks.sent += len(content)
                self.marks.worked(arrived)
            return
        lines = [response.line, *response.fields]
        if response.length is None:
            if request.minor_version:
                lines.append(b"Transfer-Encoding: chunked")
                self._chunked = True
                framed: Content = chunk(content) + last_chunk(trailers) if whole else chunk(content)
            else:
                downstream.keep_alive = False
                framed = content
        else:
            framed = content
        end = _HEAD_ENDS[response.minor_version]
        if self.terms.adds:
            end = self._add(lines, endpoint, end)
        if status == 426 and (offered := tunnelled(response.upgrade)) and request.minor_version:
            lines.append(b"Connection: Upgrade\r\nUpgrade: " + b", ".join(offered))  # RFC 9110 15.5.22 wants it there
        if not self.request_whole:
            downstream.keep_alive = False  # the rest of the request may never come, or be of no interest to anybody
        if not downstream.keep_alive:
            lines.append(b"Connection: close")
        elif not request.minor_version:
            lines.append(b"Connection: keep-alive")
        lines.append(end)
        head = b"\r\n".join(lines)
        if len(framed) <= JOINED:
            downstream.transport.write(b"".join((head, framed)))
        else:
            downstream.transport.writelines((head, framed))
        if self.marks is not None:
            self.marks.sent += len(content)
            self.marks.worked(arrived)

    def more(self, content: Content, whole: bool, trailers: bytes) -> None:
        """Pass on a piece of the response's body."""
        if self.marks is not None:
            self.marks.sent += len(content)
        if self._chunked:
            content = chunk(content) + last_chunk(trailers) if whole else chunk(content)
        if content:
            self.downstream.transport.write(content)

    def reader(self) -> Client | None:
        """Return the client, unless it speaks TLS."""
        return self.downstream if self.downstream.origin.secured is None else None

    def handed_on(self, count: int) -> None:
        """Count bytes of the body that went to the client by themselves."""
        if self.marks is not None:
            self.marks.sent += count

    def moves(self) -> None:
        """Put off the deadline: the response goes on."""
        self.downstream.deadline = time.monotonic() + self.terms.timeouts.stream_idle

    def switch(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> None:
        """Make a tunnel of both connections; `rest` is what the instance sent behind its head.

        Raises BadMessageError when the client has asked for nothing of the kind.
        """
        downstream, request = self.downstream, self.request
        end = _HEAD_ENDS[response.minor_version]
        if response.status == 101:
            asked = [protocol.lower() for protocol in request.upgrade]
            if not response.upgrade or any(protocol.lower() not in asked for protocol in response.upgrade):
                raise BadMessageError("101 Switching Protocols, which nobody asked for")
            ours = [b"Connection: Upgrade\r\nUpgrade: " + b", ".join(response.upgrade), end]
            lines = [response.line, *response.fields]
        else:  # RFC 9110 9.3.6: whatever a 2xx to CONNECT says of a length means nothing
            fields = [field for field in response.fields if not field.lower().startswith(b"content-length:")]
            lines, ours = [response.line, *fields], [end]
        endpoint = self.endpoint
        assert endpoint is not None
        if self.terms.adds:
            ours[-1] = self._add(lines, endpoint, end)
        if endpoint.suspect:
            endpoint.answered_well()
        if self.marks is not None:
            self.marks.answered(self.started)
        self._status = response.status
        downstream.expires = NEVER
        downstream.transport.write(b"\r\n".join([*lines, *ours]))
        self.tunnel = Tunnel(self, downstream, upstream, websocket=b"websocket" in map(bytes.lower, response.upgrade))
        self.tunnel.open(rest)

    def tunnelled(self, downstream_end: str, upstream_end: str) -> None:
        """End: the tunnel is closed on both sides."""
        tunnel = self.tunnel
        assert tunnel is not None
        if self.marks is not None:
            self.marks.received, self.marks.sent = tunnel.received, tunnel.sent
        traffic = self.service.traffic
        traffic.by_class[self._status // 100] += 1
        self.upstream = None
        self._end(self._status, downstream_end, upstream_end)

    def complete(self, now: float) -> None:
        """End well: the response is whole."""
        self.upstream = None
        endpoint = self.endpoint
        if endpoint is not None and endpoint.suspect and self._status < 500:
            endpoint.answered_well()  # not when the head comes: the body of an instance in trouble may break off
        self.service.traffic.ended(self._status, now - self.started)
        self._end(self._status, "complete", "complete")
        self.downstream.exchanged(self.request_whole, now)

    def malformed(self, failure: str) -> None:
        """End badly: what the instance sent makes no sense, and it may have acted on the request."""
        assert self.endpoint is not None
        text = f"the instance sent a malformed response: {failure}"
        self.service.pool.failed(self.endpoint, "malformed", text, time.monotonic(), self._sent)
        if not self._hand_over(text, 502, "malformed"):
            self.failed(502, text, "complete", "malformed")

    def failed(self, status: int, error: str, downstream_end: str, upstream_end: str) -> None:
        """End badly: with an answer of ours or, once the client has seen the response's head, a broken response."""
        if self._status:
            self._break("broken" if downstream_end == "complete" else downstream_end, upstream_end)
            return
        self._let_go()
        now = time.monotonic()
        self.service.traffic.ended(status, now - self.started)
        downstream, request = self.downstream, self.request
        if not self.request_whole:
            downstream.keep_alive = False
        text = replace(refusal(status, error, service=self.service.name), rules=self.terms.own_rules).written(
            close=not downstream.keep_alive,
            request=request,
            service=self.service.name,
            rules=downstream.listener.response_rules,
        )
        self._end(status, downstream_end, upstream_end, error)
        downstream.transport.write(text)
        downstream.exchanged(self.request_whole, now)

    # Hedging.

    def plan_hedge(self) -> None:
        """Send a second copy in a while, if there is no answer by then."""
        unhedged = self._hedge is None and self._timer is None
        if unhedged and self.request_whole and not self.request.switches and repeatable(self.request, self._replay):
            pause = self.service.retries.hedge_after
            self._timer = asyncio.get_running_loop().call_later(pause, self._start_hedge)

    def _start_hedge(self) -> None:
        self._timer = None
        service = self.service
        if self._ended or self._status or self.upstream is None or self.endpoint is None:
            return
        tried = {self.endpoint, *(self._tries.tried if self._tries is not None else ())}
        places = service.places
        if places is not None and places.full:
            return
        endpoint = service.pool.pick(self.request, tried, places.limits.in_flight_per_endpoint if places else 0)
        if endpoint is not None and service.budget.spend(service.traffic.requests):
            service.traffic.retries += 1
            service.traffic.hedges += 1
            self._hedge = Hedge(self, endpoint, service.connections[endpoint], bytes(self._replay or b""))
            self._hedge.start()

    def adopt(self, hedge: Hedge, upstream: Upstream) -> None:
        """Go on with the connection of the hedge, and let the one before it go."""
        self._hedge = None
        self._let_go()
        before, places = self.endpoint, self.service.places
        self.endpoint, self._connections, self.upstream = hedge.endpoint, hedge.connections, upstream
        self._sent = hedge.sent
        if self.marks is not None:
            self.marks.asks(hedge.endpoint)
            self.marks.reused = upstream.reused
        if before is not None:
            before.in_flight -= 1
            before.load.in_flight -= 1
            if places is not None:
                places.taken -= 1
                places.wake()

    def unhedged(self) -> None:
        """Forget the hedge: it has come to nothing."""
        self._hedge = None

    # Ends.

    def _add(self, lines: list[bytes], endpoint: Endpoint, end: bytes) -> bytes:
        """Put in what the service adds, then apply the rules; return what ends the head, with our Via or without."""
        terms, service = self.terms, self.service
        if service.adds:
            lines += service.added(self.request, endpoint)
        if terms.cookie:
            lines.append(terms.cookie)
        rules = terms.response_rules
        if rules is None:
            return end
        lines[1:] = rules.applied(lines[1:], self.request, service.name, endpoint.instance.authority)
        return END[2:] if rules.via else end

    def _frame(self, content: bytes, whole: bool, trailers: bytes) -> bytes:
        if self.request.length is not None:
            return content
        return chunk(content) + last_chunk(trailers) if whole else chunk(content)

    def _keep(self, content: bytes) -> None:
        """Keep what is sent of the body while it may have to be sent again, and is not too much."""
        replay = self._replay
        if replay is None:
            return
        if len(replay) + len(content) > self.service.retries.buffer or self.request.method not in IDEMPOTENT:
            self._replay = None
        elif replay:
            replay += content  # in place: a copy for each piece would add up to gigabytes where megabytes are kept
        else:
            self._replay = bytearray(content)

    def _break(self, downstream_end: str, upstream_end: str) -> None:
        self._let_go()
        self.service.traffic.broken += 1
        self._end(self._status, downstream_end, upstream_end)
        self.downstream.break_off()

    def _end(self, status: int, downstream_end: str, upstream_end: str, error: str = "") -> None:
        self._ended = True
        service = self.service
        service.traffic.in_flight -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._hedge is not None:
            self._hedge.drop()
        if self.marks is not None:
            self.downstream.log(self, status, downstream_end, upstream_end, error)
        endpoint = self.endpoint
        if endpoint is not None:
            endpoint.in_flight -= 1
            endpoint.load.in_flight -= 1
            self.endpoint = None
        places = service.places
        if places is not None:
            places.taken -= endpoint is not None
            places.leave(self)
            places.wake()
