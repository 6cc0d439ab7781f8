"""From the keys of the catalogs to catalogs, whose services and routes come and go."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from discovery.keeper import Keeper
from proxy import registries
from proxy.assemble.listeners import names_of
from proxy.assemble.routes import own_routes, router_of
from proxy.assemble.services import instance_tls, max_shrink_of
from proxy.catalog import Catalog
from proxy.catalogs import Catalogs
from proxy.http.heads import ResponseReader
from proxy.settings import head_limits_of
from proxy.sources import Source
from proxy.tcp.listener import TcpListener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from config import model as keys
    from config import service as service_keys
    from discovery.instance import Instance, Snapshot
    from proxy.assemble.guards import Guards
    from proxy.journal import Journal
    from proxy.listener import Listener
    from proxy.service import Service
    from proxy.splits import Split
    from proxy.table import Entry
    from proxy.tls.instances import InstanceTls


class MakesService(Protocol):
    """Makes a service that nobody feeds yet."""

    def __call__(
        self, name: str, wanted: service_keys.Settings, config: keys.Config, reader: ResponseReader,
        tls: InstanceTls | None, /,
    ) -> Service: ...  # fmt: skip


def make_catalogs(
    config: keys.Config,
    services: dict[str, Service],
    listeners: Sequence[Listener | TcpListener],
    journal: Journal,
    splits: Mapping[str, Split],
    guards: Guards,
    make_service: MakesService,
) -> Catalogs:
    """Make the catalogs, whose services will be added to `services` and whose routes to the listeners."""
    whole = unfollowed_catalogs(config, services, listeners, splits, guards)
    whole.catalogs += [_catalog(wanted, config, whole.changed, journal, make_service) for wanted in config.catalogs]
    return whole


def unfollowed_catalogs(
    config: keys.Config,
    services: dict[str, Service],
    listeners: Sequence[Listener | TcpListener],
    splits: Mapping[str, Split],
    guards: Guards,
) -> Catalogs:
    """Make the routing table, to which nobody adds anything yet."""
    install = _installer(config, services, listeners, guards)
    return Catalogs(own_routes(config, services, splits, guards), services, install)


def renew_catalogs(
    whole: Catalogs,
    config: keys.Config,
    listeners: Sequence[Listener | TcpListener],
    splits: Mapping[str, Split],
    guards: Guards,
    make_service: MakesService,
) -> None:
    """Have the catalogs, whose own keys are as they were, go by what else the configuration says from now on.

    What the listeners route by is made anew.
    """
    for catalog, wanted in zip(whole.catalogs, config.catalogs, strict=True):
        catalog.renew(maker_of(wanted, config, make_service, catalog.tls))
    install = _installer(config, whole.services, listeners, guards)
    whole.renew(own_routes(config, whole.services, splits, guards), install)


def _installer(
    config: keys.Config, services: Mapping[str, Service], listeners: Sequence[Listener | TcpListener], guards: Guards
) -> Callable[[Sequence[Entry]], None]:
    def install(entries: Sequence[Entry]) -> None:
        for listener, wanted in zip(listeners, config.listeners, strict=True):
            if isinstance(listener, TcpListener):
                listener.names = names_of(config, wanted, services)
            else:
                listener.router = router_of(config, wanted, entries, guards)

    return install


def catalog_tls(wanted: keys.Catalog) -> InstanceTls:
    """Make ready for TLS to the instances of a catalog's services. Raises CertificateError."""
    return instance_tls(wanted.settings, f"catalogs.{wanted.name}.settings.tls")


def maker_of(
    wanted: keys.Catalog, config: keys.Config, make_service: MakesService, tls: InstanceTls | None
) -> Callable[[str, Keeper | None], Service]:
    """Return what makes the services of a catalog, which have a keeper where they are found by this process."""
    reader = ResponseReader(head_limits_of(config.limits))

    def make(ours: str, keeper: Keeper | None) -> Service:
        service = make_service(ours, wanted.settings, config, reader, tls)
        service.sources = (Source("consul", "consul", keeper),) if keeper is not None else ()
        return service

    return make


def _catalog(
    wanted: keys.Catalog, config: keys.Config, changed: Callable[[], None], journal: Journal, make_service: MakesService
) -> Catalog:
    from discovery.consul.tags import read_tags  # and with it Consul's client, for those who have a catalog

    listing, registry = registries.make_catalog(wanted)
    tls = catalog_tls(wanted)

    def told(name: str, event: str, text: str) -> None:
        journal.keep(name, event, "", text)

    def keep(name: str, publish: Callable[[Snapshot], None], answers: Callable[[Instance], bool | None]) -> Keeper:
        ours = f"{name}@{wanted.name}"
        return Keeper(
            ours, registry, name, publish, hold=wanted.settings.guard.hold,
            max_shrink=max_shrink_of(wanted.settings.guard, "consul"),
            answers=answers if wanted.settings.health.probe else None,
            journal=partial(told, ours), clock=time.monotonic,
        )  # fmt: skip

    return Catalog(
        wanted.name,
        listing,
        keep=keep,
        make=maker_of(wanted, config, make_service, tls),
        read=lambda name, instance: read_tags(name, instance.tags, wanted.tags, wanted.entrypoints),
        changed=changed,
        journal=partial(told, f"@{wanted.name}"),
        tls=tls,
    )
