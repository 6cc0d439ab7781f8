"""The control process's side: what it tells the workers, and what it does with what they say.

It has all that they have, but clients: what its services learn from registries, probes and operators goes on to every
worker as it comes (`Relay`), and what the workers count comes back as totals (tally.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from proxy.catalog import Catalog
from proxy.systemd import Notifier
from proxy.workers.channel import ENDED, Link, pickled
from proxy.workers.deltas import difference
from proxy.workers.heard import Heard
from proxy.workers.heritage import known_of
from proxy.workers.messages import Asked, Begin, Ended, Ending, Keep, Kill, Notify, Spot, Started
from proxy.workers.metrics import Worker as Running
from proxy.workers.metrics import Workers as Sight
from proxy.workers.news import (
    Asks,
    Catalogued,
    Drain,
    Drained,
    Ejected,
    EndNow,
    Followed,
    Found,
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
from proxy.workers.sharing import share_of, spread
from proxy.workers.tally import Totals

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping, Sequence

    from balancers.endpoint import Endpoint
    from discovery.instance import Snapshot
    from proxy.application import Application
    from proxy.config_file import Loaded
    from proxy.reload import Plan
    from proxy.service import Service
    from proxy.workers.heritage import Heritage
    from proxy.workers.metrics import State
    from proxy.workers.news import Layout

_log = logging.getLogger(__name__)

START = 30.0  # seconds that a worker may take until it accepts clients
RELOAD = 30.0  # seconds that it may take to change its configuration
REFRESH = 0.5  # seconds that an answer of the admin API waits for what workers count
_GRACE = 2.0  # seconds that a worker may take to end beyond `drain_timeout`


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker, as the control process knows it."""

    number: int
    pid: int
    link: Link
    serves: bool = False
    answered: int = 0  # the number of the last `Asks` that it has answered
    reported: float = 0.0  # when it last told what it counts
    reloads: dict[int, str] = field(default_factory=dict)  # what became of each, until somebody has looked


class RelayedNotifier(Notifier):
    """Tells systemd by way of the supervisor, which is the process that it knows."""

    def __init__(self, tell: Link) -> None:
        super().__init__(pid=os.getppid())
        self._tell = tell

    def send(self, *lines: str) -> None:
        """Send one message of these assignments."""
        if self.is_on:
            self._tell.send(Notify("\n".join(lines)))


