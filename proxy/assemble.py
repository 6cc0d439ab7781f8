"""From what the user asked for to parts that do it: the one place that knows both."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from balancers.policies import PolicyOptionError, UnknownPolicyError, find
from config import levels, references
from config.errors import Problem
from discovery import own
from discovery.consul.tags import read_tags
from discovery.joined import Joined, Part
from discovery.keeper import Keeper
from discovery.state import StateFolder
from discovery.stored import Owner
from proxy import registries
from proxy.access_log.access_log import open_access_log
from proxy.access_log.formats import FormatError, check_format
from proxy.catalog import Catalog
from proxy.catalogs import Catalogs
from proxy.http.connections import UpstreamOptions
from proxy.http.forwarding import Forwarding
from proxy.http.heads import HeadLimits, ResponseReader
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryBudget
from proxy.http.terms import NEVER, Terms
from proxy.listener import Listener, ListenerOptions
from proxy.prober import Prober
from proxy.routes import Route, Router
from proxy.service import Service, Source
from proxy.settings import override_of, pool_of, probe_of, retry_policy_of, timeouts_of
from proxy.table import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from config import model, traffic
    from discovery.instance import Instance, Snapshot
    from proxy.access_log.access_log import AccessLog
    from proxy.journal import Journal


class AccessLogError(Exception):
    """The access log cannot be written; the text says where, and why."""


_UNWEIGHTED = ("random", "round_robin")
_ON_DISK = ("static", "file")  # what the user wrote down on this machine need not be written down again
_LONGEST_WAIT_FOR_A_FILE = 1.0  # seconds until a file that made no sense is read again: its author is mending it


def check_balancers(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the balancers named, which only those who can load them know."""
    for path, balancer in references.balancers(data):
        try:
            find(balancer.type, balancer.options)
        except (UnknownPolicyError, PolicyOptionError) as error:
            yield Problem(path, str(error))


