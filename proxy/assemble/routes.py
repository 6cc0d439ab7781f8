"""From the keys of the routes to routes that lead to terms, answers and splits."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from balancers.sticky import Sticky
from config import levels
from config.expressions import pieces_of
from proxy.conditions import Clients, Conditions, Field
from proxy.edge.edge import Edge
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
    from collections.abc import Callable, Mapping, Sequence

    from config import listener as listener_keys
    from config import own_answers, route
    from config import split as split_keys
    from config.conditions import Wanted
    from config.model import Config
    from config.service import Settings
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
    config: Config, services: Mapping[str, Service], splits: Mapping[str, Split] | None = None
) -> tuple[Entry, ...]:
    """Return the routes of the file; with splits, if they are made anew, those that are at work already."""
    at_work = make_splits(config, services) if splits is None else splits
    return tuple(_entry(wanted, services, at_work) for wanted in config.routes)


def _entry(wanted: route.Route, services: Mapping[str, Service], splits: Mapping[str, Split]) -> Entry:
    split = splits[wanted.split] if wanted.split is not None else None
    service = services[wanted.service] if wanted.service is not None else None
    if split is not None:
        service = next(iter(split.services.values()))
    path, compare = wanted.path or "", cast("Compare | None", Compare.SEGMENTS)
    if wanted.path_exact is not None:
        path, compare = wanted.path_exact, Compare.WHOLE
    elif wanted.path_regex is not None:
        path, compare = wanted.path_regex, None
    return Entry(service, wanted.host or "", path, compare, wanted=wanted, split=split)


def router_of(config: Config, listener: listener_keys.Listener, entries: Sequence[Entry]) -> Router[Terms]:
    """Make the router of a listener."""
    settings = {catalog.name: catalog.settings for catalog in config.catalogs}
    known: dict[tuple[str, str], Terms] = {}

    def plain_terms(service: Service, catalog: str, strip: str = "") -> Terms:
        """Return the terms of a service, the same for all routes that ask for nothing else."""
        found = known.get((service.name, strip))
        if found is None:
            wanted = settings[catalog] if catalog else config.services[service.name]
            found = known[service.name, strip] = _terms(config, listener, service, wanted)
            if strip:
                found = known[service.name, strip] = replace(found, edge=Edge(strip.encode()))
        return found

    return Router([_route(config, listener, entry, plain_terms) for entry in entries])


def _terms(config: Config, listener: listener_keys.Listener, service: Service, wanted: Settings) -> Terms:
    return Terms(
        service,
        timeouts_of(levels.timeouts(config, listener, wanted), levels.retries(config, wanted)),
        levels.limits(config, listener, wanted).body or NEVER,
    )


def _route(
    config: Config,
    listener: listener_keys.Listener,
    entry: Entry,
    plain_terms: Callable[..., Terms],
) -> Route[Terms]:
    host, path, compare = entry.host.encode(), entry.path.encode(), entry.compare
    wanted = entry.wanted
    if wanted is None:
        assert entry.service is not None
        assert compare is not None
        return Route(plain_terms(entry.service, entry.catalog, entry.strip), host, path, compare)
    own = _own(wanted)
    rewriting = _rewriting(wanted)
    if entry.split is not None:
        terms = {name: plain_terms(service, "") for name, service in entry.split.services.items()}
        first = next(iter(terms.values()))
        edge: Edge | None = Edge(sides=Sides(entry.split, terms), rewriting=rewriting)
        goal = replace(first, body=max(one.body for one in terms.values()), edge=edge)
    elif own is not None:
        nobody = cast("Service", None)  # its edge answers every request, and lets none pass to a service
        limits = levels.limits(config, listener)
        goal = Terms(nobody, body=limits.body or NEVER, edge=Edge(own=own))
    else:
        assert entry.service is not None
        goal = plain_terms(entry.service, "")
        if rewriting is not None:
            goal = replace(goal, edge=Edge(rewriting=rewriting))
    conditions = _conditions(wanted, own)
    if compare is None:
        return Route(goal, host, expression=re.compile(path), conditions=conditions)
    return Route(goal, host, path, compare, conditions=conditions)


def _conditions(wanted: route.Route, own: Fixed | Redirect | None) -> Conditions | None:
    """Return what is wanted beside host and path; None for nothing."""
    away = own if isinstance(own, Redirect) and own.path is None else None
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
