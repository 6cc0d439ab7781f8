"""The keys of a route."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from config.conditions import ConditionField, ConditionHeader, Method, Wanted
from config.declaring import Field
from config.errors import listed
from config.expressions import Expression, PathTemplate, unknown_group
from config.frozen import FrozenMapping, Model, freeze, one_of
from config.guards import RouteGuards
from config.header_rules import HasHeaderRules
from config.mirror import Mirror
from config.own_answers import FixedAnswer, Redirect
from config.texts import RouteHost, RoutePath, ServiceName
from config.trusted import TrustedList
from config.units import Bool

GOALS = ("service", "split", "redirect", "answer")
CONDITIONS = ("host", "path", "path_exact", "path_regex", "methods", "headers", "query", "clients")

_SHOWN = {"methods", "headers", "query", "clients", "split", "redirect", "answer", "strip_prefix", "rewrite"}
_PATHS = ("path", "path_exact", "path_regex")


def one_goal(given: Mapping[str, Any]) -> str | None:
    """Want a route to say once what becomes of its requests."""
    goals = [key for key in GOALS if key in given]
    if not goals:
        return f"must have one of {listed(GOALS)}"
    return f"has {' and '.join(goals)}: keep one" if len(goals) > 1 else None


def one_path(given: Mapping[str, Any]) -> str | None:
    """Want at most one condition on the path."""
    paths = [key for key in _PATHS if key in given]
    return f"has {' and '.join(paths)}: keep one" if len(paths) > 1 else None


def one_rewriting(given: Mapping[str, Any]) -> str | None:
    """Want at most one change of the path, for an instance that gets it, and of a path that is known."""
    changes = [key for key in ("strip_prefix", "rewrite") if given.get(key)]
    if len(changes) > 1:
        return "has strip_prefix and rewrite: keep one"
    own = next((key for key in ("redirect", "answer") if key in given), None)
    if changes and own:
        return f"has {changes[0]} with {own}, which no instance gets: leave it out"
    if changes == ["strip_prefix"] and "path" not in given:
        return "has strip_prefix without path, which is what it takes off"
    if changes == ["rewrite"] and _key(given["rewrite"], "path") and not {"path", "path_exact"} & given.keys():
        return "has rewrite.path without path or path_exact, whose place it takes"
    return None


def changes_what_an_instance_gets(given: Mapping[str, Any]) -> str | None:
    """Want a mirror, and rules for the headers of requests, only where an instance is asked."""
    own = next((key for key in ("redirect", "answer") if key in given), None)
    idle = next((key for key in ("mirror", "request_headers") if given.get(key)), None)
    return f"has {idle} with {own}, which no instance gets: leave it out" if own and idle else None


def known_groups(given: Mapping[str, Any]) -> str | None:
    """Want a redirect to take in no group that the path's expression does not have."""
    template, expression = _key(given.get("redirect"), "path"), given.get("path_regex")
    if not isinstance(template, str) or not (expression is None or isinstance(expression, str)):
        return None
    wrong = unknown_group(template, expression)
    return f"has a redirect.path that {wrong}" if wrong else None


def one_form(given: Mapping[str, Any]) -> str | None:
    """Want a rewriting to be of one kind."""
    if "path" in given:
        return "has both path and regex: keep one" if {"regex", "to"} & given.keys() else None
    if "regex" in given:
        return None if "to" in given else "has regex without to, which is what its matches become"
    return "has to without regex" if "to" in given else "must have path, or regex and to"


def known_groups_of_its_own(given: Mapping[str, Any]) -> str | None:
    """Want a rewriting to take in no group that its expression does not have."""
    to, expression = given.get("to"), given.get("regex")
    if not isinstance(to, str) or not isinstance(expression, str):
        return None
    wrong = unknown_group(to, expression)
    return f"has a to that {wrong}" if wrong else None


def _key(mapping: Any, key: str) -> Any:
    """Return what a mapping or a model has there; None for nothing, or where it is neither."""
    return mapping.get(key) if isinstance(mapping, Mapping) else getattr(mapping, key, None)