def check_registries(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the registries that other packages bring along."""
    for path, name, options in references.own_registries(data):
        try:
            own.make(name, options)
        except own.OwnRegistryError as error:
            yield Problem(path, str(error))


def check_access_log(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the template of the access log's lines."""
    for path, template in references.access_log_templates(data):
        try:
            check_format(template)
        except FormatError as error:
            yield Problem(path, str(error))


def check_shares(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find weights that the balancer beside them would not heed."""
    for path, balancer, what in references.balancers_of_weights(data):
        if balancer.type in _UNWEIGHTED:
            message = f"{balancer.type} does not heed {what}"
            yield Problem(path, message, "take weighted_round_robin or weighted_random, or leave that out")


CHECKS = (check_balancers, check_registries, check_access_log, check_shares)


def state(config: model.Config) -> StateFolder | None:
    """Make the folder of last good sets, if there is to be one."""
    return StateFolder(config.state_dir, max_age=config.state_max_age) if config.state_dir else None


def services(config: model.Config, journal: Journal, state: StateFolder | None) -> dict[str, Service]:
    """Make the services, each with the keepers that will feed it."""
    reader = ResponseReader(_head_limits(config.limits))
    services = {}
    for name, wanted in config.services.items():
        service = services[name] = _service(name, wanted, config, reader, journal)
        service.sources = tuple(_sources(service, wanted, journal, state))
    return services


def listeners(config: model.Config, services: dict[str, Service], log: AccessLog | None) -> list[Listener]:
    """Make the listeners, not bound yet."""
    return [_listener(config, wanted, services, log) for wanted in config.listeners]


def access_log(config: model.Config) -> AccessLog | None:
    """Open the access log, if there is to be one. Raises AccessLogError."""
    wanted = config.access_log
    if wanted is None:
        return None
    try:
        return open_access_log(
            str(wanted.path),
            wanted.format,
            sample=wanted.sample,
            redact=wanted.redact,
            buffer=wanted.buffer,
            random=random.random,
        )
    except OSError as error:
        raise AccessLogError(f"access_log.path: {error.strerror}") from error


def _listener(
    config: model.Config, wanted: model.Listener, services: dict[str, Service], log: AccessLog | None
) -> Listener:
    limits = levels.limits(config, wanted)
    forwarded = levels.forwarded(config, wanted)
    options = ListenerOptions(
        limits=_head_limits(limits),
        timeouts=timeouts_of(levels.timeouts(config, wanted), config.retries),
        forwarding=Forwarding(
            levels.trusted_proxies(config, wanted),
            x_forwarded=forwarded in ("x_forwarded", "both"),
            rfc7239=forwarded in ("rfc7239", "both"),
        ),
        request_id=config.request_id,
        allow_connect=wanted.allow_connect,
        allow_trace=wanted.allow_trace,
        connections=limits.connections,
        connections_per_client=limits.connections_per_client,
        requests_per_connection=limits.requests_per_connection,
    )
    return Listener(wanted.bind, _router(config, wanted, _own(config, services)), options, log)


def _own(config: model.Config, services: Mapping[str, Service]) -> tuple[Entry, ...]:
    """Return the routes of the file."""
    return tuple(Entry(services[route.service], route.host or "", route.path or "") for route in config.routes)


def _router(config: model.Config, listener: model.Listener, entries: Sequence[Entry]) -> Router[Terms]:
    settings = {catalog.name: catalog.settings for catalog in config.catalogs}
    terms: dict[tuple[str, str], Terms] = {}

    def goal(entry: Entry) -> Terms:
        service = entry.service
        found = terms.get((service.name, entry.strip))
        if found is None:
            wanted = settings[entry.catalog] if entry.catalog else config.services[service.name]
            found = terms[service.name, entry.strip] = Terms(
                service,
                timeouts_of(levels.timeouts(config, listener, wanted), levels.retries(config, wanted)),
                levels.limits(config, listener, wanted).body or NEVER,
                entry.strip.encode(),
            )
        return found

    return Router([Route(goal(entry), entry.host.encode(), entry.path.encode(), entry.compare) for entry in entries])


def catalogs(
    config: model.Config, services: dict[str, Service], listeners: Sequence[Listener], journal: Journal
) -> Catalogs:
    """Make the catalogs, whose services will be added to `services` and whose routes to the listeners."""

    def install(entries: Sequence[Entry]) -> None:
        for listener, wanted in zip(listeners, config.listeners, strict=True):
            listener.router = _router(config, wanted, entries)

    whole = Catalogs(_own(config, services), services, install)
    whole.catalogs += [_catalog(wanted, config, whole.changed, journal) for wanted in config.catalogs]
    return whole


def _catalog(wanted: model.Catalog, config: model.Config, changed: Callable[[], None], journal: Journal) -> Catalog:
    listing, registry = registries.make_catalog(wanted)
    reader = ResponseReader(_head_limits(config.limits))

    def told(name: str, event: str, text: str) -> None:
        journal.keep(name, event, "", text)

    def keep(name: str, publish: Callable[[Snapshot], None], answers: Callable[[Instance], bool | None]) -> Keeper:
        ours = f"{name}@{wanted.name}"
        return Keeper(
            ours, registry, name, publish, hold=wanted.settings.guard.hold,
            max_shrink=_max_shrink(wanted.settings.guard, "consul"),
            answers=answers if wanted.settings.health.probe else None,
            journal=partial(told, ours), clock=time.monotonic,
        )  # fmt: skip

    def make(ours: str, keeper: Keeper) -> Service:
        service = _service(ours, wanted.settings, config, reader, journal)
        service.sources = (Source("consul", "consul", keeper),)
        return service

    return Catalog(
        wanted.name,
        listing,
        keep=keep,
        make=make,
        read=lambda name, instance: read_tags(name, instance.tags, wanted.tags, wanted.entrypoints),
        changed=changed,
        journal=partial(told, f"@{wanted.name}"),
    )


def _service(
    name: str, wanted: model.Settings, config: model.Config, reader: ResponseReader, journal: Journal
) -> Service:
    """Make a service that nobody feeds yet."""
    probe, source = wanted.health.probe, random.Random()
    pool = pool_of(
        wanted, source, time.monotonic, lambda kind, endpoint, reason: journal.record(name, kind, endpoint, reason)
    )
    timeouts, limits = levels.timeouts(config, service=wanted), levels.limits(config, service=wanted)
    retries = levels.retries(config, wanted)
    service = Service(
        name,
        wanted.balancer.type,
        pool,
        UpstreamOptions(
            reader=reader,
            limits=_head_limits(config.limits),
            connect_timeout=timeouts.connect,
            keepalive=timeouts.upstream_keepalive or NEVER,
        ),
        Prober(probe_of(probe), source) if probe else None,
        retries=retry_policy_of(retries),
        budget=RetryBudget(retries.budget, retries.budget_floor),
        limits=PlaceLimits(limits.in_flight, limits.in_flight_per_endpoint, limits.queue, limits.queue_per_endpoint),
        overrides=tuple(override_of(override) for override in wanted.overrides),
    )
    service.panic_header = wanted.health.panic_header
    service.adds = service.panic_header or pool.sticky is not None
    service.ready_from_state = config.ready_from_state
    return service


def _sources(service: Service, wanted: model.Service, journal: Journal, state: StateFolder | None) -> Iterator[Source]:
    """Make the keepers of a service, which will feed it."""
    parts = [Part(source.weight, source.priority) for source in wanted.sources]
    joined = service.joined = Joined(service.name, parts) if len(parts) > 1 else None
    kinds: Counter[str] = Counter()

    def publish(place: int, snapshot: Snapshot) -> None:
        service.follow(joined.updated(place, snapshot) if joined else snapshot)

    def told(source: str, event: str, text: str) -> None:
        journal.keep(service.name, event, "", f"{source}: {text}" if joined else text)

    for place, source in enumerate(wanted.sources):
        kind = source.kind
        kinds[kind] += 1
        name = kind if kinds[kind] == 1 else f"{kind}-{kinds[kind]}"
        registry, watched = registries.make(service.name, source)
        keeper = Keeper(
            service.name,
            registry,
            watched,
            partial(publish, place),
            hold=wanted.guard.hold,
            max_shrink=_max_shrink(wanted.guard, kind),
            answers=service.answers if service.prober is not None else None,
            store=state.file(Owner(service.name, kind, source.place)) if state and kind not in _ON_DISK else None,
            journal=partial(told, name),
            clock=time.monotonic,
            longest_wait=_LONGEST_WAIT_FOR_A_FILE if kind == "file" else 10.0,
        )
        yield Source(kind, name, keeper)


def _max_shrink(guard: model.Guard, kind: str) -> float:
    """Return the share of instances that may be gone at once from a source."""
    if kind in _ON_DISK and "max_shrink" not in guard.model_fields_set:
        return 1.0  # whoever cuts a list short in an editor means it, though a look fell between two of its writes
    return guard.max_shrink


def _head_limits(limits: traffic.Limits) -> HeadLimits:
    return HeadLimits(limits.request_line, limits.headers, limits.header_count)
