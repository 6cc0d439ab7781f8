"""From the keys of the routes to routes that lead to terms, answers and splits."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from balancers.sticky import Sticky
from config import levels
from config.expressions import pieces_of
from proxy.assemble.acme import challenged
from proxy.conditions import Clients, Conditions, Field
from proxy.edge.edge import Edge
from proxy.edge.guard import Guard
from proxy.edge.header_rules import compiled
from proxy.edge.mirror import Mirror
from proxy.edge.own_answers import Fixed, Redirect
from proxy.edge.rewriting import InPlaceOf, Replaced
from proxy.edge.sides import Sides
from proxy.http.answers import Answer
from proxy.http.terms import NEVER, Terms
from proxy.routes import Compare, Route, Router
from proxy.settings import sticky_cookie_of, sticky_key_of, timeouts_of
from proxy.splits import Split
from proxy.table import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config import listener as listener_keys
    from config import own_answers, route
    from config import split as split_keys
    from config.conditions import Wanted
    from config.header_rules import HasHeaderRules
    from config.model import Config
    from proxy.assemble.guards import Guards
    from proxy.edge.rewriting import Rewriting
    from proxy.service import Service


def make_splits(config: Config, services: Mapping[str, Service]) -> dict[str, Split]:
    """Make the splits. Raises StickyKeyError."""
    return {name: _split(name, wanted, services) for name, wanted in config.splits.items()}


def _split(name: str, wanted: split_keys.Split, services: Mapping[str, Service]) -> Split:
    sticky = wanted.sticky
    cookie = sticky_cookie_of(sticky, f"pointsman_{name}") if sticky is not None else None
    marks = Sticky(cookie, sticky_key_of(sticky)) if cookie is not None and sticky is not None else None
    return Split(
        name,
        services,
        wanted.services,
        random.Random().random,
        cookie=cookie,
        sticky=marks,
        fall_over=wanted.fall_over,
    )


def own_routes(
    config: Config, services: Mapping[str, Service], splits: Mapping[str, Split], guards: Guards
) -> tuple[Entry, ...]:
    """Return the routes of the file. Raises UsersFileError."""
    return tuple(_entry(wanted, services, splits, guards) for wanted in config.routes)


def _entry(wanted: route.Route, services: Mapping[str, Service], splits: Mapping[str, Split], guards: Guards) -> Entry:
    split = splits[wanted.split] if wanted.split is not None else None
    service = services[wanted.service] if wanted.service is not None else None
    if split is not None:
        service = next(iter(split.services.values()))
    path, compare = wanted.path or "", cast("Compare | None", Compare.SEGMENTS)
    if wanted.path_exact is not None:
        path, compare = wanted.path_exact, Compare.WHOLE
    elif wanted.path_regex is not None:
        path, compare = wanted.path_regex, None
    mirror = services[wanted.mirror.service] if wanted.mirror is not None else None
    guard = guards.of_route(wanted)
    return Entry(service, wanted.host or "", path, compare, wanted=wanted, split=split, mirror=mirror, guard=guard)


def router_of(
    config: Config, listener: listener_keys.Listener, entries: Sequence[Entry], guards: Guards
) -> Router[Terms]:
    """Make the router of a listener."""
    maker = _Maker(config, listener, guards)
    return challenged(config, listener, Router([maker.made(entry) for entry in entries]))


class _Maker:
    """Makes the routes of one listener."""

    def __init__(self, config: Config, listener: listener_keys.Listener, guards: Guards) -> None:
        self._config = config
        self._listener = listener
        self._catalogs = {catalog.name: catalog.settings for catalog in config.catalogs}
        self._known: dict[tuple[str, str], Terms] = {}
        self._limits = guards.of_listener(listener)[1]
        self._of_all = Guard("", listener_limits=self._limits) if self._limits is not None else None

    def made(self, entry: Entry) -> Route[Terms]:
        """Make a route."""
        host, path, compare = entry.host.encode(), entry.path.encode(), entry.compare
        wanted = entry.wanted
        if wanted is None:
            assert entry.service is not None
            assert compare is not None
            return Route(self._terms(entry.service, None, entry.catalog, entry.strip), host, path, compare)
        own = _own(wanted)
        goal = self._guarded(self._goal(entry, wanted, own), entry.guard)
        conditions = _conditions(wanted, own)
        if compare is None:
            return Route(goal, host, expression=re.compile(path), conditions=conditions)
        return Route(goal, host, path, compare, conditions=conditions)

    def _guarded(self, goal: Terms, own: Guard | None) -> Terms:
        """Return the terms with the guard of their route and listener."""
        guard = self._of_all
        if own is not None:
            guard = own if self._limits is None else replace(own, listener_limits=self._limits)
        if guard is None or (goal.edge is not None and goal.edge.guard is guard):
            return goal
        return replace(goal, edge=replace(goal.edge or Edge(), guard=guard))

    def _goal(self, entry: Entry, wanted: route.Route, own: Fixed | Redirect | None) -> Terms:
        rewriting, mirror = _rewriting(wanted), self._mirror(entry, wanted)
        if entry.split is not None:
            terms = {name: self._terms(service, wanted) for name, service in entry.split.services.items()}
            first = next(iter(terms.values()))
            edge = Edge(sides=Sides(entry.split, terms), rewriting=rewriting, mirror=mirror)
            return replace(first, body=max(one.body for one in terms.values()), edge=edge)
        if own is not None:
            limits = levels.limits(self._config, self._listener)
            edge = Edge(own=own, own_rules=compiled(wanted.response_headers))
            return Terms(None, body=limits.body or NEVER, edge=edge)
        assert entry.service is not None
        goal = self._terms(entry.service, wanted)
        if rewriting is not None or mirror is not None:
            goal = replace(goal, edge=Edge(rewriting=rewriting, mirror=mirror))
        return goal

    def _terms(self, service: Service, wanted: HasHeaderRules | None, catalog: str = "", strip: str = "") -> Terms:
        """Return the terms of a service, the same for all routes that ask for nothing else."""
        config, listener = self._config, self._listener
        plain = wanted is None or compiled(wanted.request_headers) is compiled(wanted.response_headers) is None
        found = self._known.get((service.name, strip)) if plain else None
        if found is None:
            settings = self._catalogs[catalog] if catalog else config.services[service.name]
            ruling = [level for level in (listener, wanted, settings) if level is not None]
            request_rules = compiled(*(level.request_headers for level in ruling))
            found = Terms(
                service,
                timeouts_of(levels.timeouts(config, listener, settings), levels.retries(config, settings)),
                levels.limits(config, listener, settings).body or NEVER,
                Edge(strip.encode(), guard=self._of_all)
                if strip or self._of_all or request_rules is not None
                else None,
                request_rules=request_rules,
                response_rules=compiled(*(level.response_headers for level in reversed(ruling))),
                own_rules=compiled(wanted.response_headers) if wanted is not None else None,
            )
            if plain:
                self._known[service.name, strip] = found
        return found

    def _mirror(self, entry: Entry, wanted: route.Route) -> Mirror | None:
        mirror = wanted.mirror
        if mirror is None:
            return None
        assert entry.mirror is not None
        entry.mirror.copies.wanted = True
        settings = self._config.services[mirror.service]
        return Mirror(
            entry.mirror,
            random.Random().random,
            mirror.share,
            mirror.in_flight,
            mirror.max_body,
            mirror.timeout,
            compiled(self._listener.request_headers, wanted.request_headers, settings.request_headers),
        )


def _conditions(wanted: route.Route, own: Fixed | Redirect | None) -> Conditions | None:
    """Return what is wanted beside host and path; None for nothing."""
    away = own if isinstance(own, Redirect) else None
    if not (wanted.methods or wanted.clients or wanted.headers or wanted.query or away):
        return None
    return Conditions(
        frozenset(method.encode() for method in wanted.methods or ()),
        Clients(wanted.clients) if wanted.clients is not None else None,
        tuple(_field(name.lower(), field) for name, field in wanted.headers.items()),
        tuple(_field(name, field) for name, field in wanted.query.items()),
        away,
    )


def _field(name: str, wanted: Wanted) -> Field:
    return Field(
        name.encode(),
        wanted.present is not False,
        wanted.value.encode() if wanted.value is not None else None,
        re.compile(wanted.regex.encode()) if wanted.regex is not None else None,
    )


def _own(wanted: route.Route) -> Fixed | Redirect | None:
    """Return what answers the requests of a route, where no instance does."""
    if wanted.answer is not None:
        return Fixed(_fixed(wanted.answer))
    away = wanted.redirect
    if away is None:
        return None
    return Redirect(
        away.status,
        (away.scheme or "").encode(),
        (away.host or "").encode(),
        away.port or 0,
        pieces_of(away.path) if away.path is not None else None,
        re.compile(wanted.path_regex.encode()) if wanted.path_regex is not None else None,
    )


def _fixed(wanted: own_answers.FixedAnswer) -> Answer:
    fields = tuple(f"{name}: {value}".encode() for name, value in wanted.headers.items())
    body = wanted.body.encode("utf-8", "replace")
    return Answer(wanted.status, body, wanted.content_type.encode() if body else b"", fields)


def _rewriting(wanted: route.Route) -> Rewriting | None:
    prefix = (wanted.path or wanted.path_exact or "").encode()
    if wanted.strip_prefix:
        return InPlaceOf(prefix)
    rewrite = wanted.rewrite
    if rewrite is None:
        return None
    if rewrite.path is not None:
        return InPlaceOf(prefix, rewrite.path.encode())
    assert rewrite.regex is not None
    assert rewrite.to is not None
    return Replaced(re.compile(rewrite.regex.encode()), pieces_of(rewrite.to))
