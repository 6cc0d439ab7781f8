"""The data path without sockets and without a loop: bytes in on one side, bytes out on the other.

Listener, Downstream, Exchange, Upstream and their readers are the real ones; only the transports under them are ours.
So whatever is found here is true of pointsman, and thousands of streams a minute can be tried.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

from discovery.instance import Instance, Snapshot
from proxy.http.connections import Connections
from proxy.http.downstream import Downstream
from proxy.http.heads import HeadLimits, RequestReader, ResponseReader
from proxy.http.retries import RetryPolicy
from proxy.http.upstream import Upstream
from proxy.listener import ListenerOptions
from tests.fuzz.outcome import CLOSED, REFUSED, Reading
from tests.fuzz.written import begun, is_ours, read_written
from tests.proxy.http.scripted import Proxy, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.http.exchange import Exchange

LIMITS = HeadLimits()
CLIENT = "127.0.0.1"
INSTANCE = b"127.0.0.1:9"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_SOCKET, _OTHER_END = socket.socketpair()  # what is asked of a socket, this one answers: nothing has arrived on it
atexit.register(_SOCKET.close)
atexit.register(_OTHER_END.close)


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it. It takes everything at once, so that nothing is ever held back."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": (CLIENT, 1), "socket": _SOCKET})
        self._protocol: asyncio.BaseProtocol = protocol
        self.written = b""
        self.closing = False
        self.broken = False
        self._gone = False
        protocol.connection_made(self)

    # From whom it feeds.

    def feed(self, data: bytes) -> None:
        """Hand over what arrives, as a loop does: not behind a close, and through a buffer where there is one."""
        while data and not self.closing:
            protocol = self._protocol
            if not isinstance(protocol, asyncio.BufferedProtocol):
                cast("asyncio.Protocol", protocol).data_received(data)
                break
            buffer = cast("bytearray", protocol.get_buffer(-1))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            protocol.buffer_updated(size)
            data = data[size:]
        self.settle()

    def finish(self) -> None:
        """Tell that the other side has ended its stream."""
        if not self.closing:
            cast("asyncio.Protocol", self._protocol).eof_received()
        self.settle()

    def settle(self) -> None:
        """Tell of the end of the connection, which a loop does a turn later."""
        if self.closing and not self._gone:
            self._gone = True
            self._protocol.connection_lost(None)

    def take(self) -> bytes:
        """Take away what was written so far."""
        written, self.written = self.written, b""
        return written

    # From the protocol.

    def can_write_eof(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        assert not self.closing, "written to a connection that was closed"
        self.written += data

    def write_eof(self) -> None:
        self.closing = True  # what still comes is dropped; there is nothing to see in that

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.broken = True

    def is_closing(self) -> bool:
        return self.closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class _Ready(Connections):
    """Connections that need not be made."""

    def take(self) -> Upstream | None:
        upstream = super().take()
        if upstream is None:
            upstream = Upstream(self)
            self.open += 1
            Wire(cast("asyncio.Protocol", upstream))
        return upstream


@cache  # to make one costs more than most of what is done with it
def _proxy(limits: HeadLimits) -> Proxy:
    # Without a loop there is nobody who would try again after a pause.
    return Proxy([], Settings(options=ListenerOptions(limits=limits), retries=RetryPolicy(attempts=0)))


class Stage:
    """A client's connection, and an instance behind it that never refuses one. Its end is also a test."""

    def __init__(self, limits: HeadLimits = LIMITS) -> None:
        self._proxy = proxy = _proxy(limits)
        # With a memory of their own: what is found can be found again.
        proxy.listener.reader = RequestReader(limits)
        proxy.service.follow(Snapshot("shop", ()))
        proxy.service.follow(Snapshot("shop", (Instance("i", CLIENT, 9),)))
        [(endpoint, connections)] = proxy.service.connections.items()
        options = replace(connections._options, reader=ResponseReader(LIMITS), limits=LIMITS)
        proxy.service.connections[endpoint] = _Ready(endpoint.instance, options)
        self.downstream = Downstream(proxy.listener)
        self.client = Wire(cast("asyncio.Protocol", self.downstream))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Have the client leave, and see that nothing is left behind."""
        proxy = self._proxy
        if kind is None:
            self.client.finish()
            [endpoint] = proxy.service.connections
            if proxy.listener.clients == proxy.service.traffic.in_flight == endpoint.in_flight == 0:
                return
        _proxy.cache_clear()  # a failure must not spoil what is tried next
        assert kind is not None, "an exchange or a client is left behind"

    @property
    def exchange(self) -> Exchange | None:
        """The exchange under way."""
        return cast("Exchange | None", self.downstream._exchange)  # nobody has to be admitted

    @property
    def instance(self) -> Wire:
        """The connection on which the instance is asked in the exchange under way."""
        assert self.exchange is not None
        assert self.exchange.upstream is not None
        return cast("Wire", self.exchange.upstream.transport)


def read_requests(pieces: Iterable[bytes], limits: HeadLimits = LIMITS) -> Reading:
    """Have pointsman read requests; each is answered as soon as it is whole."""
    with Stage(limits) as stage:
        return _read_requests(stage, pieces)


def _read_requests(stage: Stage, pieces: Iterable[bytes]) -> Reading:
    reading = Reading()
    offset = 0
    method = b""  # of the request whose body is under way
    for piece in pieces:
        if stage.client.closing:
            break
        offset += len(piece)
        method = stage.exchange.request.method if stage.exchange is not None else b""
        stage.client.feed(piece)
        while stage.exchange is not None and stage.exchange.request_whole:
            instance = stage.instance
            sent = instance.take()
            message, surplus = read_written(sent)
            assert not surplus, f"more than a request was sent: {sent!r}"
            reading.messages.append(message)
            reading.sent.append(sent)
            reading.ends.append(offset)
            method = b""
            instance.feed(ANSWER)
            stage.client.settle()
            answered, stage.client.written = read_written(stage.client.take())
            assert answered.line == b"HTTP/1.1 204 No Content"
    if stage.client.written:
        status, why = _refusal(stage.client.take(), method)
        reading.rest, reading.why = REFUSED, f"{status} {why}"
        assert stage.client.closing, "a client that was refused goes on"
    elif stage.client.closing:
        reading.rest = CLOSED
    elif stage.exchange is not None:
        reading.begun = begun(stage.instance.written)
    return reading


def read_responses(requests: list[bytes], pieces: Iterable[bytes], *, ended: bool) -> Reading:
    """Have pointsman read the responses to these requests on one connection; `ended`: and then its end.

    `ends` tells of final responses and of interim ones alike; a response that broke off is a refusal.
    """
    with Stage() as stage:
        stage.client.feed(b"".join(requests))
        return _read_responses(stage, pieces, ended=ended)


def _read_responses(stage: Stage, pieces: Iterable[bytes], *, ended: bool) -> Reading:
    wire = stage.instance
    reading = Reading()
    offset = 0
    for piece in pieces:
        if _is_over(stage, wire):
            break
        offset += len(piece)
        _respond(stage, reading, lambda piece=piece: wire.feed(piece), offset)
    if ended and not _is_over(stage, wire):
        _respond(stage, reading, wire.finish, offset)
    if reading.rest != REFUSED:
        if _is_over(stage, wire):
            reading.rest = CLOSED
        else:
            reading.begun = begun(stage.client.written)
    return reading


def _is_over(stage: Stage, wire: Wire) -> bool:
    """Tell whether nobody reads the connection to the instance any more."""
    return stage.exchange is None or stage.instance is not wire


def _respond(stage: Stage, reading: Reading, act: Any, offset: int) -> None:
    """Have the instance do something, and note which responses the client was sent thereby."""
    exchange = stage.exchange
    assert exchange is not None
    act()
    stage.client.settle()
    over = stage.exchange is not exchange
    while stage.client.written:
        sent = stage.client.written
        if is_ours(sent):
            assert over
            reading.rest, reading.why = REFUSED, "{} {}".format(*_refusal(stage.client.take(), exchange.request.method))
            return
        interim = sent.startswith(b"HTTP/1.1 1")
        if not interim and (not over or stage.client.broken):
            break
        message, surplus = read_written(sent, to=exchange.request.method, closes=stage.client.closing)
        stage.client.written = surplus
        reading.messages.append(message)
        reading.sent.append(sent[: len(sent) - len(surplus)])
        reading.ends.append(offset)
    if stage.client.broken:
        reading.rest, reading.why = REFUSED, "broken off"


def _refusal(sent: bytes, to: bytes = b"") -> tuple[int, str]:
    """Read an answer that pointsman gave by itself, to a request of this method if that was understood."""
    assert is_ours(sent), sent
    if sent.endswith(b"\r\n\r\n"):
        to = b"HEAD"  # which was refused in the piece that it came in; to all others there is a body
    message, surplus = read_written(sent, to=to)
    assert not surplus, sent
    return int(message.line[9:12]), "" if to == b"HEAD" else json.loads(message.content)["error"]
