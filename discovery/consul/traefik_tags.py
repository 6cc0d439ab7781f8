"""Read Traefik's tags: `traefik.enable=true`, routers with their rules, the port and the weight of their services.

What there is: https://doc.traefik.io/traefik/reference/routing-configuration/other-providers/consul-catalog/
An instance without `traefik.enable=true` asks for nothing, as with Traefik's `exposedByDefault: false`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.units import show
from discovery.consul.traefik_rules import Match, read_rule
from discovery.consul.wishes import RefusedError, Wish, named, read_path
from discovery.instance import MAX_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "traefik."

_ROUTER, _SERVICE, _MIDDLEWARE = "traefik.http.routers.", "traefik.http.services.", "traefik.http.middlewares."
_HIGHEST = 1_000_000_000  # priority; more makes no difference
# Options of a service that change how it is asked, not what is asked or who may: the route is used without them.
_PASSED_OVER = ("healthcheck", "sticky", "responseforwarding", "strategy")


@dataclass(frozen=True, slots=True)
class _Target:
    """A service of Traefik's, as an instance describes itself in it."""

    port: int = 0
    weight: int | None = None


def speaks(tag: str) -> bool:
    """Tell whether a tag is one of Traefik's."""
    return tag.lstrip()[: len(PREFIX)].lower() == PREFIX


def read(service: str, tags: Iterable[str], entrypoints: Iterable[str] = ()) -> Iterator[Wish | str]:
    """Yield each wish of an instance's tags, and for each router or tag that is left out what it is and why.

    `service` is its name in Consul. A router that names entry points is left out if none of them is among
    `entrypoints`, unless there are none.
    """
    said = dict(_key(tag) for tag in tags if speaks(tag))
    if not _is_true(said.pop("traefik.enable", "false")):
        return
    if said.pop("traefik.consulcatalog.connect", "false") != "false":
        yield named(service, "traefik.consulcatalog.connect: sidecars are not spoken to")
        return
    routers, others = _below(_ROUTER, said)
    services, others = _below(_SERVICE, others)
    middlewares, others = _below(_MIDDLEWARE, others)
    for key in others:
        yield named(key, "only traefik.http.routers, .services and .middlewares are read")
    if not routers:
        yield named(service, "has no traefik.http.routers.NAME.rule")
    for name, options in services.items():
        for option in options:
            if option.startswith(tuple(f"loadbalancer.{passed_over}" for passed_over in _PASSED_OVER)):
                yield named(f"{_SERVICE}{name}.{option}", "passed over; its routes are used without it")
    for name, options in routers.items():
        try:
            target = _target(service, services, options.get("service"))
            yield from _wishes(options, target, middlewares, entrypoints)
        except RefusedError as error:
            yield named(f"{_ROUTER}{name}", error)


def _wishes(
    router: Mapping[str, str], target: _Target, middlewares: Mapping[str, Mapping[str, str]], wanted: Iterable[str]
) -> Iterator[Wish]:
    prefixes: list[str] = []
    for option, value in router.items():
        match option.partition(".")[0]:
            case "rule" | "service" | "priority" | "observability" | "rulesyntax":
                pass
            case "entrypoints":
                given = [name.strip() for name in value.split(",")]
                if wanted and not set(given) & set(wanted):
                    raise RefusedError(f"its entry points {value} are not among those that count")
            case "middlewares":
                prefixes += _stripped(value, middlewares)
            case "tls":
                if value != "false":
                    raise RefusedError(f"{option}: TLS is not spoken with clients")
            case _:
                raise RefusedError(f"{option}: this option is not known")
    rule = router.get("rule", "")
    if not rule:
        raise RefusedError("has no rule")
    try:
        matches = read_rule(rule)
    except RefusedError as error:
        raise RefusedError(f"rule {show(rule)}: {error}") from None
    rank = _whole("priority", router.get("priority", "0"), _HIGHEST) or len(rule)
    for match in matches:
        strip = _prefix_of(match, prefixes)
        yield Wish(match.host, match.path, match.exact, strip, rank, target.port, target.weight)


def _target(service: str, services: Mapping[str, Mapping[str, str]], named_one: str | None) -> _Target:
    """Find the service that a router leads to: the one that it names, the only one, or the one in Consul itself."""
    if named_one is None:
        if len(services) > 1:
            raise RefusedError("must name one of its services: there are several")
        options = next(iter(services.values()), {})
    else:
        name = named_one.removesuffix("@consulcatalog").lower()
        found = services.get(name)
        if found is None and name != service.lower():
            raise RefusedError(f"its service {named_one} is not one of this instance's")
        options = found or {}
    port, weight = 0, None
    for option, value in options.items():
        what = option.removeprefix("loadbalancer.")
        if what == "server.port":
            port = _whole(option, value, 65535)
        elif what == "server.weight":
            weight = _whole(option, value, MAX_WEIGHT)
        elif what == "server.scheme":
            if value.lower() != "http":
                raise RefusedError(f"{option}={value}: only HTTP is passed on, and without TLS")
        elif what == "passhostheader":
            if not _is_true(value):
                raise RefusedError(f"{option}={value}: the Host header is passed on as it is")
        elif not what.startswith(_PASSED_OVER):
            raise RefusedError(f"{option}: this option is not known")
    return _Target(port, weight)


def _stripped(names: str, middlewares: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the prefixes that a router's middlewares strip, which is all that they may do."""
    prefixes: list[str] = []
    for name in filter(None, (name.strip() for name in names.split(","))):
        options = dict(middlewares.get(name.removesuffix("@consulcatalog").lower(), {}))
        options.pop("stripprefix.forceslash", None)
        given = options.pop("stripprefix.prefixes", "")
        if not given or options:
            raise RefusedError(f"its middleware {name} is none of this instance's that only strips prefixes")
        prefixes += [read_path(prefix.strip()) for prefix in given.split(",")]
    return prefixes


def _prefix_of(match: Match, prefixes: list[str]) -> str:
    """Choose the prefix that Traefik would strip; whether it does must follow from the rule alone."""
    for prefix in prefixes:
        if match.path.startswith(prefix):
            return prefix
        if not match.exact and prefix.startswith(match.path):
            raise RefusedError(f"strips {prefix}, which only some of its paths begin with")
    return ""


def _key(tag: str) -> tuple[str, str]:
    """Split a tag; its key counts in any case, as in Traefik."""
    key, _, value = tag.partition("=")
    return key.strip().lower(), value.strip()


def _below(prefix: str, said: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Gather what is said of each name below a prefix, and return the rest too."""
    found: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for key, value in said.items():
        name, dot, option = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and name and dot:
            found.setdefault(name, {})[option] = value
        else:
            others[key] = value
    return found, others


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "t")


def _whole(option: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise RefusedError(f"{option} must be a whole number, not {show(text)}")
    if int(text) > most and option != "priority":
        raise RefusedError(f"{option} must be at most {most}, not {text}")
    return min(int(text), most)
