"""From what the user asked for to parts that do it: the one place that knows both."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from balancers.health import Thresholds
from balancers.policies import PolicyOptionError, UnknownPolicyError, find
from balancers.pool import Pool
from config import references
from config.errors import Problem
from discovery.consul import ConsulRegistry
from discovery.file import FileRegistry
from discovery.instance import Instance
from discovery.keeper import Keeper
from discovery.static import StaticRegistry
from proxy.http.connections import UpstreamOptions
from proxy.http.heads import HeadLimits, RequestReader, ResponseReader
from proxy.listener import Listener, Timeouts
from proxy.prober import ProbeOptions, Prober
from proxy.routes import Route, Router
from proxy.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from config import model
    from discovery.registry import Registry
    from proxy.journal import Journal


_LONGEST_WAIT_FOR_A_FILE = 1.0  # seconds until a file that made no sense is read again: its author is mending it


def check_balancers(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the balancers named, which only those who can load them know."""
    for path, balancer in references.balancers(data):
        try:
            find(balancer.type, balancer.options)
        except (UnknownPolicyError, PolicyOptionError) as error:
            yield Problem(path, str(error))


def services(config: model.Config, journal: Journal) -> dict[str, Service]:
    """Make the services, each with the keeper that will feed it."""
    limits = _limits(config)
    options = UpstreamOptions(
        reader=ResponseReader(limits),
        limits=limits,
        connect_timeout=config.timeouts.connect,
        keepalive=_or_never(config.timeouts.upstream_keepalive),
    )
    return {name: _service(name, wanted, options, journal) for name, wanted in config.services.items()}


def listeners(config: model.Config, services: dict[str, Service]) -> list[Listener]:
    """Make the listeners, not bound yet."""
    router = Router(
        [
            Route(services[route.service], (route.host or "").encode(), (route.path or "").encode())
            for route in config.routes
        ]
    )
    limits = _limits(config)
    reader = RequestReader(limits)
    wanted = config.timeouts
    timeouts = Timeouts(
        request_head=wanted.request_head,
        body_idle=_or_never(wanted.body_idle),
        connect=wanted.connect,
        response_head=_or_never(wanted.response_head),
        stream_idle=_or_never(wanted.stream_idle),
        keepalive=_or_never(wanted.keepalive),
    )
    return [Listener(listener.bind, router, reader, limits, timeouts) for listener in config.listeners]


def _service(name: str, wanted: model.Service, options: UpstreamOptions, journal: Journal) -> Service:
    probe = wanted.health.probe
    source = random.Random()
    pool = Pool(
        find(wanted.balancer.type, wanted.balancer.options),
        source,
        panic_threshold=wanted.health.panic_threshold,
        thresholds=Thresholds(probe.rise, probe.fall, probe.initial == "fail") if probe else Thresholds(),
        record=lambda kind, endpoint, reason: journal.record(name, kind, endpoint, reason),
    )
    service = Service(name, wanted.balancer.type, pool, options, Prober(_probe(probe), source) if probe else None)
    kind, registry, watched = _registry(name, wanted.discovery)

    def told(event: str, text: str) -> None:
        journal.keep(name, event, "", text)

    service.keeper = Keeper(
        name,
        registry,
        watched,
        service.follow,
        hold=wanted.guard.hold,
        journal=told,
        clock=time.monotonic,
        longest_wait=_LONGEST_WAIT_FOR_A_FILE if kind == "file" else 10.0,
    )
    service.registry = kind
    return service


def _registry(name: str, wanted: model.Discovery) -> tuple[str, Registry, str]:
    """Return the kind of the registry, the registry, and the name that the service has in it."""
    if wanted.consul is not None:
        consul = wanted.consul
        registry = ConsulRegistry(
            consul.address,
            token=consul.token.get_secret_value() if consul.token else None,
            token_file=consul.token_file,
            datacenter=consul.datacenter,
            tags=consul.tags,
            filter=consul.filter,
        )
        return "consul", registry, consul.service
    if wanted.file is not None:
        return "file", FileRegistry(wanted.file), name
    return "static", StaticRegistry(_instances(wanted.static or ())), name


def _instances(wanted: Iterable[model.StaticInstance]) -> Iterator[Instance]:
    for one in wanted:
        yield Instance(
            id=one.identity,
            address=one.address.host,
            port=one.address.port,
            weight=one.weight,
            zone=one.zone,
            tags=one.tags,
            metadata=one.metadata,
        )


def _probe(wanted: model.Probe) -> ProbeOptions:
    return ProbeOptions(
        path=wanted.http or "",
        host=wanted.host,
        port=wanted.port or 0,
        expects=wanted.expects,
        interval=wanted.interval,
        timeout=wanted.timeout,
        jitter=wanted.jitter,
    )


def _limits(config: model.Config) -> HeadLimits:
    return HeadLimits(config.limits.request_line, config.limits.headers, config.limits.header_count)


def _or_never(seconds: float) -> float:
    return seconds or float("inf")
