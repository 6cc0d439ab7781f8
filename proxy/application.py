"""The whole of pointsman in one process: starts its parts in order, and ends them without losing a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from discovery.embedded.server import RegistryServer
from proxy.admin import Admin
from proxy.assemble.acme import make_renewals
from proxy.assemble.catalogs import make_catalogs
from proxy.assemble.guards import Guards
from proxy.assemble.listeners import access_log, make_listeners
from proxy.assemble.routes import make_splits
from proxy.assemble.services import make_services, state_folder
from proxy.journal import Journal
from proxy.registrations import Registrations
from proxy.reloading import Reloader
from proxy.sockets import BindError
from proxy.systemd import ActivationError, Notifier, shared_out
from proxy.tasks import Tasks
from proxy.tls.certificates import watch

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from config.model import Config
    from proxy.access_log.access_log import AccessLog
    from proxy.config_file import ConfigFile, Loaded
    from proxy.listener import Listener
    from proxy.prober import Prober
    from proxy.service import Service
    from proxy.tcp.listener import TcpListener
    from proxy.tls.acme.renewals import Renewals
    from proxy.tls.certificates import Certificates

_log = logging.getLogger(__name__)

SWEEP = 0.25  # seconds between two looks at the deadlines of all connections
_CLOSING = 5.0  # seconds that the watches, probes and servers have to end


class Application:
    """A configuration at work.

    `start` binds the admin address first, so that readiness can be asked from the beginning, then the embedded
    registry, then follows the registries, accepts clients, and registers itself last. `drain` and `stop` go the other
    way.
    """

    def __init__(
        self,
        config: Config,
        file: ConfigFile | None = None,
        loaded: Loaded | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self.config = config
        self.notifier = Notifier()
        self.reloader = Reloader(self, file, loaded)
        self.journal = Journal()
        self.state = state_folder(config)
        self.services = make_services(config, self.journal, self.state)
        self.access_log = access_log(config)
        self.renewals = make_renewals(config, self.journal)
        self.splits = make_splits(config, self.services)
        self.guards = Guards(self.services)
        self.listeners = make_listeners(config, self.services, self.access_log, self.splits, self.guards)
        self.registrations = Registrations(config.registered, self.journal, self._own_port)
        self.catalogs = make_catalogs(config, self.services, self.listeners, self.journal, self.splits, self.guards)
        self._follows_users = False
        self.draining = False
        self.died = ""  # the part of us that died, and of what
        self._sockets = sockets  # that systemd listens on for us
        self.departing: list[
            tuple[Listener | TcpListener, float]
        ] = []  # listeners whose address is gone, and since when
        self._renewing: asyncio.Task[None] | None = None
        self._watches: dict[str, list[asyncio.Task[None]]] = {}  # by service
        self._end = asyncio.Event()
        self._now = asyncio.Event()
        self._tasks = Tasks(self._fault)
        self._registry: RegistryServer | None = None
        self._admin = Admin(self, config.admin.bind) if config.admin else None

    async def start(self) -> None:
        """Bind and begin. Raises BindError."""
        try:
            given = await asyncio.to_thread(shared_out, [one.bind for one in self.listeners], self._sockets)
        except ActivationError as error:
            raise BindError(str(error)) from error
        if self._admin is not None:
            await self._admin.start()
        wanted = self.config.registry
        if wanted is not None:
            registry = RegistryServer(wanted.bind.host, wanted.bind.port, wanted.data_dir)
            try:
                await registry.start()
            except OSError as error:
                raise BindError(error.strerror) from error
            self._registry = registry
        if self.state is not None:
            self._tasks.start(self.state.run(), "the writing of the state")
        for service in self.services.values():
            self.follow(service)
        self.catalogs.start(self._tasks)
        if self.access_log is not None:
            self._tasks.start(self.access_log.writer.watch(), "the access log")
        self._tasks.start(self.notifier.run(self.unready), "what systemd is told")
        for listener, sockets in zip(self.listeners, given, strict=True):
            if sockets:
                listener.accept(sockets, lent=True)
            else:
                await listener.start()
            _log.info("listening on %s", listener.address)
            self.attend(listener)
        self._tasks.start(watch(self._certificates), "the watch of certificates")
        self.follow_users()
        self._tasks.start(self._sweep(), "the sweep of deadlines")
        self._renew_certificates()
        self.registrations.start(self._tasks)
        self._tasks.start(self.reloader.watch(), "the watch of the configuration")
        self.reloader.begin()

    async def run(self) -> int:
        """Serve until a signal ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask, "SIGHUP")
        try:
            try:
                await self.start()
                gc.freeze()  # what was made so far stays for long: no full collection has to look at it
                await self.ended()
                await self.drain()
            finally:
                await self.stop()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return 1 if self.died else 0

    @property
    def admin_port(self) -> int:
        """The port of the admin address, for a configuration that asked for any; 0 if it has none."""
        return self._admin.port if self._admin else 0

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

    # What a change of the configuration does to us; see reloading.py.

    def follow(self, service: Service) -> None:
        """Begin to follow a service in its registries."""
        self._watches[service.name] = [
            self._tasks.start(source.keeper.run(), f"the watch of service {service.name} in {source.name}")
            for source in service.sources
        ]

    def unfollow(self, name: str) -> None:
        """Follow a service no longer in those that it was found in."""
        for task in self._watches.pop(name, ()):
            task.cancel()

    def follow_users(self) -> None:
        """Begin to follow the files of users, once there are any."""
        if self.guards.files and not self._follows_users:
            self._follows_users = True
            self._tasks.start(self.guards.follow(), "the watch of the files of users")

    def attend(self, listener: Listener | TcpListener) -> None:
        """Have the journal told what becomes of a listener's certificates."""
        if listener.certificates is not None:
            listener.certificates.tell = partial(self._certificate, str(listener.bind))

    def change_renewals(self, renewals: Renewals | None) -> None:
        """Get other certificates from an authority, or from another one, or none, from now on."""
        if renewals is not None and self.renewals is not None:
            renewals.follow(self.renewals)
        self.renewals = renewals
        self._renew_certificates()

    def _renew_certificates(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self._renewing = None
        if self.renewals is not None:
            self._renewing = self._tasks.start(self.renewals.run(), "the renewal of certificates")

    def end_prober(self, prober: Prober, name: str) -> None:
        """Wait until the probes have ended that a service has no more."""
        self._tasks.start(prober.stop(), f"the end of the probes of {name}")

    def change_access_log(self, log: AccessLog | None) -> None:
        """Write to another access log, or to none, from now on; what was to be written to the one before still is."""
        before, self.access_log = self.access_log, log
        if log is not None:
            self._tasks.start(log.writer.watch(), "the access log")
        if before is not None:
            self._tasks.start(asyncio.to_thread(before.writer.close, _CLOSING), "the end of the access log before")

    def let_go(self, listener: Listener | TcpListener) -> None:
        """Have a listener accept nobody any more, and its clients leave within `drain_timeout`."""
        listener.drain()
        self.departing.append((listener, time.monotonic()))

    async def drain(self) -> None:
        """Leave the registries, then accept nobody; wait until requests in flight end, up to `drain_timeout`."""
        self.draining = True
        self.notifier.stopping("draining")
        await self.registrations.leave(self._now)
        _log.info("draining: %d requests in flight", sum(s.traffic.in_flight for s in self.services.values()))
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
                await asyncio.wait_for(self._now.wait(), 0.05)
            except TimeoutError:
                pass

    async def stop(self) -> None:
        """End every part."""
        self.notifier.stopping("ending")
        for listener in (*self.listeners, *(listener for listener, _ in self.departing)):
            listener.drain()
            listener.abort()
        try:
            async with asyncio.timeout(_CLOSING):
                await self.reloader.stop()
                await self._tasks.stop()
                for service in (*self.catalogs.stop(), *self.services.values()):
                    await service.end()
                if self._registry is not None:
                    await self._registry.stop()
                if self._admin is not None:
                    await self._admin.stop()
        except TimeoutError:
            _log.warning("some parts did not end within %g s", _CLOSING)
        self.guards.close()
        if self.state is not None:
            try:
                await asyncio.wait_for(self.state.close(), _CLOSING)
            except TimeoutError:
                _log.warning("what was to be written to %s was not within %g s", self.state.path, _CLOSING)
        if self.access_log is not None:
            await asyncio.to_thread(self.access_log.writer.close, _CLOSING)

    def unready(self) -> list[str]:
        """List the reasons for which no traffic should be sent here; none when ready."""
        reasons = ["draining"] if self.draining else []
        reasons += [f"listener {one.bind}: nobody is accepted yet" for one in self.listeners if not one.started]
        reasons += [
            f"service {service.name}: {reason}" for service in self.services.values() if (reason := service.unready())
        ]
        reasons += [
            f"catalog {catalog.name}: {reason}" for catalog in self.catalogs.catalogs if (reason := catalog.unready())
        ]
        return reasons

    def _certificates(self) -> list[Certificates]:
        return [one.certificates for one in self.listeners if one.certificates is not None]

    def _certificate(self, listener: str, kind: str, reason: str) -> None:
        self.journal.record(f"listener {listener}", kind, "", reason)

    def _own_port(self) -> int:
        return next(iter(self.listeners[0].ports), 0)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for listener in self.listeners:
                listener.sweep(now)
            for service in self.services.values():
                service.sweep(now)
            self.catalogs.sweep(now, self._tasks)
            self._sweep_departing(now)

    def _sweep_departing(self, now: float) -> None:
        """Do for the listeners that are gone what `drain` does when all are."""
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
