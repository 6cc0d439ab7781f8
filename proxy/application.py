"""The whole of pointsman in one process: starts its parts in order, and ends them without losing a request."""

from __future__ import annotations

import asyncio
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
from proxy.sockets import BindError
from proxy.tasks import Tasks

if TYPE_CHECKING:
    from config.model import Config

_log = logging.getLogger(__name__)

SWEEP = 0.25  # seconds between two looks at the deadlines of all connections
_CLOSING = 5.0  # seconds that the watches, probes and servers have to end


class Application:
    """A configuration at work.

    `start` binds the admin address first, so that readiness can be asked from the beginning, then the embedded
    registry, then follows the registries, accepts clients, and registers itself last. `drain` and `stop` go the other
    way.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
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
        self.draining = False
        self.died = ""  # the part of us that died, and of what
        self._end = asyncio.Event()
        self._now = asyncio.Event()
        self._tasks = Tasks(self._fault)
        self._registry: RegistryServer | None = None
        self._admin = Admin(self, config.admin.bind) if config.admin else None

    async def start(self) -> None:
        """Bind and begin. Raises BindError."""
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
            for source in service.sources:
                self._tasks.start(source.keeper.run(), f"the watch of service {service.name} in {source.name}")
        self.catalogs.start(self._tasks)
        if self.access_log is not None:
            self._tasks.start(self.access_log.writer.watch(), "the access log")
        for listener in self.listeners:
            await listener.start()
            _log.info("listening on %s", listener.address)
            if listener.certificates is not None:
                listener.certificates.tell = partial(self._certificate, str(listener.bind))
                self._tasks.start(listener.certificates.watch(), f"the watch of the certificates of {listener.bind}")
        if self.guards.files:
            self._tasks.start(self.guards.follow(), "the watch of the files of users")
        self._tasks.start(self._sweep(), "the sweep of deadlines")
        if self.renewals is not None:
            self._tasks.start(self.renewals.run(), "the renewal of certificates")
        self.registrations.start(self._tasks)

    async def run(self) -> int:
        """Serve until a signal ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        try:
            try:
                await self.start()
                await self.ended()
                await self.drain()
            finally:
                await self.stop()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
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

    async def drain(self) -> None:
        """Leave the registries, then accept nobody; wait until requests in flight end, up to `drain_timeout`."""
        self.draining = True
        await self.registrations.leave(self._now)
        _log.info("draining: %d requests in flight", sum(s.traffic.in_flight for s in self.services.values()))
        for listener in self.listeners:
            listener.drain()
        begun = time.monotonic()
        deadline = begun + self.config.drain_timeout
        while any(listener.clients for listener in self.listeners) and not self._now.is_set():
            if time.monotonic() >= begun + self.config.drain_timeout / 2:
                for listener in self.listeners:
                    listener.say_goodbye()
            if time.monotonic() >= deadline:
                left = sum(listener.clients for listener in self.listeners)
                _log.warning("drain_timeout passed: %d connections are cut", left)
                break
            try:
                await asyncio.wait_for(self._now.wait(), 0.05)
            except TimeoutError:
                pass

    async def stop(self) -> None:
        """End every part."""
        for listener in self.listeners:
            listener.drain()
            listener.abort()
        try:
            async with asyncio.timeout(_CLOSING):
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

    def _fault(self, name: str, error: BaseException) -> None:
        """A part that must live as long as we do has died: end, and let whoever started us start us anew."""
        self.died = f"{name}: {error}"
        self._end.set()