class Workers:
    """The workers of an application, `count` of them, which `supervisor` starts at the other end of a channel.

    `heritage` is what a control process left that has died.
    """

    def __init__(self, count: int, supervisor: socket.socket, heritage: Heritage | None = None) -> None:
        self.count = count
        self.living: dict[int, _Worker] = {}
        self.restarts: dict[str, int] = {}  # of workers, by what they ended of
        self.heritage = heritage
        self.totals = Totals()
        self.link = Link(supervisor, self._from_supervisor, self._left_alone)
        self._application: Application | None = None
        self._sent: dict[str, Snapshot] = {}
        self._catalogued: dict[str, tuple[tuple[str, tuple[object, ...]], ...]] = {}
        self._outcomes: list[tuple[str, str, bool, str]] = []  # of probes, that are told together
        self._heard = Heard()  # whatever workers say, or that one has come or gone
        self._number = 0  # of the last question
        self._begun = False  # the addresses are bound
        self._came_up = heritage is not None  # all of them have, once
        self._draining = False

    def notifier(self) -> Notifier:
        """Return who tells systemd."""
        return RelayedNotifier(self.link)

    def begin_with(self, application: Application) -> None:
        """Listen to the supervisor."""
        self._application = application
        self.link.start()
        if self.heritage is not None:
            text = f"the control process before this one {self.heritage.why}"
            application.journal.keep("", "control_ended", "", text)
            self.heritage.set_by_hand(application)

    # The parts of the application that tell of themselves.

    def attach(self, service: Service) -> None:
        """Have a service tell the workers what becomes of it."""
        service.relay = self
        service.pool.tells = _Tells(self, service.name)

    def attach_all(self) -> None:
        """Have the splits and catalogs do so too; those that are new."""
        application = self._app
        for split in application.splits.values():
            split.tell = partial(self._reweighed, split.name)
        application.catalogs.told = self._tell_catalogs

    def followed(self, service: Service, snapshot: Snapshot) -> None:
        """Tell what the registry says."""
        if self.heritage is not None:
            asyncio.get_running_loop().call_soon(self._recall, service)  # once it is in force here
        before = self._sent.get(service.name)
        self._sent[service.name] = snapshot
        if not self.living:
            return
        delta = difference(before, snapshot)
        if before is not None and not delta.changed and not delta.gone and delta.order is None:
            return
        self._tell(Followed(service.name, delta))

    def drained(self, service: Service, identity: str, reason: str) -> None:
        """Tell that an operator has drained an endpoint, or with no reason that it may have requests again."""
        self._tell(Drained(service.name, identity, reason))
        self._keep_soon()

    def weighed(self, service: Service, identity: str, weight: int | None) -> None:
        """Tell of a weight that an operator has set."""
        self._tell(Weighed(service.name, identity, weight))
        self._keep_soon()

    def probed(self, service: str, endpoint: Endpoint, passed: bool, detail: str) -> None:
        """Tell of a probe, unless it says nothing new; those that end in one turn of the loop go together."""
        if (passed and endpoint.health.is_settled) or not self.living:
            return
        if not self._outcomes:
            asyncio.get_running_loop().call_soon(self._tell_outcomes)
        self._outcomes.append((service, endpoint.instance.id, passed, detail))

    def ejected(self, service: str, endpoint: Endpoint, cause: str) -> None:
        """Tell that an endpoint was taken out for what all workers found of it together."""
        health = endpoint.health
        self._tell(Ejected(service, endpoint.instance.id, cause, health.reason, health.until))

    def _reweighed(self, split: str, weights: Mapping[str, int]) -> None:
        self._tell(Reweighed(split, dict(weights)))
        self._keep_soon()

    def _tell_outcomes(self) -> None:
        outcomes, self._outcomes = tuple(self._outcomes), []
        self._tell(Probed(outcomes))

    def _tell_catalogs(self) -> None:
        for catalog in self._app.catalogs.catalogs:
            assert isinstance(catalog, Catalog)
            if self.heritage is not None and catalog.unready():
                continue  # the workers know more of it than we do yet
            found = self._found(catalog)
            known = self._catalogued.get(catalog.name, ())
            now = tuple((one.name, one.routes) for one in found)
            if now == known:
                continue
            self._catalogued[catalog.name] = now
            names = {name for name, _ in known}
            self._tell(
                Catalogued(
                    catalog.name,
                    tuple(one if one.name not in names else Found(one.name, one.routes, None) for one in found),
                )
            )

    def _found(self, catalog: Catalog) -> tuple[Found, ...]:
        routes: dict[str, list[object]] = {}
        for service, wish in catalog.routes:
            routes.setdefault(service.name, []).append(wish)
        return tuple(
            Found(service.name, tuple(routes.get(service.name, ())), self._told(service))  # type: ignore[arg-type]
            for service in catalog.services
        )

    # Sockets.

    def spread(self, sockets: Sequence[socket.socket]) -> list[socket.socket]:
        """Return the sockets at the addresses of these for all workers."""
        return spread(sockets, self.count, [sock for one in self._app.listeners for sock in one.sockets])

    def _layout(self, places: Iterable[int], number: int) -> tuple[Layout, list[socket.socket]]:
        layout: list[tuple[int, int, bool]] = []
        sockets: list[socket.socket] = []
        for place in places:
            listener = self._app.listeners[place]
            own = share_of(list(listener.sockets), number, self.count)
            layout.append((place, len(own), listener.lent))
            sockets += own
        return tuple(layout), sockets

    def keep(self) -> None:
        """Give the supervisor what the next control process goes on with, should this one die."""
        application = self._app
        places = application.places()
        spots = tuple(Spot(place.role, place.bind, place.lent, len(place.sockets)) for place in places)
        by_hand = {
            name: (dict(service.weights), dict(service.pool.drains.reasons))
            for name, service in application.services.items()
            if service.weights or service.pool.drains.reasons
        }
        splits = {
            name: dict(split.weights)
            for name, split in application.splits.items()
            if split.weights != application.config.splits[name].services
        }
        state = (application.reloader.loaded, by_hand, splits)
        self.link.send(Keep(spots, state), [sock for place in places for sock in place.sockets])

    def _keep_soon(self) -> None:
        if self._came_up and not self._draining:
            self.keep()

    # The beginning, changes, the end.

    async def start(self) -> None:
        """Have the workers started, and wait until they accept clients, at most for a while."""
        self.attach_all()
        self.keep()
        self._begun = True
        for worker in self.living.values():  # who were there before us
            self.set_up(worker)
        self.link.send(Begin())
        await self._heard.until(lambda: self.all_serve or self._app.ending, START, self._app.ended())
        self._came_up = True
        self.keep()

    @property
    def all_serve(self) -> bool:
        """Whether there are as many as there should be, and all of them accept clients."""
        return len(self.living) == self.count and all(worker.serves for worker in self.living.values())

    @property
    def sight(self) -> Sight:
        """How they are, for the metrics."""
        state: State = "draining" if self._draining else "serving"
        running = tuple(
            Running(worker.number, state if worker.serves else "starting", worker.reported or None)
            for worker in self.living.values()
        )
        return Sight(running, self.restarts, self.totals.requests)

    def unready(self) -> list[str]:
        """Say why clients cannot be served; nothing when they are."""
        serving = sum(worker.serves for worker in self.living.values())
        if serving == self.count or (serving and self._came_up):
            return []
        return [f"{serving} of {self.count} workers accept clients"]

    async def reloaded(self, loaded: Loaded, plan: Plan) -> None:
        """Have the workers take over another configuration, and end those that cannot."""
        self.attach_all()
        self._number += 1
        number = self._number
        told = {name: self._told(self._app.services[name]) for name in plan.made}
        for name in plan.ended:
            self._sent.pop(name, None)
        staying = frozenset(inode for one in self._app.listeners for inode in one.inodes)
        asked = list(self.living.values())
        for worker in asked:
            layout, sockets = self._layout(plan.bound, worker.number)
            worker.link.send(Reload(number, loaded, layout, staying, told), sockets)
        self.keep()
        await self._heard.until(
            lambda: all(number in one.reloads or self.living.get(one.number) is not one for one in asked), RELOAD
        )
        for worker in asked:
            if self.living.get(worker.number) is not worker:
                continue
            error = worker.reloads.pop(number, "it has not changed its configuration in time")
            if error:
                self.link.send(Kill(worker.number, worker.pid, error))

    def lend(self) -> None:
        """Tell the workers on which sockets somebody else listens too."""
        self._tell(Lent(tuple(listener.lent for listener in self._app.listeners)))

    async def refresh(self) -> None:
        """Have what the workers count counted here, as of now."""
        self._number += 1
        number = self._number
        self._tell(Asks(number))
        await self._heard.until(
            lambda: all(worker.answered >= number or not worker.serves for worker in self.living.values()), REFRESH
        )
        self.totals.write(self._app)

    async def drain(self, now: asyncio.Event) -> None:
        """Have the workers accept nobody any more, and wait until they have ended."""
        if self._draining:
            return
        self._draining = True
        self.link.send(Ending())
        lent = tuple(listener.lent for listener in self._app.listeners)
        for listener in self._app.listeners:
            listener.drain()
        self._tell(Drain(lent))
        patience = self._app.config.drain_timeout + _GRACE
        await self._heard.until(lambda: not self.living or now.is_set(), patience, now.wait())
        if self.living and now.is_set():
            self._tell(EndNow())
            await self._heard.until(lambda: not self.living, _GRACE)
        self.totals.write(self._app)

    def close(self) -> None:
        """Hang up."""
        for worker in self.living.values():
            worker.link.close()
        self.living.clear()

    # What the others say.

    @property
    def _app(self) -> Application:
        assert self._application is not None
        return self._application

    def _tell(self, message: object) -> None:
        if self.living:
            data = pickled(message)
            for worker in list(self.living.values()):
                worker.link.send_pickled(data)

    def _left_alone(self, why: str) -> None:
        _log.error("the supervisor has gone: %s", why)
        if not self._app.ending:  # asked once more it would end at once
            self._app.end()

    def _from_supervisor(self, message: object, sockets: list[socket.socket]) -> None:
        if isinstance(message, Started):
            self._started(message, sockets[0])
        elif isinstance(message, Ended):
            self._ended(message)
        elif isinstance(message, Asked) and message.signal == "SIGHUP":
            self._app.reloader.ask("SIGHUP")
        elif isinstance(message, Asked):
            self._app.end()

    def _started(self, message: Started, sock: socket.socket) -> None:
        number = message.number
        before = self.living.pop(number, None)
        if before is not None:
            before.link.close()
        link = Link(sock, partial(self._from_worker, number), partial(self._gone, number))
        worker = self.living[number] = _Worker(number, message.pid, link)
        link.start()
        if not self._draining and self._begun:
            self.set_up(worker)

    def set_up(self, worker: _Worker) -> None:
        """Give a worker all that it needs."""
        application = self._app
        layout, sockets = self._layout(range(len(application.listeners)), worker.number)
        services = {name: self._told(service) for name, service in application.services.items()}
        catalogs: dict[str, tuple[Found, ...]] = {}
        for catalog in application.catalogs.catalogs:
            assert isinstance(catalog, Catalog)
            catalogs[catalog.name] = self._found(catalog)
        loaded = application.in_force
        splits = {name: dict(split.weights) for name, split in application.splits.items()}
        worker.link.send(Setup(loaded, self.count, layout, services, splits, catalogs), sockets)

    def _told(self, service: Service) -> Told:
        pool = service.pool
        return Told(
            service.told_last,
            dict(service.weights),
            dict(pool.drains.reasons),
            known_of(service),
        )

    def _ended(self, message: Ended) -> None:
        worker = self.living.pop(message.number, None)
        if worker is not None:
            worker.link.close()
            self.totals.ended(message.number)
        if message.pause is not None:
            reason = "signal" if "was ended by" in message.why else "status"
            self.restarts[reason] = self.restarts.get(reason, 0) + 1
            text = f"worker {message.number} (process {message.pid}) {message.why}"
            self._app.journal.keep("", "worker_ended", "", text)
        self._heard.now()

    def _gone(self, number: int, why: str) -> None:
        worker = self.living.pop(number, None)
        self.totals.ended(number)
        if worker is not None and why != ENDED:  # it would serve on, and nobody could tell it anything
            self.link.send(Kill(number, worker.pid, f"the channel to it is of no use: {why}"))
        self._heard.now()

    def _from_worker(self, number: int, message: object, sockets: list[socket.socket]) -> None:
        worker = self.living[number]
        if isinstance(message, Report):
            worker.reported = time.monotonic()
            worker.answered = max(worker.answered, message.number)
            self.totals.reported(number, message.changed, message.gone)
        elif isinstance(message, Serves):
            worker.serves = True
        elif isinstance(message, Ejected):
            self._found_bad(worker, message)
        elif isinstance(message, Remembers) and self.heritage is not None:
            self.heritage.remember(message.services)
            for service in self._app.services.values():
                self._recall(service)
        elif isinstance(message, Reloaded):
            worker.reloads[message.number] = message.error
        elif isinstance(message, Happened):
            self._app.journal.record(message.service, message.kind, message.endpoint, message.reason)
        self._heard.now()

    def _recall(self, service: Service) -> None:
        """Go on with what workers remember of a service's endpoints, and tell those who do not."""
        if self.heritage is not None:
            for endpoint in self.heritage.recall(service):
                if endpoint.health.cause != "probe":
                    self.ejected(service.name, endpoint, endpoint.health.cause)

    def _found_bad(self, worker: _Worker, message: Ejected) -> None:
        """Take an endpoint out that a worker has taken out, and tell the others."""
        service = self._app.services.get(message.service)
        if service is not None:
            service.pool.eject_as_told(message.identity, message.cause, message.reason, message.until, time.monotonic())
        data = pickled(message)
        for other in self.living.values():
            if other is not worker:
                other.link.send_pickled(data)


class _Tells:
    """What a pool is told by, of a service by its name."""

    def __init__(self, workers: Workers, service: str) -> None:
        self._workers = workers
        self._service = service

    def probed(self, endpoint: Endpoint, passed: bool, detail: str) -> None:
        self._workers.probed(self._service, endpoint, passed, detail)

    def ejected(self, endpoint: Endpoint, cause: str) -> None:
        self._workers.ejected(self._service, endpoint, cause)
