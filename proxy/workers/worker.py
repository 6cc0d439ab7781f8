"""A worker: accepts clients and routes their requests by what the control process tells."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.assemble.catalogs import catalog_tls, maker_of, unfollowed_catalogs
from proxy.assemble.services import unfed_service
from proxy.journal import Event, Journal
from proxy.reloading import RefusedError, Reloader
from proxy.serving import CLOSING, Serving
from proxy.sources import Feed
from proxy.workers.catalog import RelayedCatalog
from proxy.workers.channel import Link
from proxy.workers.deltas import applied
from proxy.workers.heritage import known_of
from proxy.workers.news import (
    Asks,
    Catalogued,
    Drain,
    Drained,
    Ejected,
    EndNow,
    Followed,
    Happened,
    Lent,
    Probed,
    Reload,
    Reloaded,
    Remembers,
    Report,
    Reweighed,
    Serves,
    Setup,
    Told,
    Weighed,
)
from proxy.workers.parting import part_of
from proxy.workers.tally import Reporter

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from balancers.endpoint import Endpoint
    from config import service as keys
    from config.model import Config
    from proxy.catalogs import Catalogs
    from proxy.config_file import Loaded
    from proxy.edge.shared_buckets import Table
    from proxy.http.heads import ResponseReader
    from proxy.listener import Listener
    from proxy.service import Service
    from proxy.tcp.listener import TcpListener
    from proxy.tls.instances import InstanceTls
    from proxy.workers.news import Layout

_log = logging.getLogger(__name__)

REPORT = 0.05  # seconds from one report of what is counted to the next
_SHARE = 50  # how much longer at least that is than making one takes
_OWN_EVENTS = frozenset(["unbalanced", "balanced"])  # that the control process does not see for itself


class WorkerJournal(Journal):
    """Tells the control process, which keeps the journal, of what only a worker can know of."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def keep(self, service: str, kind: str, endpoint: str, reason: str) -> Event:
        """Tell of an event; most of them the control process has seen already."""
        if kind in _OWN_EVENTS:
            self._link.send(Happened(service, kind, endpoint, reason))
        return Event(0, 0.0, service, kind, endpoint, reason)

    def record(self, service: str, kind: str, endpoint: str, reason: str) -> None:
        """Tell of an event; the control process logs it."""
        self.keep(service, kind, endpoint, reason)


