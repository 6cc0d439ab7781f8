"""What requests are routed by, and through: the half of a process that clients and instances see.

`Application` adds what follows registries and answers operators; see application.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from proxy.assemble.catalogs import make_catalogs
from proxy.assemble.guards import Guards
from proxy.assemble.listeners import access_log, make_listeners
from proxy.assemble.routes import make_splits
from proxy.assemble.services import feed_of, instance_tls, unfed_service
from proxy.http.heads import ResponseReader
from proxy.settings import head_limits_of
from proxy.sockets import listen
from proxy.systemd import Notifier
from proxy.tasks import Tasks
from proxy.tls.certificates import watch

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from config import service as keys
    from config.model import Config
    from discovery.state import StateFolder
    from proxy.access_log.access_log import AccessLog
    from proxy.catalogs import Catalogs
    from proxy.config_file import Loaded
    from proxy.edge.shared_buckets import Table
    from proxy.journal import Journal
    from proxy.listener import Listener
    from proxy.prober import Prober
    from proxy.reload import Plan
    from proxy.service import Service
    from proxy.sources import Feed
    from proxy.takeover.offer import Offer
    from proxy.tcp.listener import TcpListener
    from proxy.tls.acme.renewals import Renewals
    from proxy.tls.certificates import Certificates
    from proxy.tls.instances import InstanceTls

_log = logging.getLogger(__name__)

SWEEP = 0.25  # seconds between two looks at the deadlines of all connections
CLOSING = 5.0  # seconds that the parts have to end
_LOOK = 0.05  # seconds from one look at whether the clients have left to the next


class Serving:
    """The listeners, routes and services of a configuration, and what becomes of them when it changes."""

    buckets: Table | None = None  # of rate limits, which workers share
    offer: Offer | None = None  # of a takeover, by those who can be taken over from

    def __init__(self, config: Config, journal: Journal, state: StateFolder | None = None) -> None:
        self.config = config
        self.journal = journal
        self.state = state
        self.services: dict[str, Service] = {}
        reader = ResponseReader(head_limits_of(config.limits))
        for name, wanted in config.services.items():
            tls = instance_tls(wanted, f"services.{name}.tls")
            service = self.services[name] = self.make_service(name, wanted, config, reader, tls)
            service.feed_by(self.make_feed(service, wanted))
        self.access_log = access_log(config)
        self.renewals = self.make_renewals(config)  # before the listeners, which find placeholders then
        self.splits = make_splits(config, self.services)
        self.guards = Guards(self.services, self.buckets)
        self.listeners = make_listeners(config, self.services, self.access_log, self.splits, self.guards)
        self.catalogs = self.make_catalogs(config)
        self.notifier = Notifier({})  # who is told nothing, but for that of an application
        self.draining = False
        self.died = ""  # the part of us that died, and of what
        self.departing: list[
            tuple[Listener | TcpListener, float]
        ] = []  # listeners whose address is gone, and since when
        self._follows_users = False
        self._end = asyncio.Event()
        self._now = asyncio.Event()
        self._tasks = Tasks(self._fault)

    # What those have otherwise who have a part of the work only.

    def make_service(
        self, name: str, wanted: keys.Settings, config: Config, reader: ResponseReader, tls: InstanceTls | None
    ) -> Service:
        """Make a service that nobody feeds yet."""
        return unfed_service(name, wanted, config, reader, self.journal, tls)

    def make_feed(self, service: Service, wanted: keys.Service) -> Feed:
        """Make what feeds a service. Raises RegistryError."""
        return feed_of(service, wanted, self.journal, self.state)

    def make_catalogs(self, config: Config) -> Catalogs:
        """Make the routing table, and the catalogs that add to it. Raises CertificateError."""
        return make_catalogs(
            config, self.services, self.listeners, self.journal, self.splits, self.guards, self.make_service
        )

    def make_renewals(self, config: Config) -> Renewals | None:
        """Make the owner of certificates that an authority gives, if that is ours. Raises AcmeError."""
        return None

    async def bind(
        self, place: int, listener: Listener | TcpListener, beside: Sequence[socket.socket] = ()
    ) -> Sequence[socket.socket]:
        """Return sockets that listen at a listener's address; for `beside` see sockets.py. Raises BindError.

        `place` is where the configuration has the listener.
        """
        return await asyncio.to_thread(listen, listener.bind, listener.options.mode, beside)  # names are looked up

    def open(self, listener: Listener | TcpListener, sockets: Sequence[socket.socket], *, lent: bool) -> None:
        """Have clients accepted on sockets that listen already."""
        listener.accept(sockets, lent=lent)
        _log.info("listening on %s", listener.address)

    # The beginning and the end.

    @property
    def ending(self) -> bool:
        """True once it was asked to end, or must."""
        return self._end.is_set()

    async def ended(self) -> None:
        """Wait until it is asked to end, or must."""
        await self._end.wait()

    def end(self) -> None:
        """End: gently when asked for the first time, at once when asked again."""
        if self._end.is_set():
            self._now.set()
        self._end.set()

    def begin_sweeping(self) -> None:
        """Begin to mind deadlines, and to write the access log."""
        if self.access_log is not None:
            self._tasks.start(self.access_log.writer.watch(), "the access log")
        self._tasks.start(self._sweep(), "the sweep of deadlines")

    def begin_following_files(self) -> None:
        """Begin to follow the files of certificates and of users."""
        self._tasks.start(watch(self._certificates), "the watch of certificates")
        self.follow_users()

    async def drain_listeners(self) -> None:
        """Accept nobody; wait until requests in flight end, up to `drain_timeout`."""
        self.draining = True
        for listener in self.listeners:
            listener.drain()
        begun = time.monotonic()
        deadline = begun + self.config.drain_timeout
        listeners = [*self.listeners, *(listener for listener, _ in self.departing)]
        while any(listener.clients for listener in listeners) and not self._now.is_set():
            if time.monotonic() >= begun + self.config.drain_timeout / 2:
                for listener in listeners:
                    listener.say_goodbye()
            if time.monotonic() >= deadline:
                left = sum(listener.clients for listener in listeners)
                _log.warning("drain_timeout passed: %d connections are cut", left)
                break
            try:
                await asyncio.wait_for(self._now.wait(), _LOOK)
            except TimeoutError:
                pass

    def abort_listeners(self) -> None:
        """Accept nobody, and close every connection."""
        for listener in (*self.listeners, *(listener for listener, _ in self.departing)):
            listener.drain()
            listener.abort()

    async def end_services(self) -> None:
        """End what all services have under way."""
        for service in (*self.catalogs.stop(), *self.services.values()):
            await service.end()

    async def close_files(self) -> None:
        """Check no more passwords, and write the rest of the access log."""
        self.guards.close()
        if self.access_log is not None:
            await asyncio.to_thread(self.access_log.writer.close, CLOSING)

    # What a change of the configuration does to us; see reloading.py.

    def follow(self, service: Service) -> None:
        """Begin to follow a service where its instances are told of."""

    def unfollow(self, name: str) -> None:
        """Follow a service no longer there."""

    async def reloaded(self, loaded: Loaded, plan: Plan) -> None:
        """Do what is to be done elsewhere once another configuration is in force here."""

    def follow_users(self) -> None:
        """Begin to follow the files of users, once there are any."""
        if self.guards.files and not self._follows_users:
            self._follows_users = True
            self._tasks.start(self.guards.follow(), "the watch of the files of users")

    def attend(self, listener: Listener | TcpListener) -> None:
        """Have the journal told what becomes of a listener's certificates."""
        if listener.certificates is not None:
            listener.certificates.tell = partial(self._certificate, str(listener.bind))

    def end_prober(self, prober: Prober, name: str) -> None:
        """Wait until the probes have ended that a service has no more."""
        self._tasks.start(prober.stop(), f"the end of the probes of {name}")

    def change_renewals(self, renewals: Renewals | None) -> None:
        """Get other certificates from an authority, or from another one, or none, from now on."""

    def change_access_log(self, log: AccessLog | None) -> None:
        """Write to another access log, or to none, from now on; what was to be written to the one before still is."""
        before, self.access_log = self.access_log, log
        if log is not None:
            self._tasks.start(log.writer.watch(), "the access log")
        if before is not None:
            self._tasks.start(asyncio.to_thread(before.writer.close, CLOSING), "the end of the access log before")

    def let_go(self, listener: Listener | TcpListener) -> None:
        """Have a listener accept nobody any more, and its clients leave within `drain_timeout`."""
        listener.drain()
        self.departing.append((listener, time.monotonic()))

    def _certificates(self) -> list[Certificates]:
        return [one.certificates for one in self.listeners if one.certificates is not None]

    def _certificate(self, listener: str, kind: str, reason: str) -> None:
        self.journal.record(f"listener {listener}", kind, "", reason)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.sweep(time.monotonic())

    def sweep(self, now: float) -> None:
        """Do what is due."""
        for listener in self.listeners:
            listener.sweep(now)
        for service in self.services.values():
            service.sweep(now)
        self.catalogs.sweep(now, self._tasks)
        self._sweep_departing(now)

    def _sweep_departing(self, now: float) -> None:
        """Do for the listeners that are gone what `drain_listeners` does when all are."""
        left = []
        for listener, since in self.departing:
            listener.sweep(now)
            if now >= since + self.config.drain_timeout:
                listener.abort()
            elif now >= since + self.config.drain_timeout / 2:
                listener.say_goodbye()
            if listener.clients:
                left.append((listener, since))
        self.departing[:] = left

    def _fault(self, name: str, error: BaseException) -> None:
        """A part that must live as long as we do has died: end, and let whoever started us start us anew."""
        self.died = f"{name}: {error}"
        self._end.set()
