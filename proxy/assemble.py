"""From what the user asked for to parts that do it: the one place that knows both."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from balancers.choice import plainly
from balancers.health import Thresholds
from balancers.outliers import Detection
from balancers.overrides import Override
from balancers.policies import PolicyOptionError, UnknownPolicyError, find
from balancers.pool import Pool
from balancers.slow_start import SlowStart
from balancers.sticky import Cookie, Sticky
from balancers.subsets import Subsets
from balancers.zones import ZonePreference
from config import levels, references
from config.errors import Problem
from discovery import own
from discovery.body_match import BodyMatch
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
from proxy.http.retries import RetryBudget, RetryPolicy
from proxy.http.terms import NEVER, Terms, Timeouts
from proxy.listener import Listener, ListenerOptions
from proxy.probe_pace import Intervals
from proxy.prober import ProbeOptions, Prober
from proxy.routes import Route, Router
from proxy.service import Service, Source
from proxy.table import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from balancers.choice import Compose
    from balancers.pool import Record
    from config import balancing, model, traffic
    from config.probe import Probe
    from discovery.instance import Instance, Snapshot
    from proxy.access_log.access_log import AccessLog
    from proxy.journal import Journal


class AccessLogError(Exception):
    """The access log cannot be written; the text says where, and why."""


class StickyKeyError(Exception):
    """The key that cookies are signed with cannot be read; the text says where, and why."""


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
        timeouts=_timeouts(levels.timeouts(config, wanted), config.retries),
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
                _timeouts(levels.timeouts(config, listener, wanted), levels.retries(config, wanted)),
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


def _timeouts(wanted: traffic.Timeouts, retries: traffic.Retries) -> Timeouts:
    return Timeouts(
        request_head=wanted.request_head,
        body_idle=wanted.body_idle or NEVER,
        connect=wanted.connect,
        response_head=min(wanted.response_head or NEVER, retries.per_try_timeout or NEVER),
        stream_idle=wanted.stream_idle or NEVER,
        request=wanted.request or NEVER,
        queue=wanted.queue,
        keepalive=wanted.keepalive or NEVER,
    )


def _retry_policy(wanted: traffic.Retries) -> RetryPolicy:
    return RetryPolicy(
        attempts=wanted.attempts,
        on_reset=wanted.on.reset,
        on_timeout=wanted.on.timeout,
        statuses=frozenset(status for status in range(400, 600) if wanted.on.covers(status)),
        backoff=wanted.backoff,
        buffer=wanted.buffer,
        hedge_after=wanted.hedge_after or NEVER,
    )


def pool_of(wanted: model.Settings, source: random.Random, clock: Callable[[], float], record: Record) -> Pool:
    """Make a service's pool, with its policy; a simulation has the same, by a clock of its own."""
    probe, passive = wanted.health.probe, wanted.health.passive
    thresholds = Thresholds(
        rise=probe.rise if probe else 1,
        fall=probe.fall if probe else 1,
        must_pass_first=probe is not None and probe.initial == "fail",
        consecutive_5xx=passive.consecutive_5xx if passive.enabled else 0,
        consecutive_local_failures=passive.consecutive_local_failures if passive.enabled else 0,
        consecutive_gateway=passive.consecutive_gateway_errors if passive.enabled else 0,
        base_ejection_time=passive.base_ejection_time,
        max_ejection_time=passive.max_ejection_time,
        interval=passive.interval,
    )
    return Pool(
        find(wanted.balancer.type, wanted.balancer.options, clock),
        source,
        compose=_compose(wanted),
        slow_start=_slow_start(wanted.slow_start),
        sticky=_sticky(wanted.sticky),
        panic_threshold=wanted.health.panic_threshold,
        max_ejection=passive.max_ejection_percent,
        detection=_detection(passive),
        jitter=passive.ejection_jitter,
        thresholds=thresholds,
        record=record,
    )


