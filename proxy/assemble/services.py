"""From the keys of a service to a service at work: its pool, its limits, and the keepers that will feed it."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from config import levels
from discovery.joined import Joined, Part
from discovery.keeper import Keeper
from discovery.state import StateFolder
from discovery.stored import Owner
from proxy import registries
from proxy.http.connections import UpstreamOptions
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryBudget
from proxy.http.terms import NEVER
from proxy.prober import Prober
from proxy.service import Service
from proxy.settings import head_limits_of, override_of, pool_of, probe_of, retry_policy_of
from proxy.sources import Feed, Source
from proxy.tls.instances import InstanceTls, instance_tls_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config import service as keys
    from config.model import Config
    from discovery.instance import Snapshot
    from proxy.http.heads import ResponseReader
    from proxy.journal import Journal

_ON_DISK = ("static", "file")  # what the user wrote down on this machine need not be written down again
_LONGEST_WAIT_FOR_A_FILE = 1.0  # seconds until a file that made no sense is read again: its author is mending it


def state_folder(config: Config) -> StateFolder | None:
    """Make the folder of last good sets, if there is to be one."""
    return StateFolder(config.state_dir, max_age=config.state_max_age) if config.state_dir else None


def instance_tls(wanted: keys.Settings, place: str) -> InstanceTls:
    """Make ready for TLS to the instances, and load its files where it is asked for. Raises CertificateError."""
    tls = InstanceTls(instance_tls_options(wanted.tls, place))
    if wanted.tls is not None:
        tls.load()
    return tls


def unfed_service(
    name: str,
    wanted: keys.Settings,
    config: Config,
    reader: ResponseReader,
    journal: Journal,
    tls: InstanceTls | None,
    *,
    probes: bool = True,
) -> Service:
    """Make a service that nobody feeds yet; unless it `probes`, somebody else does, and tells it."""
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
            limits=head_limits_of(config.limits),
            connect_timeout=timeouts.connect,
            keepalive=timeouts.upstream_keepalive or NEVER,
            tls=tls,
            proxy_protocol=wanted.proxy_protocol,
        ),
        Prober(probe_of(probe), source, tls, wanted.proxy_protocol) if probe and probes else None,
        retries=retry_policy_of(retries),
        budget=RetryBudget(retries.budget, retries.budget_floor),
        limits=PlaceLimits(limits.in_flight, limits.in_flight_per_endpoint, limits.queue, limits.queue_per_endpoint),
        overrides=tuple(override_of(override) for override in wanted.overrides),
    )
    service.is_probed = probe is not None
    service.panic_header = wanted.health.panic_header
    service.adds = service.panic_header or pool.sticky is not None
    service.ready_from_state = config.ready_from_state
    return service


def feed_of(service: Service, wanted: keys.Service, journal: Journal, state: StateFolder | None) -> Feed:
    """Make the keepers of a service, which will feed it once it is told to be fed by them."""
    parts = [Part(source.weight, source.priority) for source in wanted.sources]
    feed = Feed(joined=Joined(service.name, parts) if len(parts) > 1 else None)
    feed.sources = tuple(_sources(service, feed, wanted, journal, state))
    return feed


def _sources(
    service: Service, feed: Feed, wanted: keys.Service, journal: Journal, state: StateFolder | None
) -> Iterator[Source]:
    joined = feed.joined
    kinds: Counter[str] = Counter()

    def publish(place: int, snapshot: Snapshot) -> None:
        service.told(feed, joined.updated(place, snapshot) if joined else snapshot)

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
            max_shrink=max_shrink_of(wanted.guard, kind),
            answers=service.answers if wanted.health.probe else None,
            store=state.file(Owner(service.name, kind, source.place)) if state and kind not in _ON_DISK else None,
            journal=partial(told, name),
            clock=time.monotonic,
            longest_wait=_LONGEST_WAIT_FOR_A_FILE if kind == "file" else 10.0,
        )
        yield Source(kind, name, keeper)


def max_shrink_of(guard: keys.Guard, kind: str) -> float:
    """Return the share of instances that may be gone at once from a source."""
    if kind in _ON_DISK and "max_shrink" not in guard.model_fields_set:
        return 1.0  # whoever cuts a list short in an editor means it, though a look fell between two of its writes
    return guard.max_shrink
