"""The connections to one endpoint: those that are idle, and those being made."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.http.upstream import Upstream

if TYPE_CHECKING:
    from discovery.instance import Instance
    from proxy.http.exchange import Exchange
    from proxy.http.heads import HeadLimits, ResponseReader

_log = logging.getLogger(__name__)

MAX_IDLE = 1024  # idle connections kept to one endpoint


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """What all connections to instances have in common; times in seconds."""

    reader: ResponseReader
    limits: HeadLimits
    connect_timeout: float
    keepalive: float


class Connections:
    """The connections to one endpoint.

    The connection used last is lent first, so that those not needed grow old and are closed. `open` counts all of them.
    """

    __slots__ = ("_closed", "_connecting", "_idle", "_instance", "_options", "authority", "limits", "open", "reader")

    def __init__(self, instance: Instance, options: UpstreamOptions) -> None:
        self._instance = instance
        self._options = options
        self.authority = instance.authority.encode()
        self.reader = options.reader
        self.limits = options.limits
        self.open = 0
        self._idle: list[Upstream] = []
        self._connecting: dict[Exchange, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def idle(self) -> int:
        """How many connections wait for an exchange."""
        return len(self._idle)

    def take(self) -> Upstream | None:
        """Lend an idle connection; None when there is none."""
        return self._idle.pop() if self._idle else None

    def put(self, upstream: Upstream, now: float) -> None:
        """Take back a connection whose exchange ended well."""
        if self._closed or len(self._idle) >= MAX_IDLE:
            upstream.transport.close()
            return
        upstream.idle_since = now
        self._idle.append(upstream)

    def discard(self, upstream: Upstream) -> None:
        """Lend this connection to nobody any more, idle or not."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def lost(self, upstream: Upstream) -> None:
        """Forget a connection that is gone."""
        self.open -= 1
        self.discard(upstream)

    def connect(self, exchange: Exchange) -> None:
        """Make a connection for an exchange, which is told by `connected` or `unconnected`."""
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._connecting[exchange] = task
        task.add_done_callback(lambda task: self._report(exchange, task))

    def give_up(self, exchange: Exchange) -> None:
        """Stop connecting for an exchange whose client is gone."""
        task = self._connecting.pop(exchange, None)
        if task is not None:
            task.cancel()

    def expire(self, now: float) -> None:
        """Close what has been idle for too long: better we than the instance, in the moment we write to it."""
        oldest = now - self._options.keepalive
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.pop(0).transport.close()

    def close_idle(self) -> None:
        """Close what is idle: the instance has gone, or has closed one of its connections."""
        idle, self._idle = self._idle, []
        for upstream in idle:
            upstream.transport.close()

    def close(self) -> None:
        """Keep nothing any more; exchanges under way still end on the connections that they have."""
        self._closed = True
        self.close_idle()

    async def _connect(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        timeout = self._options.connect_timeout
        try:
            async with asyncio.timeout(timeout):
                _, upstream = await loop.create_connection(
                    lambda: Upstream(self), self._instance.address, self._instance.port
                )
        except TimeoutError:
            failure, status = f"no connection within {timeout:g} s", 504
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that is none
            failure, status = f"connection failed: {getattr(error, 'strerror', None) or error}", 502
        else:
            self.open += 1
            if not upstream.transport.is_closing():
                if self._connecting.pop(exchange, None) is None:
                    upstream.transport.abort()
                else:
                    exchange.connected(upstream, time.monotonic())
                return
            failure, status = "the connection was closed as soon as it was made", 502
        if self._connecting.pop(exchange, None) is not None:
            exchange.unconnected(failure, status)

    def _report(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("connecting to an instance died of a fault in pointsman", exc_info=error)
        if self._connecting.pop(exchange, None) is not None:
            exchange.unconnected("a fault in pointsman", 502)