def tries_of(timeouts: traffic.Timeouts, retries: traffic.Retries) -> tuple[Timeouts, RetryPolicy]:
    """Say how long a try may take, and what is tried again, for a simulation."""
    return _timeouts(timeouts, retries), _retry_policy(retries)


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
        Prober(_probe(probe), source) if probe else None,
        retries=_retry_policy(retries),
        budget=RetryBudget(retries.budget, retries.budget_floor),
        limits=PlaceLimits(limits.in_flight, limits.in_flight_per_endpoint, limits.queue, limits.queue_per_endpoint),
        overrides=tuple(_override(override) for override in wanted.overrides),
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


def _compose(wanted: model.Settings) -> Compose:
    """Say how the policy is put to use: by subset, and in each by zone, where that is wanted."""
    zones, subset = wanted.zones, wanted.subset
    compose = ZonePreference(zones.prefer, zones.overprovisioning, zones.min_instances).compose if zones else plainly
    return Subsets(subset.header.lower().encode(), subset.metadata, subset.strict).over(compose) if subset else compose


def _slow_start(wanted: balancing.SlowStart | None) -> SlowStart | None:
    return SlowStart(wanted.window, wanted.aggression, wanted.min_weight) if wanted else None


def _detection(wanted: model.Passive) -> Detection:
    return Detection(
        wanted.interval,
        success_rate_factor=wanted.success_rate_factor if wanted.enabled else 0.0,
        success_rate_hosts=wanted.success_rate_min_endpoints,
        success_rate_volume=wanted.success_rate_min_requests,
        failure_share=wanted.failure_percentage if wanted.enabled else 0.0,
        failure_hosts=wanted.failure_percentage_min_endpoints,
        failure_volume=wanted.failure_percentage_min_requests,
    )


def _sticky(wanted: balancing.Sticky | None) -> Sticky | None:
    if wanted is None:
        return None
    cookie = Cookie(
        wanted.cookie,
        path=wanted.path,
        domain=wanted.domain,
        max_age=int(wanted.max_age),
        secure=wanted.secure,
        http_only=wanted.http_only,
        same_site=wanted.same_site.title(),
    )
    key = wanted.key.get_secret_value().encode() if wanted.key else b""
    if wanted.key_file is not None:
        try:
            key = wanted.key_file.read_bytes().strip()
        except OSError as error:
            raise StickyKeyError(f"sticky.key_file: {wanted.key_file} cannot be read: {error.strerror}") from error
        if not key:
            raise StickyKeyError(f"sticky.key_file: {wanted.key_file} is empty")
    return Sticky(cookie, key)


def _override(wanted: balancing.Override) -> Override:
    return Override(
        id=wanted.id,
        address=wanted.address,
        zone=wanted.zone,
        tags=wanted.tags,
        metadata=dict(wanted.metadata),
        weight=wanted.weight,
        share=1.0 if wanted.share is None else wanted.share,
        priority=wanted.priority,
    )


def intervals_of(wanted: Probe) -> Intervals:
    """Make the intervals between probes; a simulation has the same."""
    return Intervals(
        healthy=wanted.interval,
        unhealthy=wanted.unhealthy_interval or wanted.interval,
        idle=wanted.idle_interval or 0.0,
        idle_after=wanted.idle_after,
        jitter=wanted.jitter,
    )


def _probe(wanted: Probe) -> ProbeOptions:
    body = wanted.body
    return ProbeOptions(
        path=wanted.http or "",
        host=wanted.host,
        port=wanted.port or 0,
        expects=wanted.expects,
        timeout=wanted.timeout,
        intervals=intervals_of(wanted),
        grpc=wanted.grpc,
        method=wanted.method,
        headers={name: value.get_secret_value() for name, value in wanted.headers.items()},
        body=BodyMatch(body.contains or "", re.compile(body.matches) if body.matches else None) if body else None,
    )


def _head_limits(limits: traffic.Limits) -> HeadLimits:
    return HeadLimits(limits.request_line, limits.headers, limits.header_count)
