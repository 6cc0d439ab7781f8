"""From the keys of lists, limits and authentication to guards, which outlive the routes that are made anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from config.rate_limit import RateLimit as Wanted
from config.trusted import TrustedProxies
from config.units import format_duration
from proxy.edge.access import Access
from proxy.edge.basic_auth import BasicAuth
from proxy.edge.buckets import Buckets
from proxy.edge.forward_auth import ForwardAuth
from proxy.edge.guard import Guard
from proxy.edge.rate_limit import RateLimit, RateLimits, by_client, by_header, by_route
from proxy.edge.shared_buckets import SharedBuckets
from proxy.edge.users_file import LOOK, UsersFile

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from pathlib import Path

    from config.basic_auth import BasicAuth as BasicAuthKeys
    from config.forward_auth import ForwardAuth as ForwardAuthKeys
    from config.guards import ListenerGuards, RouteGuards
    from config.listener import Listener
    from config.model import Config
    from config.route import Route
    from proxy.edge.shared_buckets import Table
    from proxy.http.heads import RequestHead
    from proxy.service import Service


class Guards:
    """The guards of all routes and listeners, each made once for what it is asked for, and kept with its buckets.

    Those of the same route are the same on all listeners, and stay so when the routing table is made anew.
    """

    def __init__(self, services: Mapping[str, Service], table: Table | None = None) -> None:
        self._services = services
        self._table = table  # of the buckets that several processes share
        self.of_routes: dict[str, Guard] = {}
        self.of_listeners: dict[str, tuple[str, Access | None, RateLimits | None]] = {}
        self.files: dict[Path, UsersFile] = {}

    def of_route(self, wanted: Route) -> Guard | None:
        """Return the guard of a route; None for most. Raises UsersFileError."""
        parts = (wanted.allow, wanted.rate_limit, wanted.basic_auth, wanted.forward_auth)
        if not any(parts) and wanted.deny == TrustedProxies():
            return None
        asked = wanted.asked
        found = self.of_routes.get(asked)
        if found is None:
            found = self.of_routes[asked] = Guard(
                f"{wanted.host or ''}{wanted.path or wanted.path_exact or wanted.path_regex or ''}",
                _access(wanted),
                self._limits(wanted, asked),
                self._basic(wanted.basic_auth),
                self._forward(wanted.forward_auth),
            )
        return found

    def of_listener(self, wanted: Listener) -> tuple[Access | None, RateLimits | None]:
        """Return who may connect to a listener, and how many of their requests pass; None for either in most."""
        if wanted.allow is None and wanted.rate_limit is None and wanted.deny == TrustedProxies():
            return None, None
        asked = wanted.asked
        found = self.of_listeners.get(asked)
        if found is None:
            found = self.of_listeners[asked] = (str(wanted.bind), _access(wanted), self._limits(wanted, asked))
        return found[1:]

    def prune(self, config: Config) -> None:
        """Forget the guards that a configuration does not ask for, and the files that none of its routes reads."""
        routes = {wanted.asked for wanted in config.routes}
        listeners = {wanted.asked for wanted in config.listeners}
        files = {wanted.basic_auth.file for wanted in config.routes if wanted.basic_auth is not None}
        for asked in self.of_routes.keys() - routes:
            del self.of_routes[asked]
        for asked in self.of_listeners.keys() - listeners:
            del self.of_listeners[asked]
        for path in self.files.keys() - files:
            self.files.pop(path).retire()

    async def follow(self) -> None:
        """Read files of users again when they change, for ever."""
        while True:
            await asyncio.sleep(LOOK)
            for file in list(self.files.values()):
                await file.look()

    def close(self) -> None:
        """Check no more passwords."""
        for file in self.files.values():
            file.close()

    def _limits(self, wanted: ListenerGuards | RouteGuards, asked: str) -> RateLimits | None:
        several = wanted.rate_limit
        if several is None:
            return None
        each = (several,) if isinstance(several, Wanted) else several
        return RateLimits([_limit(one, self._table, (asked, place)) for place, one in enumerate(each)])

    def _basic(self, wanted: BasicAuthKeys | None) -> BasicAuth | None:
        if wanted is None:
            return None
        file = self.files.get(wanted.file)
        if file is None:
            file = self.files[wanted.file] = UsersFile(wanted.file)
        return BasicAuth(file, realm=wanted.realm, header=wanted.header or "", remove=wanted.remove_authorization)

    def _forward(self, wanted: ForwardAuthKeys | None) -> ForwardAuth | None:
        if wanted is None:
            return None
        return ForwardAuth(
            self._services,
            wanted.service,
            path=wanted.path,
            patience=wanted.timeout,
            headers=wanted.request_headers,
            copied=wanted.copied,
            fail_open=wanted.fail_open,
        )


def _access(wanted: ListenerGuards | RouteGuards) -> Access | None:
    if wanted.allow is None and wanted.deny == TrustedProxies():
        return None
    return Access(wanted.allow, wanted.deny)


def _limit(wanted: Wanted, table: Table | None, owner: Hashable) -> RateLimit:
    name = wanted.by.removeprefix("header:")
    key: Callable[[RequestHead], Hashable]
    if wanted.by == "client":
        key, whose = by_client, "one client"
    elif wanted.by == "route":
        key, whose = by_route, "all clients together"
    else:
        key, whose = by_header(name), f"one {name}"
    burst = wanted.burst or wanted.requests
    return RateLimit(
        key,
        Buckets(wanted.requests, wanted.per, burst, wanted.clients)
        if table is None
        else SharedBuckets(table, owner, wanted.requests, wanted.per, burst),
        f"more than {wanted.requests} requests in {format_duration(wanted.per)} by {whose}",
    )