class Rewrite(Model):
    """Another path for the instance: one in the place of what matched, or what an expression makes of it."""

    model_config = one_of("path", "regex")
    rules = (one_form, known_groups_of_its_own)

    path: RoutePath | None = Field(
        default=None, description="What takes the place of the route's path; what is below it stays."
    )
    regex: Expression | None = Field(
        default=None, description="A regular expression (Python's) that is looked for in the path."
    )
    to: PathTemplate | None = Field(
        default=None,
        description=r"What each of its matches becomes. \1 to \9 and \g<name> are what its groups matched.",
    )


class Route(HasHeaderRules, RouteGuards):
    """A rule of what becomes of requests. All its conditions must hold; the first route that matches wins."""

    model_config = one_of(*GOALS)
    rules = (one_goal, one_path, one_rewriting, changes_what_an_instance_gets, known_groups)

    host: RouteHost | None = Field(
        default=None,
        description="The Host of the requests, without a port, in any case: shop.example.com for that name alone, "
        "*.example.com for every name below example.com. Left out: any host.",
    )
    path: RoutePath | None = Field(
        default=None,
        description="The beginning of the requests' path, in whole segments: /api takes /api and /api/v1, not /apis. "
        "Left out, with path_exact and path_regex: any path.",
    )
    path_exact: RoutePath | None = Field(default=None, description="Or the whole path: /api takes /api alone.")
    path_regex: Expression | None = Field(
        default=None,
        description="Or a regular expression (Python's) that is found in the path: begin it with ^ and end it with $ "
        "where it stands for the whole. A path of more than 1024 bytes that comes to it gets a 414.",
    )
    methods: tuple[Method, ...] | None = Field(
        default=None, min_length=1, description="The methods of the requests, such as [GET, HEAD]. Left out: any."
    )
    headers: FrozenMapping[ConditionHeader, Wanted] = Field(
        default_factory=dict,
        validate_default=True,
        description='Headers of the requests, by name: "yes" for that value, true: it is there, false: it is not, or '
        "{regex: …}.",
    )
    query: FrozenMapping[ConditionField, Wanted] = Field(
        default_factory=dict,
        validate_default=True,
        description='Fields of the query, by their decoded names: "1" for that value, true, false, or {regex: …}.',
    )
    clients: TrustedList | None = Field(
        default=None,
        description="Where the requests come from: addresses, networks, and unix for the clients of a unix socket. "
        "What trusted_proxies say of the address counts. Left out: anywhere.",
    )
    service: ServiceName | None = Field(
        default=None, description="The service that such requests go to: a name under services."
    )
    split: ServiceName | None = Field(
        default=None, description="Or the split that shares them between services: a name under splits."
    )
    redirect: Redirect | None = Field(default=None, description="Or where their clients are sent.")
    answer: FixedAnswer | None = Field(default=None, description="Or what they are answered, without an instance.")
    strip_prefix: Bool = Field(
        default=False, description="true: path is taken off on the way to the instance: /api/v1 becomes /v1."
    )
    rewrite: Rewrite | None = Field(default=None, description="Another path for the instance. Left out: the client's.")
    mirror: Mirror | None = Field(
        default=None, description="Another service that gets copies of the requests. Left out: none does."
    )

    @cached_property
    def shown(self) -> Mapping[str, Any]:
        """What it has beside its place and its service, for people: conditions, and what becomes of its requests."""
        shown: Mapping[str, Any] = freeze(self.model_dump(mode="json", include=_SHOWN, exclude_defaults=True))
        return shown

    @property
    def chooses(self) -> bool:
        """True when it does not take nearly all; a redirect without a path takes those that it would change."""
        own = (self.methods, self.headers, self.query, self.clients)
        away = self.redirect is not None and self.redirect.path is None
        return away or any((self.host, self.path, self.path_exact, self.path_regex, *own))
