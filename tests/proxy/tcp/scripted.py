"""A TCP listener and a service between clients and instances that do, byte for byte, what a test tells them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from proxy.http.heads import HeadLimits
from proxy.http.terms import Timeouts
from proxy.listener import ListenerOptions
from proxy.tcp.counts import counts_of
from proxy.tcp.listener import TcpListener
from proxy.tcp.names import Names
from tests.proxy.http.scripted import Log, Peer, Proxy, ScriptedInstance, Settings, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from proxy.access_log.access_log import AccessLog
    from proxy.tcp.client import Client

DRAIN = 30.0


class TcpProxy(Proxy):
    """A TCP listener, its service `shop`, and the instances behind it."""

    def __init__(
        self, instances: Sequence[ScriptedInstance], settings: Settings, names: Sequence[str], others: bool
    ) -> None:
        super().__init__(instances, settings)
        log = cast("AccessLog", Log(self.records)) if settings.logged else None
        known = Names([(name, self.terms) for name in names], self.terms if others else None)
        self.tcp = TcpListener(settings.bind, known, settings.options, DRAIN, log)
        self.listener = self.tcp  # type: ignore[assignment]
        self.counts = counts_of(self.traffic)

    async def joined(self) -> tuple[Peer, Peer]:
        """Connect a client; return it, and the instance's side of its connection."""
        client = await self.client()
        return client, await self.instance.accept()

    def inside(self) -> Client:
        """The only client, as the listener has it."""
        [client] = self.tcp._clients
        return client

    async def over(self) -> None:
        """Wait until no connection is left."""
        await until(lambda: not self.tcp.clients and not self.traffic.in_flight)


@contextlib.asynccontextmanager
async def tcp_proxying(
    instances: int = 1,
    *,
    names: Sequence[str] = (),
    others: bool = True,
    timeouts: Timeouts = Timeouts(),
    options: ListenerOptions | None = None,
    **settings: Any,
) -> AsyncIterator[TcpProxy]:
    """Run one in front of scripted instances; its end is also a test that every connection has ended."""
    scripted = [ScriptedInstance() for _ in range(instances)]
    options = options or ListenerOptions(limits=HeadLimits(), timeouts=timeouts)
    async with TcpProxy(scripted, Settings(options=options, **settings), names, others) as proxy:
        yield proxy
