"""All catalogs together: puts their routes into the table and their services among ours, and lets those that left end.

A change puts a whole new table in the place of the old one: a request is routed by one or by the other. What was routed
already goes on at the service that it has, even if that has left.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.table import arrange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.catalog import Catalog
    from proxy.service import Service
    from proxy.table import Entry
    from proxy.tasks import Tasks
    from proxy.workers.catalog import RelayedCatalog

PAUSE = 0.05  # seconds between two tables: a thousand services that come at once do not make a thousand of them


class Catalogs:
    """Owns the routing table.

    `own` are the entries of the file, `services` all services by name, to which those of the catalogs are added, and
    `install` puts a table into the listeners. `leaving` are services that have left while they had requests in flight.
    """

    def __init__(
        self, own: Sequence[Entry], services: dict[str, Service], install: Callable[[Sequence[Entry]], None]
    ) -> None:
        self.catalogs: list[Catalog | RelayedCatalog] = []
        self.told: Callable[[], None] = lambda: None  # is called when a change is in force
        self.leaving: list[Service] = []
        self.entries = tuple(own)
        self.left_out: tuple[str, ...] = ()
        self._own = tuple(own)
        self._services = services
        self._found: dict[str, Service] = {}
        self._install = install
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")

    def start(self, tasks: Tasks) -> None:
        """Follow the catalogs."""
        for catalog in self.catalogs:
            tasks.start(catalog.run(tasks), f"the watch of catalog {catalog.name}")

    @property
    def services(self) -> dict[str, Service]:
        """All services by name, those of the file and those of the catalogs."""
        return self._services

    def renew(self, own: Sequence[Entry], install: Callable[[Sequence[Entry]], None]) -> None:
        """Have other routes of the file, and other listeners, from now on."""
        self._own, self._install = tuple(own), install
        found = [(catalog.name, service, route) for catalog in self.catalogs for service, route in catalog.routes]
        self.entries, self.left_out = arrange(self._own, found)
        install(self.entries)

    def leave(self, service: Service) -> None:
        """Let a service end once its last request is done."""
        service.stop_probing()
        self.leaving.append(service)

    def changed(self) -> None:
        """Take note that a catalog has other routes or services than before; the table follows within PAUSE."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._last + PAUSE - loop.time()), self.update)

    def catalog_of(self, service: Service) -> str:
        """Return the name of the catalog that a service comes from; empty for one of the file."""
        return service.name.rpartition("@")[2] if service.name in self._found else ""

    def sweep(self, now: float, tasks: Tasks) -> None:
        """Do what is due of those who are leaving, and end those whose last request is done."""
        for service in self.leaving:
            service.sweep(now)
        for service in [service for service in self.leaving if not service.traffic.in_flight]:
            self.leaving.remove(service)
            tasks.start(service.end(), f"the end of service {service.name}")

    def stop(self) -> list[Service]:
        """Change nothing any more; return the services that are not among all services, for their owner to end."""
        if self._timer is not None:
            self.update()
            self._timer = None
        return self.leaving

    def update(self) -> None:
        """Put what the catalogs say now into the table, and their services among ours."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._last = asyncio.get_running_loop().time()
        found = [(catalog.name, service, route) for catalog in self.catalogs for service, route in catalog.routes]
        entries, self.left_out = arrange(self._own, found)
        before, self._found = self._found, {one.name: one for catalog in self.catalogs for one in catalog.services}
        self._services.update(self._found)
        if entries != self.entries:
            self.entries = entries
            self._install(entries)
        for name, service in before.items():
            if self._found.get(name) is service:
                continue
            if name not in self._found:
                del self._services[name]
            self.leave(service)
        self.told()
