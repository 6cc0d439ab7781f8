"""From the keys of the listeners and routes to listeners that know their routes, and the access log."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from config import levels
from proxy.access_log.access_log import open_access_log
from proxy.assemble.guards import Guards
from proxy.assemble.routes import make_splits, own_routes, router_of
from proxy.edge.header_rules import compiled
from proxy.http.forwarding import Forwarding
from proxy.listener import Listener, ListenerOptions
from proxy.settings import head_limits_of, timeouts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config import listener as keys
    from config.model import Config
    from proxy.access_log.access_log import AccessLog
    from proxy.service import Service
    from proxy.splits import Split
    from proxy.table import Entry


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


def make_listeners(
    config: Config,
    services: dict[str, Service],
    log: AccessLog | None,
    splits: Mapping[str, Split] | None = None,
    guards: Guards | None = None,
) -> list[Listener]:
    """Make the listeners, not bound yet. Raises UsersFileError."""
    guards = guards or Guards(services)
    routes = own_routes(config, services, make_splits(config, services) if splits is None else splits, guards)
    return [make_listener(config, wanted, routes, log, guards) for wanted in config.listeners]


def make_listener(
    config: Config, wanted: keys.Listener, routes: Sequence[Entry], log: AccessLog | None, guards: Guards
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
        response_rules=compiled(wanted.response_headers),
    )
    listener = Listener(wanted.bind, router_of(config, wanted, routes, guards), options, log)
    listener.access, listener.rate_limits = guards.of_listener(wanted)
    return listener
