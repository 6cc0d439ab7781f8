"""The connections to one endpoint."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, cast

import pytest

from discovery.instance import Instance
from proxy.http.connections import MAX_IDLE, Connections, Unconnected, UpstreamOptions
from proxy.http.heads import HeadLimits, ResponseReader
from proxy.http.upstream import Upstream
from tests.proxy.http.scripted import ScriptedInstance, until

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = HeadLimits()


class Asking:
    """Stands in for an exchange that waits for a connection."""

    def __init__(self) -> None:
        self.outcome: Any = None

    def ends(self) -> None: ...

    def connected(self, upstream: Upstream, now: float) -> None:
        self.outcome = upstream

    def unconnected(self, failure: Unconnected) -> None:
        self.outcome = (failure.text, failure.status)


class Transport:
    """Stands in for a transport; remembers whether it was closed."""

    closed = False

    def __init__(self) -> None:
        # Bare descriptors: a socket that is collected in a cycle complains before anybody can close it.
        self._ends = [end.detach() for end in socket.socketpair()]

    def fileno(self) -> int:
        return self._ends[0]

    def get_extra_info(self, name: str) -> Transport | None:
        return self if name == "socket" else None

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def close(self) -> None:
        self.closed = True
        while self._ends:
            os.close(self._ends.pop())

    abort = __del__ = close

    def hear(self, data: bytes) -> None:
        """Have something arrive."""
        os.write(self._ends[1], data)


def to(port: int, connect_timeout: float = 5.0, address: str = "127.0.0.1") -> Connections:
    options = UpstreamOptions(ResponseReader(LIMITS), LIMITS, connect_timeout, keepalive=10.0)
    return Connections(Instance("a", address, port), options)


def idle(connections: Connections, now: float) -> Upstream:
    upstream = Upstream(connections)
    upstream.connection_made(cast("asyncio.BaseTransport", Transport()))
    connections.open += 1
    connections.put(upstream, now)
    return upstream


async def connected(connections: Connections, speaks: type[Upstream] = Upstream) -> Any:
    exchange = Asking()
    connections.connect(cast("Any", exchange), speaks)
    await until(lambda: exchange.outcome is not None)
    return exchange.outcome


@pytest.fixture
async def instance() -> Iterator[ScriptedInstance]:  # type: ignore[misc]
    scripted = ScriptedInstance()
    yield scripted
    scripted.close()
    for peer in scripted.peers:
        peer.close()


def test_the_connection_used_last_is_lent_first_and_the_oldest_expire() -> None:
    connections = to(1)
    first, second, third = (idle(connections, now) for now in (0.0, 5.0, 9.0))
    connections.expire(12.0)
    assert [upstream.transport.closed for upstream in (first, second, third)] == [True, False, False]  # type: ignore[attr-defined]
    assert connections.take() is third
    assert connections.take() is second
    assert connections.take() is None


def test_no_more_than_so_many_are_kept() -> None:
    connections = to(1)
    for _ in range(MAX_IDLE):
        idle(connections, 0.0)
    assert idle(connections, 0.0).transport.closed  # type: ignore[attr-defined]
    assert connections.idle == MAX_IDLE


def test_once_closed_nothing_is_kept() -> None:
    connections = to(1)
    before = idle(connections, 0.0)
    connections.close()
    assert before.transport.closed  # type: ignore[attr-defined]
    assert idle(connections, 0.0).transport.closed  # type: ignore[attr-defined]
    assert connections.idle == 0


def test_a_connection_that_is_gone_is_forgotten() -> None:
    connections = to(1)
    upstream = idle(connections, 0.0)
    connections.lost(upstream)
    assert (connections.open, connections.idle) == (0, 0)


async def test_a_connection_is_made_and_counted(instance: ScriptedInstance) -> None:
    connections = to(instance.port)
    upstream = await connected(connections)
    assert isinstance(upstream, Upstream)
    assert connections.open == 1
    upstream.abort()
    await until(lambda: connections.open == 0)


async def test_a_refusal_is_told(instance: ScriptedInstance) -> None:
    instance.close()
    failure, status = await connected(to(instance.port))
    assert (failure.startswith("connection failed: "), status) == (True, 502)


async def test_a_connection_closed_as_soon_as_it_was_made_is_no_connection(instance: ScriptedInstance) -> None:
    class Closing(Upstream):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.abort()

    connections = to(instance.port)
    assert await connected(connections, Closing) == ("the connection was closed as soon as it was made", 502)
    await until(lambda: connections.open == 0)


async def test_an_exchange_that_gave_up_hears_nothing_more(instance: ScriptedInstance) -> None:
    connections = to(instance.port)
    exchange = Asking()
    connections.connect(cast("Any", exchange))
    await asyncio.sleep(0)
    connections.give_up(cast("Any", exchange))
    connections.give_up(cast("Any", exchange))
    other = await connected(connections)
    other.abort()
    await until(lambda: connections.open == 0)
    assert exchange.outcome is None


async def test_a_fault_of_ours_is_logged_and_ends_the_wait(
    instance: ScriptedInstance, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Upstream):
        def __init__(self, home: Connections) -> None:
            raise RuntimeError("a slip")

    assert await connected(to(instance.port), Faulty) == ("a fault in pointsman", 502)
    assert "a slip" in caplog.text


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b""])
def test_a_connection_that_was_closed_or_has_something_to_say_is_lent_to_nobody(unasked: bytes) -> None:
    connections = to(1)
    good, bad = idle(connections, 1.0), idle(connections, 2.0)
    transport = cast("Transport", bad.transport)
    if unasked:
        transport.hear(unasked)
    else:
        os.close(transport._ends.pop())
    assert connections.take() is good
    assert transport.closed
    assert connections.take() is None
