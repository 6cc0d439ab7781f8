"""From the keys of the listeners and routes to listeners that know their routes, and the access log."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from config import levels
from proxy.access_log.access_log import open_access_log
from proxy.edge.edge import Edge
from proxy.http.forwarding import Forwarding
from proxy.http.terms import NEVER, Terms
from proxy.listener import Listener, ListenerOptions
from proxy.routes import Route, Router
from proxy.settings import head_limits_of, timeouts_of
from proxy.table import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config import listener as keys
    from config.model import Config
    from proxy.access_log.access_log import AccessLog
    from proxy.service import Service


class AccessLogError(Exception):
    """The access log cannot be written; the text says where, and why."""


def access_log(config: Config) -> AccessLog | None:
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


def make_listeners(config: Config, services: dict[str, Service], log: AccessLog | None) -> list[Listener]:
    """Make the listeners, not bound yet."""
    return [make_listener(config, wanted, services, log) for wanted in config.listeners]


def make_listener(
    config: Config, wanted: keys.Listener, services: Mapping[str, Service], log: AccessLog | None
) -> Listener:
    """Make a listener, not bound yet."""
    limits = levels.limits(config, wanted)
    forwarded = levels.forwarded(config, wanted)
    options = ListenerOptions(
        limits=head_limits_of(limits),
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
    return Listener(wanted.bind, router_of(config, wanted, own_routes(config, services)), options, log)


def own_routes(config: Config, services: Mapping[str, Service]) -> tuple[Entry, ...]:
    """Return the routes of the file."""
    return tuple(Entry(services[route.service], route.host or "", route.path or "") for route in config.routes)


def router_of(config: Config, listener: keys.Listener, entries: Sequence[Entry]) -> Router[Terms]:
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
                Edge(entry.strip.encode()) if entry.strip else None,
            )
        return found

    return Router([Route(goal(entry), entry.host.encode(), entry.path.encode(), entry.compare) for entry in entries])
