"""From the keys of the listeners and routes to listeners that know their routes, and the access log."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from config import levels
from proxy.access_log.access_log import open_access_log
from proxy.assemble.acme import pairs_of
from proxy.assemble.guards import Guards
from proxy.assemble.routes import make_splits, own_routes, router_of
from proxy.edge.header_rules import compiled
from proxy.http.forwarding import Forwarding
from proxy.http.terms import Terms
from proxy.listener import Listener, ListenerOptions
from proxy.settings import head_limits_of, timeouts_of
from proxy.tcp.counts import counts_of
from proxy.tcp.listener import TcpListener
from proxy.tcp.names import Names
from proxy.tls.certificates import Certificates
from proxy.tls.files import tls_options

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
) -> list[Listener | TcpListener]:
    """Make the listeners, not bound yet. Raises UsersFileError and CertificateError."""
    guards = guards or Guards(services)
    routes = own_routes(config, services, make_splits(config, services) if splits is None else splits, guards)
    return [make_listener(config, place, routes, services, log, guards) for place in range(len(config.listeners))]


def make_listener(
    config: Config,
    place: int,
    routes: Sequence[Entry],
    services: Mapping[str, Service],
    log: AccessLog | None,
    guards: Guards,
) -> Listener | TcpListener:
    """Make the listener at a place of the configuration, not bound yet. Raises CertificateError."""
    wanted = config.listeners[place]
    options, certificates = _options(config, wanted), _certificates(config, wanted, f"listeners[{place}].tls")
    access, rate_limits = guards.of_listener(wanted)
    if wanted.tcp is not None:
        names = names_of(config, wanted, services)
        raw = TcpListener(wanted.bind, names, options, config.drain_timeout, log, certificates)
        raw.access = access
        return raw
    listener = Listener(wanted.bind, router_of(config, wanted, routes, guards), options, log, certificates)
    listener.access, listener.rate_limits = access, rate_limits
    return listener


def _certificates(config: Config, wanted: keys.Listener, place: str) -> Certificates | None:
    if wanted.tls is None:
        return None
    options = tls_options(wanted.tls, place, pairs_of(config, wanted, place))
    return Certificates(options if wanted.tcp is None else replace(options, alpn=()))


def _options(config: Config, wanted: keys.Listener) -> ListenerOptions:
    limits = levels.limits(config, wanted)
    forwarded = levels.forwarded(config, wanted)
    return ListenerOptions(
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
        proxies=wanted.proxy_protocol,
        mode=int(wanted.mode, 8) if wanted.mode else None,
    )


def names_of(config: Config, wanted: keys.Listener, services: Mapping[str, Service]) -> Names[Terms]:
    """Return where the connections of a TCP listener go."""
    assert wanted.tcp is not None

    def goal(name: str) -> Terms:
        settings = config.services[name]
        counts_of(services[name].traffic)
        return Terms(
            services[name], timeouts_of(levels.timeouts(config, wanted, settings), levels.retries(config, settings))
        )

    routes = [(route.sni, goal(route.service)) for route in wanted.tcp.routes]
    return Names(routes, goal(wanted.tcp.service) if wanted.tcp.service is not None else None)