class Worker(Serving):
    """One of several processes that accept clients; `link` leads to the control process."""

    def __init__(
        self, number: int, setup: Setup, sockets: Sequence[socket.socket], link: Link, buckets: Table | None = None
    ) -> None:
        self._link = link
        self.buckets = buckets
        self._count = setup.workers
        self._early: dict[str, Told] = dict(setup.services)  # of services that are not made yet
        self._made: dict[str, Service] = {}  # by a reload that is under way
        self._given = _by_place(setup.layout, sockets)
        self._staying: frozenset[int] = frozenset()  # inodes of sockets that somebody goes on accepting on
        self._reloads: asyncio.Queue[tuple[Reload, list[socket.socket]]] = asyncio.Queue()
        loaded = self._parted(setup.loaded)
        super().__init__(loaded.config, WorkerJournal(link))
        self.number = number
        self.reloader = Reloader(self, None, loaded)
        self._reporter = Reporter()
        self._take_told(setup)
        self._early.clear()

    # What is otherwise here than in a process that does everything.

    def make_service(
        self, name: str, wanted: keys.Settings, config: Config, reader: ResponseReader, tls: InstanceTls | None
    ) -> Service:
        """Make a service that others probe and follow."""
        service = unfed_service(name, wanted, config, reader, self.journal, tls, probes=False)
        service.pool.tells = _Tells(self._link, name)
        service.pool.judges = False  # who does far worse than others shows in what all workers found
        return service

    def make_feed(self, service: Service, wanted: keys.Service) -> Feed:
        """Nobody feeds it here."""
        return Feed()

    def make_catalogs(self, config: Config) -> Catalogs:
        """Make the routing table, and the catalogs that are told of."""
        whole = unfollowed_catalogs(config, self.services, self.listeners, self.splits, self.guards)
        for wanted in config.catalogs:
            tls = catalog_tls(wanted)
            make = maker_of(wanted, config, self.make_service, tls)
            whole.catalogs.append(RelayedCatalog(wanted.name, make, self._begin, whole.update, tls))
        return whole

    async def bind(
        self, place: int, listener: Listener | TcpListener, beside: Sequence[socket.socket] = ()
    ) -> Sequence[socket.socket]:
        """Return the sockets that came for a listener."""
        return self._given.pop(place)[0]

    def open(self, listener: Listener | TcpListener, sockets: Sequence[socket.socket], *, lent: bool) -> None:
        """Have clients accepted, on sockets that the control process keeps too."""
        listener.accept(sockets, lent=lent, copied=True)

    def follow(self, service: Service) -> None:
        """Tell a new service who is there."""
        self._made[service.name] = service
        told = self._early.pop(service.name, None)
        if told is not None:
            self._begin(service, told)

    def _parted(self, loaded: Loaded) -> Loaded:
        return replace(loaded, config=part_of(loaded.config, self._count))

    def let_go(self, listener: Listener | TcpListener) -> None:
        """Have a listener accept nobody any more, but for sockets that it shares with one which stays."""
        listener.leave(self._staying)
        super().let_go(listener)

    # At work.

    async def live(self) -> int:
        """Serve until told to end; return the exit status."""
        try:
            for place, listener in enumerate(self.listeners):
                sockets, lent = self._given.pop(place)
                self.open(listener, sockets, lent=lent)
            self.begin_sweeping()
            self.begin_following_files()
            self._tasks.start(self._report(), "the reports of what is counted")
            self._tasks.start(self._reload_in_turn(), "the reloads")
            self._link.send(Serves())
            gc.collect()
            gc.freeze()
            await self.ended()
            await self.drain_listeners()
        finally:
            self.abort_listeners()
            try:
                async with asyncio.timeout(CLOSING):
                    await self._tasks.stop()
                    await self.end_services()
            except TimeoutError:
                _log.warning("some parts did not end within %g s", CLOSING)
            await self.close_files()
            self._send_report(0)
            await self._link.flush(1.0)
        if self.died:
            _log.error("worker %d ends because %s", self.number, self.died)
        return 1 if self.died else 0

    def received(self, message: object, sockets: list[socket.socket]) -> None:
        """Do what the control process says."""
        match message:
            case Followed():
                self._followed(message)
            case Probed():
                now = time.monotonic()
                for name, identity, passed, detail in message.outcomes:
                    for service in self._named(name):
                        endpoint = service.pool.endpoint(identity)
                        if endpoint is not None:
                            service.pool.probed(endpoint, passed, detail, now)
                            self._wake(service)
            case Ejected(name, identity, cause, reason, until):
                for service in self._named(name):
                    service.pool.eject_as_told(identity, cause, reason, until, time.monotonic())
            case Drained(name, identity, reason):
                for service in self._named(name):
                    if not reason:
                        service.undrain(identity, "by an operator")
                    elif (endpoint := service.pool.endpoint(identity)) is not None:
                        service.drain(endpoint, reason)
            case Weighed(name, identity, weight):
                for service in self._named(name):
                    service.weigh(identity, weight)
            case Reweighed(name, weights):
                if name in self.splits:
                    self.splits[name].reweigh(weights)
            case Catalogued(name, found):
                for catalog in self.catalogs.catalogs:
                    if catalog.name == name and isinstance(catalog, RelayedCatalog):
                        catalog.found(found)
            case Lent(flags):
                for listener, lent in zip(self.listeners, flags, strict=False):
                    listener.lent = lent
            case Asks(number):
                self._send_report(number)
            case Drain(flags):
                for listener, lent in zip(self.listeners, flags, strict=False):
                    listener.lent = lent
                self._end.set()
            case EndNow():
                self._end.set()
                self._now.set()
            case Reload():
                self._early.update(message.services)
                self._reloads.put_nowait((message, sockets))
            case Setup():
                self._go_on(message, sockets)

    def _followed(self, message: Followed) -> None:
        name = message.service
        early = self._early.get(name)
        if early is not None:
            self._early[name] = replace(early, snapshot=applied(early.snapshot, message.delta))
        for service in self._named(name):
            try:
                service.follow(applied(service.told_last, message.delta))
            except KeyError:
                self._fault(f"what is told of service {name}", LookupError("it does not go with what is known of it"))

    def _named(self, name: str) -> list[Service]:
        found = [self._made.get(name), self.services.get(name)]
        found += [one.service(name) for one in self.catalogs.catalogs if isinstance(one, RelayedCatalog)]
        return list({id(service): service for service in found if service is not None}.values())

    def _wake(self, service: Service) -> None:
        if service.places is not None:
            service.places.wake()

    def _begin(self, service: Service, told: Told) -> None:
        """Have a service know what others know of it."""
        service.weights = dict(told.weights)
        if told.snapshot is not None:
            service.follow(told.snapshot)
        for identity, reason in told.drained.items():
            endpoint = service.pool.endpoint(identity)
            if endpoint is not None:
                service.drain(endpoint, reason)
        service.pool.begin_with(told.known)

    def _take_told(self, setup: Setup) -> None:
        for name, told in setup.services.items():
            if name in self.services:
                self._begin(self.services[name], told)
        for catalog in self.catalogs.catalogs:
            if isinstance(catalog, RelayedCatalog):
                catalog.found(setup.catalogs.get(catalog.name, ()))
        for name, weights in setup.splits.items():
            if name in self.splits:
                self.splits[name].reweigh(weights)

    def _go_on(self, setup: Setup, sockets: list[socket.socket]) -> None:
        """Go on under a control process that was started anew: what it does not know yet stays as it is here."""
        for sock in sockets:
            sock.close()
        self._reporter.forget()
        known = {name: told for name, told in setup.services.items() if told.snapshot is not None}
        for name, told in known.items():
            if name in self.services:
                self._begin(self.services[name], replace(told, known={}))
        self._link.send(Remembers({name: known_of(service) for name, service in self.services.items()}))
        self._link.send(Serves())

    # Reloads, one after the other.

    async def _reload_in_turn(self) -> None:
        while True:
            message, sockets = await self._reloads.get()
            error = ""
            self._given = _by_place(message.layout, sockets)
            self._staying = message.staying
            try:
                await self.reloader.take(self._parted(message.loaded))
            except RefusedError as refused:
                error = str(refused) or "it was refused"
            except Exception as fault:
                _log.exception("a reload met a fault in pointsman")
                error = f"{type(fault).__name__}: {fault}"
            for rest, _ in self._given.values():
                for sock in rest:
                    sock.close()
            self._given = {}
            self._made.clear()
            for name in message.services:
                self._early.pop(name, None)
            self._link.send(Reloaded(message.number, error))

    # Reports.

    async def _report(self) -> None:
        pause = REPORT
        while True:
            await asyncio.sleep(pause)
            if self._link.queued:
                continue  # nobody listens at present; what is counted meanwhile is told then
            began = time.perf_counter()
            self._send_report(0)
            pause = max(REPORT, (time.perf_counter() - began) * _SHARE)

    def _send_report(self, number: int) -> None:
        changed, gone = self._reporter.report(self)
        if changed or gone or number:
            self._link.send(Report(number, changed, gone))


