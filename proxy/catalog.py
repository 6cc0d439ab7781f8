"""A catalog at work: follows the services that want routes, and makes ours of them.

The catalog's own listing tells which services have tags that speak of routes; each of them is watched like any other,
and what its instances ask for makes its routes. So the rules of a watch hold for routes too: they stay while the
registry is away, and what a registry forgot is held back. A service that is not listed any more is followed until its
own watch says that nobody asks for anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
import time
from typing import TYPE_CHECKING

from discovery.backoff import Backoff
from discovery.cancelled import end_if_cancelled
from discovery.consul.destinations import destinations
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discovery.consul.catalog import ConsulCatalog, Listing
    from discovery.consul.destinations import Destination
    from discovery.consul.wishes import Reading, Wish
    from discovery.instance import Instance, Snapshot
    from discovery.keeper import Keeper
    from proxy.service import Service
    from proxy.tasks import Tasks
    from proxy.tls.instances import InstanceTls

log = logging.getLogger(__name__)

REPEAT = 60.0  # seconds between two warnings of one failure that goes on
NAMED = 10  # things left out that are logged one by one when they appear


@dataclasses.dataclass(slots=True, eq=False)
class _Followed:
    """A service of the catalog: its watch, and what came of it."""

    name: str
    keeper: Keeper = dataclasses.field(init=False)
    task: asyncio.Task[None] = dataclasses.field(init=False)
    found: tuple[Destination, ...] = ()
    services: dict[str, Service] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def answers(self, instance: Instance) -> bool | None:
        """Tell whether an instance answers the probes of one of the services made of it; None if that is not known."""
        known = [answer for service in self.services.values() if (answer := service.answers(instance)) is not None]
        return any(known) if known else None


class Catalog:
    """Owns the watch of a catalog and those of its services.

    `keep` makes a keeper for a service of the catalog that tells of its snapshots, and may ask whether an instance
    answers our probes; `make` makes one of our services, which that keeper feeds; `read` reads an instance's tags.
    `changed` is called when routes or services are others than before. For the metrics and the admin API: `last_answer`
    is when the catalog last gave a good answer, by time.monotonic(), `error` what is wrong with its watch, `index` the
    catalog's own version of the listing.
    """

    def __init__(
        self,
        name: str,
        catalog: ConsulCatalog,
        *,
        keep: Callable[[str, Callable[[Snapshot], None], Callable[[Instance], bool | None]], Keeper],
        make: Callable[[str, Keeper | None], Service],
        read: Callable[[str, Instance], Reading],
        changed: Callable[[], None],
        journal: Callable[[str, str], None],
        tls: InstanceTls | None = None,
    ) -> None:
        self.name = name
        self.tls = tls  # to the instances of all its services
        self.last_answer: float | None = None
        self.index = ""
        self.error = ""
        self.reconnects = 0
        self.updates = {"changed": 0, "unchanged": 0, "failed": 0}
        self._catalog = catalog
        self._keep = keep
        self._make = make
        self._read = read
        self._changed = changed
        self._journal = journal
        self._listed: tuple[str, ...] = ()
        self._left_out: tuple[str, ...] = ()
        self._followed: dict[str, _Followed] = {}
        self._was_complete = False
        self._next_warning = float("-inf")
        self._tasks: Tasks | None = None

    def renew(self, make: Callable[[str, Keeper | None], Service]) -> None:
        """Make services otherwise from now on, and have those that there are adopt what that changes."""
        self._make = make
        for followed in self._followed.values():
            for name, service in followed.services.items():
                service.adopt(make(name, followed.keeper), ())

    @property
    def services(self) -> Iterator[Service]:
        """Our services that the catalog makes at present."""
        for followed in self._followed.values():
            yield from followed.services.values()

    @property
    def routes(self) -> Iterator[tuple[Service, Wish]]:
        """The routes that lead to them, in no order."""
        for followed in self._followed.values():
            for destination, service in zip(followed.found, followed.services.values(), strict=True):
                for route in destination.routes:
                    yield service, route

    @property
    def followed(self) -> int:
        """How many of the catalog's services are followed."""
        return len(self._followed)

    @property
    def left_out(self) -> Iterator[str]:
        """What is left out of services and routes, and why."""
        yield from self._left_out
        for name, followed in sorted(self._followed.items()):
            for text in followed.left_out:
                yield f"{name}: {text}"

    def unready(self) -> str:
        """Say why its services are not known yet; empty once all that were listed first have told of themselves.

        A service whose watch fails is no reason to keep the clients of all others waiting.
        """
        if self._was_complete:
            return ""
        error = f": {self.error}" if self.error else ""
        if self.last_answer is None:
            return f"no list of services yet{error}"
        for name, followed in self._followed.items():
            if not followed.keeper.has_snapshot and not followed.keeper.error:
                return f"no snapshot of {name} yet"
        self._was_complete = True
        return ""

    async def run(self, tasks: Tasks) -> None:
        """Follow the catalog until cancelled; the watches of its services are started among `tasks`."""
        self._tasks = tasks
        backoff = Backoff(random.Random())
        delay = 0.0
        while True:
            began = time.monotonic()
            try:
                async with contextlib.aclosing(self._catalog.watch()) as watch:
                    async for listing in watch:
                        self._answered(listing)
            except RegistryError as error:
                end_if_cancelled(error)
                self._failed(str(error))
            except Exception as error:
                end_if_cancelled(error)
                log.exception("catalog %s: its watch met a fault of its own", self.name)
                self._failed(f"{type(error).__name__}: {error}")
            if time.monotonic() - began > delay:
                backoff.reset()
            delay = backoff.next()
            await asyncio.sleep(delay)
            self.reconnects += 1

    def _answered(self, listing: Listing) -> None:
        self.last_answer = time.monotonic()
        self.index = listing.index
        if self.error:
            self.error = ""
            log.info("catalog %s: its watch works again", self.name)
            self._journal("watch_recovered", f"the watch of catalog {self.name} works again")
        self.updates["unchanged" if listing.names == self._listed else "changed"] += 1
        self._name(listing.left_out, self._left_out, "")
        self._left_out = listing.left_out
        self._listed = listing.names
        for name in listing.names:
            if name not in self._followed:
                self._follow(name)
        for name in self._followed.keys() - set(listing.names):
            self._leave_if_done(name)

    def _failed(self, text: str) -> None:
        self.updates["failed"] += 1
        now = time.monotonic()
        if not self.error or now >= self._next_warning:
            self._next_warning = now + REPEAT
            log.warning("catalog %s: its watch failed: %s", self.name, text)
            self._journal("watch_failed", text)
        self.error = text

    def _follow(self, name: str) -> None:
        assert self._tasks is not None
        followed = self._followed[name] = _Followed(name)
        followed.keeper = self._keep(name, lambda snapshot: self._published(followed, snapshot), followed.answers)
        followed.task = self._tasks.start(followed.keeper.run(), f"the watch of {name} in catalog {self.name}")

    def _published(self, followed: _Followed, snapshot: Snapshot) -> None:
        """Make of a service's snapshot what its instances ask for."""
        name = followed.name
        if self._followed.get(name) is not followed:
            return  # its watch ends, with an empty set that was held back
        found, left_out = destinations(snapshot.instances, lambda instance: self._read(name, instance))
        services: dict[str, Service] = {}
        for destination in found:
            ours = f"{name}~{destination.part}@{self.name}" if destination.part else f"{name}@{self.name}"
            service = followed.services.get(ours) or self._make(ours, followed.keeper)
            service.follow(dataclasses.replace(snapshot, service=ours, instances=destination.instances))
            services[ours] = service
        self._name(left_out, followed.left_out, f"{name}: ")
        before = [(ours, one.routes) for ours, one in zip(followed.services, followed.found, strict=True)]
        after = [(ours, one.routes) for ours, one in zip(services, found, strict=True)]
        followed.found, followed.services, followed.left_out = found, services, left_out
        if before != after:
            self._changed()
        if name not in self._listed:
            self._leave_if_done(name)

    def _leave_if_done(self, name: str) -> None:
        """Follow a service that is not listed no longer, once its instances ask for nothing."""
        followed = self._followed[name]
        if not followed.found and (followed.keeper.has_snapshot or followed.keeper.error):
            followed.task.cancel()
            del self._followed[name]

    def _name(self, left_out: tuple[str, ...], known: tuple[str, ...], prefix: str) -> None:
        """Tell of what is newly left out."""
        news = sorted(set(left_out) - set(known))
        if len(news) > NAMED:
            news[NAMED:] = [f"{len(news) - NAMED} more"]
        for text in news:
            log.warning("catalog %s: left out: %s%s", self.name, prefix, text)
            self._journal("left_out", f"{prefix}{text}")
