"""A catalog as a worker has it: the control process follows the registry, and tells what it has made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from discovery.consul.wishes import Wish
    from discovery.keeper import Keeper
    from proxy.service import Service
    from proxy.tasks import Tasks
    from proxy.tls.instances import InstanceTls
    from proxy.workers.news import Found, Told


class RelayedCatalog:
    """Has the services and routes that were told last.

    `make` makes a service, `begin` tells it who is there; `changed` is called when services or routes are others than
    before.
    """

    followed = 0
    index = error = ""
    reconnects = 0
    last_answer: float | None = None
    left_out: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        make: Callable[[str, Keeper | None], Service],
        begin: Callable[[Service, Told], None],
        changed: Callable[[], None],
        tls: InstanceTls | None,
    ) -> None:
        self.name = name
        self.tls = tls
        self.updates: dict[str, int] = {}
        self._make = make
        self._begin = begin
        self._changed = changed
        self._services: dict[str, Service] = {}
        self._routes: tuple[tuple[Service, Wish], ...] = ()

    @property
    def services(self) -> Iterator[Service]:
        """Our services that the catalog makes at present."""
        yield from self._services.values()

    @property
    def routes(self) -> Iterator[tuple[Service, Wish]]:
        """The routes that lead to them, in no order."""
        yield from self._routes

    def service(self, name: str) -> Service | None:
        """Return a service of the catalog's; None when it has none of this name."""
        return self._services.get(name)

    def found(self, found: Sequence[Found]) -> None:
        """Have these services and routes from now on, and no others."""
        services: dict[str, Service] = {}
        for one in found:
            service = self._services.get(one.name)
            if service is None:
                service = self._make(one.name, None)
                if one.told is not None:
                    self._begin(service, one.told)
            services[one.name] = service
        self._services = services
        self._routes = tuple((services[one.name], wish) for one in found for wish in one.routes)
        self._changed()

    def renew(self, make: Callable[[str, Keeper | None], Service]) -> None:
        """Make services otherwise from now on, and have those that there are adopt what that changes."""
        self._make = make
        for name, service in self._services.items():
            service.adopt(make(name, None), ())

    def unready(self) -> str:
        """Say why its services are not known yet: they are told of when they are known."""
        return ""

    async def run(self, tasks: Tasks) -> None:
        """Follow nothing: that is done elsewhere."""