class _Tells:
    """Tells the control process what a worker finds of the endpoints of a service."""

    def __init__(self, link: Link, service: str) -> None:
        self._link = link
        self._service = service

    def probed(self, endpoint: Endpoint, passed: bool, detail: str) -> None:
        """Tell nothing: it was told of here."""

    def ejected(self, endpoint: Endpoint, cause: str) -> None:
        health = endpoint.health
        self._link.send(Ejected(self._service, endpoint.instance.id, cause, health.reason, health.until))


async def work(number: int, sock: socket.socket, buckets: Table | None = None) -> int:
    """Be a worker at the end of a channel; return the exit status."""
    first: asyncio.Future[tuple[Setup, list[socket.socket]]] = asyncio.get_running_loop().create_future()
    early: list[tuple[object, list[socket.socket]]] = []
    worker: Worker | None = None

    def received(message: object, sockets: list[socket.socket]) -> None:
        if worker is not None:
            worker.received(message, sockets)
        elif isinstance(message, Setup) and not first.done():
            first.set_result((message, sockets))
        elif isinstance(message, Drain | EndNow) and not first.done():
            first.cancel()
        else:
            early.append((message, sockets))

    def gone(why: str) -> None:
        if worker is not None:
            _log.info("worker %d ends: the control process and the supervisor have gone", number)
            if not worker.ending:  # asked once more it would end at once
                worker.end()
        elif not first.done():
            first.cancel()

    link = Link(sock, received, gone)
    link.start()
    try:
        setup, sockets = await first
    except asyncio.CancelledError:
        return 0
    worker = Worker(number, setup, sockets, link, buckets)
    for message, beside in early:
        worker.received(message, beside)
    return await worker.live()


def _by_place(layout: Layout, sockets: Sequence[socket.socket]) -> dict[int, tuple[list[socket.socket], bool]]:
    left = list(sockets)
    given = {}
    for place, count, lent in layout:
        given[place] = (left[:count], lent)
        left = left[count:]
    return given
