"""The connections to one endpoint: those that are idle, and those being made."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, cast

from mypy_extensions import mypyc_attr

from discovery.check import OURS
from proxy.descriptors import FOR_OURSELVES, all_but, check_room
from proxy.http.upstream import Upstream
from proxy.http.way import Way
from proxy.tls.pair import CertificateError

if TYPE_CHECKING:
    from discovery.instance import Instance
    from proxy.http.heads import HeadLimits, ResponseHead, ResponseReader
    from proxy.proxy_protocol import Ends, Version
    from proxy.tcp.counts import Counts
    from proxy.tls.instances import InstanceTls

_log = logging.getLogger(__name__)

MAX_IDLE: Final = 1024  # idle connections kept to one endpoint
_SHORT_PAUSE = 0.05  # seconds until it is looked again whether there are descriptors


@dataclass(frozen=True, slots=True)
class Unconnected:
    """Why no connection was made, the status that answers for it, and whether the fault is our own."""

    text: str
    status: int = 502
    ours: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """What all connections to instances have in common; times in seconds."""

    reader: ResponseReader
    limits: HeadLimits
    connect_timeout: float
    keepalive: float
    tls: InstanceTls | None = None
    proxy_protocol: Version | None = None  # of the header that tells of the client; then no connection is kept


class Connects(Protocol):
    """Whoever a connection is made for; `ends` are those of its client's."""

    def ends(self) -> Ends | None: ...
    def connected(self, upstream: Upstream, now: float) -> None: ...
    def unconnected(self, failure: Unconnected) -> None: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Connections:
    """The connections to one endpoint.

    The connection used last is lent first, so that those not needed grow old and are closed. `open` counts all of them.
    """

    __slots__ = (
        "_connecting",
        "_idle",
        "_most",
        "_options",
        "_room",
        "_way",
        "authority",
        "idle_elsewhere",
        "last",
        "last_head",
        "limits",
        "open",
        "raw",
        "reader",
    )

    def __init__(self, instance: Instance, options: UpstreamOptions) -> None:
        self._options = options
        self._way = Way(instance, options.tls, options.proxy_protocol)
        self.authority = b"localhost" if instance.path else instance.authority.encode()
        self.reader = options.reader
        self.last: ResponseHead | None = None  # of the heads that came before the one that came last, and as it came
        self.last_head = b""
        self.limits = options.limits
        self.open = 0
        self.idle_elsewhere = 0  # kept by other processes, for those who look
        self.raw: Counts | None = None  # of the raw connections, once there was one
        self._idle: list[Upstream] = []
        self._connecting: dict[Connects, asyncio.Task[None]] = {}
        self._room = MAX_IDLE if options.proxy_protocol is None else 0
        self._most = all_but(FOR_OURSELVES)

    @property
    def idle(self) -> int:
        """How many connections wait for an exchange."""
        return len(self._idle) + self.idle_elsewhere

    def take(self) -> Upstream | None:
        """Lend an idle connection; None when there is none.

        Each is looked at before a byte is written to it, 0.4 µs: one that the instance has closed is noticed, and what
        it sent unasked, which the loop has not read yet, is not taken for the answer to the request.
        """
        idle = self._idle
        doubtful: list[Upstream] | None = None
        found = None
        while idle:
            upstream = idle.pop()
            if not upstream.look(0):
                found = upstream
                break
            if upstream.is_doubtful():
                doubtful = [upstream, *(doubtful or ())]
            else:
                upstream.transport.abort()
        if doubtful:
            idle += doubtful
        return found

    def put(self, upstream: Upstream, now: float) -> None:
        """Take back a connection whose exchange ended well."""
        if len(self._idle) >= self._room:
            if upstream.secure:
                self._way.ended(upstream.transport)  # closing takes a while, and the next one may be wanted before
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
        if upstream.secure:
            self._way.ended(upstream.transport)

    def connect(self, exchange: Connects, speaks: type[Upstream] = Upstream) -> None:
        """Make a connection for an exchange, which is told by `connected` or `unconnected`.

        While there are no descriptors it waits, for as long as connecting may take: for one, or for a connection that
        another exchange has done with. That will not do where something else than HTTP is spoken.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._connect(exchange, speaks))
        self._connecting[exchange] = task
        # asyncio.timeout() would do, but makes connecting a tenth dearer.
        timeout = self._options.connect_timeout
        timer = loop.call_later(timeout, self._out_of_time, exchange, task, timeout)
        task.add_done_callback(lambda task: self._report(exchange, task, timer))

    def give_up(self, exchange: Connects) -> None:
        """Stop connecting for an exchange whose client is gone."""
        task = self._connecting.pop(exchange, None)
        if task is not None:
            task.cancel()

    def follow(self, options: UpstreamOptions) -> bool:
        """Go by other numbers from now on; false where that takes connections that are made anew."""
        before = self._options
        same = replace(
            options, reader=before.reader, connect_timeout=before.connect_timeout, keepalive=before.keepalive
        )
        if same != before:
            return False
        self._options = options
        return True

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
        self._room = 0
        self.close_idle()

    async def _connect(self, exchange: Connects, speaks: type[Upstream]) -> None:
        try:
            upstream = await self._open(exchange, speaks)
        except TimeoutError as error:  # the system's own, which came before ours
            failure = Unconnected(f"connection failed: {error.strerror or error}", 504)
        except ssl.SSLError as error:
            failure = Unconnected(self._way.why(error))
        except CertificateError as error:
            failure = Unconnected(str(error))
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that is none
            ours = getattr(error, "errno", None) in OURS
            failure = Unconnected(f"connection failed: {getattr(error, 'strerror', None) or error}", ours=ours)
        else:
            if not upstream.transport.is_closing():
                if self._connecting.pop(exchange, None) is None:
                    upstream.transport.abort()
                else:
                    exchange.connected(upstream, time.monotonic())
                return
            failure = Unconnected("the connection was closed as soon as it was made")
        if self._connecting.pop(exchange, None) is not None:
            exchange.unconnected(failure)

    async def _open(self, exchange: Connects, speaks: type[Upstream]) -> Upstream:
        """Make a connection, or take one that has become idle while there was no descriptor. Raises OSError."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.connect_timeout - _SHORT_PAUSE
        while True:
            try:
                check_room(self._most)
                dial = await self._way.dial(exchange, speaks.protocol)
                _, upstream = await dial.connect(lambda: cast("asyncio.Protocol", speaks(self)))
                self.open += 1
                return cast("Upstream", upstream)
            except OSError as error:
                if error.errno not in OURS or loop.time() >= end:
                    raise
            await asyncio.sleep(_SHORT_PAUSE)
            idle = self.take()
            if idle is not None and speaks is Upstream:
                return idle
            if idle is not None:
                idle.transport.abort()  # which leaves its descriptor

    def _out_of_time(self, exchange: Connects, task: asyncio.Task[None], timeout: float) -> None:
        if self._connecting.get(exchange) is task:  # and not another try of the same exchange
            self.give_up(exchange)
            exchange.unconnected(Unconnected(f"no connection within {timeout:g} s", 504))

    def _report(self, exchange: Connects, task: asyncio.Task[None], timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("connecting to an instance died of a fault in pointsman", exc_info=error)
        if self._connecting.pop(exchange, None) is not None:
            exchange.unconnected(Unconnected("a fault in pointsman"))
