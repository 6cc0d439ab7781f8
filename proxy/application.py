"""The whole of pointsman in one process: starts its parts in order, and ends them without losing a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from typing import TYPE_CHECKING

from proxy import build_info
from proxy.assemble.acme import make_renewals
from proxy.assemble.services import state_folder
from proxy.config_file import Loaded
from proxy.journal import Journal
from proxy.own_registry import OwnRegistry
from proxy.registrations import Registrations
from proxy.reloading import Reloader
from proxy.serving import CLOSING, Serving
from proxy.sockets import BindError, change_mode, listen
from proxy.systemd import ActivationError, Notifier, shared_out
from proxy.takeover.places import Place, socket_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config import service as keys
    from config.model import Config
    from config.units import Bind
    from proxy.admin import Admin
    from proxy.config_file import ConfigFile
    from proxy.http.heads import ResponseReader
    from proxy.listener import Listener
    from proxy.reload import Plan
    from proxy.service import Service
    from proxy.takeover.claim import Claim
    from proxy.takeover.offer import Offer
    from proxy.tcp.listener import TcpListener
    from proxy.tls.acme.renewals import Renewals
    from proxy.tls.instances import InstanceTls
    from proxy.workers.control import Workers
    from proxy.workers.heritage import Heritage

_log = logging.getLogger(__name__)


class Application(Serving):
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
        claim: Claim | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.workers = workers
        super().__init__(config, Journal(), state_folder(config))
        self.notifier = Notifier() if workers is None else workers.notifier()
        self.reloader = Reloader(self, file, loaded)
        self.registrations = Registrations(config.registered, self.journal, self._own_port)
        self.successor = 0  # the process that has taken our place
        self.offer = _offer(self, path) if (path := socket_path(config)) else None
        self.claim = claim
        self._sockets = sockets  # that systemd listens on for us
        self._given: list[tuple[Sequence[socket.socket], bool]] = []  # what each listener begins to accept on
        # The same of the admin address, the embedded registry and the takeover.
        self._others: tuple[list[socket.socket], list[socket.socket], list[socket.socket]] = ([], [], [])
        self._renewing: asyncio.Task[None] | None = None
        self._watches: dict[str, list[asyncio.Task[None]]] = {}  # by service
        self.registry = OwnRegistry(config.registry) if config.registry else None
        self._writing: asyncio.Task[None] | None = None
        self._admin = _admin(self, config.admin.bind) if config.admin else None

    async def start(self) -> None:
        """Bind and begin. Raises BindError, and TakeoverError when the process that runs already goes on instead."""
        build_info.tell()
        claim = self.claim
        if self.workers is not None:
            self.workers.begin_with(self)
        if claim is not None:
            await claim.begin()
        await self._find_sockets()
        admin, registry, offer = self._others
        if self.offer is not None:
            await self.offer.bind(offer)
        if claim is None:
            await self._begin_admin(admin)
            self._begin_state()
        if self.registry is not None and (claim is None or not claim.offers("registry")):
            await self.registry.start(registry[0] if registry else None)
        for service in self.services.values():
            self.follow(service)
        self.catalogs.start(self._tasks)
        self.begin_sweeping()
        if claim is not None:
            # Until all are known that requests are routed to, and the other lets go of what only one can have.
            await claim.settle(self)
            await self._begin_admin(admin)
            if self.registry is not None and claim.offers("registry"):
                await self.registry.start(registry[0] if registry else None, claim.times)
        else:
            self._tasks.start(self.notifier.run(self.unready), "what systemd is told")
        for place, (listener, (sockets, lent)) in enumerate(zip(self.listeners, self._given, strict=True)):
            if not sockets:
                sockets = await self.bind(place, listener)
            self.open(listener, sockets, lent=lent)
            self.attend(listener)
        if self.workers is not None:
            await self.workers.start()
        self.begin_following_files()
        self.registrations.start(self._tasks)
        if claim is not None:
            await claim.finish(self)
            for listener in self.listeners:
                listener.lent = claim.lends("listener", str(listener.bind))
                if listener.bind.path:
                    change_mode(listener.bind.path, listener.options.mode)
            if self._admin is not None:
                self._admin.lend(claim.lends("admin", str(self._admin.bind)))
            if self.workers is not None:
                self.workers.lend()
            self._begin_state()
            self.notifier.succeed(claim.watchdog)
            self._tasks.start(self.notifier.run(self.unready), "what systemd is told")
        self._renew_certificates()
        if self.offer is not None:
            self.offer.start()
        self._tasks.start(self.reloader.watch(), "the watch of the configuration")
        self.reloader.begin()

    async def _find_sockets(self) -> None:
        """Find the sockets that we begin with: those handed over; for the others there will be new ones.

        In a takeover the listeners bind those now: what is wrong with them shows before anything is asked of the other
        process. Raises BindError.
        """
        binds, config = [one.bind for one in self.listeners], self.config
        claim: Claim | Heritage | None = self.claim
        if self.workers is not None and self.workers.heritage is not None:
            claim = self.workers.heritage  # and those of a control process that has died
        admin = [config.admin.bind] if config.admin else []
        registry = [config.registry.bind] if config.registry else []
        if claim is None:
            try:
                given = await asyncio.to_thread(shared_out, [*binds, *admin, *registry], self._sockets)
            except ActivationError as error:
                raise BindError(str(error)) from error
            self._given = [(sockets, bool(sockets)) for sockets in given[: len(binds)]]
            rest = given[len(binds) :]
            self._others = (rest.pop(0) if admin else [], rest.pop(0) if registry else [], [])
            return
        for bind in binds:
            handed = claim.sockets_of("listener", str(bind))
            # Whom we take over from goes on listening until it ends; one that has died does not.
            lent = bool(handed) if claim is self.claim else claim.lends("listener", str(bind))
            self._given.append((handed, lent))
        self._others = (
            [sock for bind in admin for sock in claim.sockets_of("admin", str(bind))],
            [sock for bind in registry for sock in claim.sockets_of("registry", str(bind))],
            claim.sockets_of("takeover", str(self.offer.path)) if self.offer else [],
        )
        beside = claim.left("listener")
        for place, (sockets, _) in enumerate(self._given):
            if not sockets:
                self._given[place] = (
                    await asyncio.to_thread(listen, binds[place], self.listeners[place].options.mode, beside),
                    False,
                )

    async def _begin_admin(self, handed: list[socket.socket]) -> None:
        """Answer at the admin address, if there is to be one. Raises BindError."""
        if self._admin is not None:
            heritage = self.workers.heritage if self.workers is not None else None
            self._admin.lend(bool(handed) if heritage is None else heritage.lends("admin", str(self._admin.bind)))
            await self._admin.start(handed)

    def _begin_state(self) -> None:
        if self.state is not None:
            self._writing = self._tasks.start(self.state.run(), "the writing of the state")

    async def run(self) -> int:
        """Serve until a signal ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask, "SIGHUP")
        try:
            return await self.live()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def live(self) -> int:
        """Serve until it is asked to end; return the exit status."""
        try:
            try:
                await self.start()
            except Exception as error:
                if self.claim is not None:
                    await self._step_back(self.claim, str(error) or type(error).__name__)
                raise
            gc.freeze()  # what was made so far stays for long: no full collection has to look at it
            await self.ended()
            await self.drain()
        finally:
            await self.stop()
        return 1 if self.died else 0

    @property
    def admin_port(self) -> int:
        """The port of the admin address, for a configuration that asked for any; 0 if it has none."""
        return self._admin.port if self._admin else 0

    # What a takeover does to us; see takeover.

    @property
    def generation(self) -> int:
        """How many processes have had this place before us, one taking over from the other."""
        return self.claim.generation if self.claim is not None else 0

    def places(self) -> list[Place]:
        """List what we listen on, all of which can be handed over."""
        places = [
            Place("listener", str(listener.bind), listener.lent, list(listener.sockets)) for listener in self.listeners
        ]
        if self._admin is not None:
            places.append(Place("admin", str(self._admin.bind), self._admin.lent, list(self._admin.sockets)))
        if self.registry is not None:
            places.append(Place("registry", self.registry.bind, False, self.registry.sockets))
        if self.offer is not None:
            places.append(Place("takeover", str(self.offer.path), False, self.offer.sockets))
        return places

    def give_way(self, pid: int, taken: Sequence[Place], registered: Sequence[str]) -> None:
        """Accept no more on what another process has taken, and leave to it what it has registered."""
        self.successor = pid
        self.draining = True
        self.notifier.hand_over(pid)
        if self._writing is not None:
            self._writing.cancel()
            self.state = None
        if self._renewing is not None:
            self._renewing.cancel()
        self.registrations.give_up(registered)
        if self.registry is not None:
            self.registry.forget()
        gone = {id(sock) for place in taken for sock in place.sockets}
        for listener in self.listeners:
            if listener.sockets and id(listener.sockets[0]) in gone:
                listener.lent = True
                listener.drain()
        if self._admin is not None and any(place.role == "admin" for place in taken):
            self._admin.lend(True)
            self._tasks.start(self._admin.stop(), "the end of the admin address")

    async def _step_back(self, claim: Claim, why: str) -> None:
        """Leave all to the process that was to be taken over from; whoever has come to us is answered first."""
        self.registrations.give_up()
        if self.registry is not None:
            await self.registry.stop()
        await claim.refuse(why)
        claim.close()
        if any(listener.started for listener in self.listeners):
            await self.drain()
        claim.give_back()

    # What a change of the configuration does to us; see reloading.py.

    # What is otherwise where workers accept the clients; see workers.

    def make_service(
        self, name: str, wanted: keys.Settings, config: Config, reader: ResponseReader, tls: InstanceTls | None
    ) -> Service:
        """Make a service that nobody feeds yet; workers are told what becomes of it."""
        service = super().make_service(name, wanted, config, reader, tls)
        if self.workers is not None:
            self.workers.attach(service)
        return service

    def open(self, listener: Listener | TcpListener, sockets: Sequence[socket.socket], *, lent: bool) -> None:
        """Have clients accepted on sockets that listen already, here or by workers."""
        if self.workers is None:
            super().open(listener, sockets, lent=lent)
        else:
            listener.hold(self.workers.spread(sockets), lent=lent)
            _log.info("listening on %s, by %d workers", listener.address, self.workers.count)

    async def reloaded(self, loaded: Loaded, plan: Plan) -> None:
        """Have workers take over another configuration, too."""
        if self.workers is not None:
            await self.workers.reloaded(loaded, plan)

    @property
    def in_force(self) -> Loaded:
        """The configuration at work, for a worker to begin with."""
        return self.reloader.loaded or Loaded(self.config, {}, "", "")

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

    def go_on_with_registry(self) -> None:
        """Begin the embedded registry again: nobody has taken its place."""
        if self.registry is not None and not self.ending:
            self._tasks.start(self.registry.go_on(), "the embedded registry")

    def make_renewals(self, config: Config) -> Renewals | None:
        """Make the owner of certificates that an authority gives, if there is to be one. Raises AcmeError."""
        return make_renewals(config, self.journal)

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

    async def drain(self) -> None:
        """Leave the registries, then accept nobody; wait until requests in flight end, up to `drain_timeout`."""
        self.draining = True
        self.notifier.stopping("draining")
        if self.offer is not None:
            await self.offer.stop()
        await self.registrations.leave(self._now)
        _log.info("draining: %d requests in flight", sum(s.traffic.in_flight for s in self.services.values()))
        if self.workers is not None:
            await self.workers.drain(self._now)
        await self.drain_listeners()

    async def stop(self) -> None:
        """End every part."""
        self.notifier.stopping("ending")
        if self.offer is not None:
            await self.offer.stop()
        if self.claim is not None:
            self.claim.close()
        if self.workers is not None:
            await self.workers.drain(self._now)
        self.abort_listeners()
        for sockets, _ in self._given:
            for sock in sockets:
                sock.close()
        try:
            async with asyncio.timeout(CLOSING):
                await self.reloader.stop()
                await self._tasks.stop()
                await self.end_services()
                if self.registry is not None:
                    await self.registry.stop()
                if self._admin is not None:
                    await self._admin.stop()
        except TimeoutError:
            _log.warning("some parts did not end within %g s", CLOSING)
        if self.state is not None:
            try:
                await asyncio.wait_for(self.state.close(), CLOSING)
            except TimeoutError:
                _log.warning("what was to be written to %s was not within %g s", self.state.path, CLOSING)
        await self.close_files()
        if self.workers is not None:
            self.workers.close()

    def unready(self) -> list[str]:
        """List the reasons for which no traffic should be sent here; none when ready."""
        reasons = ["draining"] if self.draining else []
        if self.workers is not None:
            reasons += self.workers.unready()
        reasons += [f"listener {one.bind}: nobody is accepted yet" for one in self.listeners if not one.started]
        return reasons + self.unknown()

    def unknown(self) -> list[str]:
        """List the reasons for which it is not known yet who is there."""
        reasons = [
            f"service {service.name}: {reason}" for service in self.services.values() if (reason := service.unready())
        ]
        reasons += [
            f"catalog {catalog.name}: {reason}" for catalog in self.catalogs.catalogs if (reason := catalog.unready())
        ]
        return reasons

    def _own_port(self) -> int:
        given = self._given[0][0] if self._given else []
        ports = [sock.getsockname()[1] for sock in given if sock.family != socket.AF_UNIX]
        return next(iter(self.listeners[0].ports or ports), 0)

    def sweep(self, now: float) -> None:
        """Do what is due."""
        super().sweep(now)
        if self.offer is not None:
            self.offer.sweep()


# What brings libraries along that not everybody wants is loaded when it is wanted: see tests/proxy/test_loading.py.


def _admin(application: Application, bind: Bind) -> Admin:
    from proxy.admin import Admin

    return Admin(application, bind)


def _offer(application: Application, path: Path) -> Offer:
    from proxy.takeover.offer import Offer

    return Offer(application, path)
