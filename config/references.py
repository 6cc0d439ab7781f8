"""What one part of the file says of another: a route of a service, a bind of the other binds, a key of its neighbours.

It reads plain data, not a Config, so that a mistake in one part does not hide those in another. What is wrong in itself
is passed over; the model tells of it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from config import tcp_references
from config.acme import Acme
from config.balancing import Override, Sticky
from config.declaring import ValidationError
from config.discovery import OWN, SOURCES, Discovery, rules_of
from config.errors import KeyPath, Problem, show_path, suggest
from config.frozen import Model, Rule
from config.header_rules import HEADER_RULES
from config.logs import NAMED_FORMATS, AccessLog
from config.model import EmbeddedRegistry
from config.own_answers import FixedAnswer, Redirect
from config.probe import BodyWanted, Probe
from config.register import TARGETS, OwnProbe, Register, rules_of_target
from config.registries.consul import ConsulCatalog
from config.route import CONDITIONS, GOALS, Rewrite, Route
from config.service import Balancer
from config.split import Split, SplitSticky
from config.together import repeated
from config.units import Bind, parse_bind, parse_instance_address, show
from config.upstream_tls import UpstreamTls

M = TypeVar("M", bound=Model)
T = TypeVar("T")

_WILDCARDS = {"": "all addresses", "0.0.0.0": "all IPv4 addresses", "::": "all IPv6 addresses"}


def check(data: Mapping[str, Any], unresolved: Collection[KeyPath] = ()) -> Iterator[Problem]:
    """Yield what does not fit together; `unresolved` are the paths whose variable had no value."""
    yield from _unknown_services(data)
    yield from _routes(data, unresolved)
    yield from _routes_twice(data, unresolved)
    for name, split in _mapping(data, "splits").items():
        yield from _broken(Split.rules, split, ("splits", name), (), unresolved)
        yield from _broken(SplitSticky.rules, split, ("splits", name), ("sticky",), unresolved)
    for place, listener in enumerate(_list(data, "listeners")):
        yield from _header_rules(listener, ("listeners", place), unresolved)
    yield from _clashing_binds(data)
    yield from tcp_references.check(data)
    yield from _state_nowhere(data, unresolved)
    yield from _broken(Acme.rules, data, (), ("acme",), unresolved)
    yield from _no_authority(data, unresolved)
    for name, service in _mapping(data, "services").items():
        yield from _neighbours(service, ("services", name), unresolved)
    for place, catalog in enumerate(_list(data, "catalogs")):
        path = ("catalogs", place)
        yield from _broken(ConsulCatalog.rules, catalog, path, ("consul",), unresolved)
        yield from _settings(_at(catalog, ("settings",)), (*path, "settings"), unresolved)
    register = data.get("register")
    several = register if isinstance(register, list) else None
    for place, wanted in enumerate([register] if several is None else several):
        whole: KeyPath = ("register", place) if several is not None else ("register",)
        yield from _registered(wanted, whole, data, unresolved)


def balancers(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Balancer]]:
    """Yield the balancers that are written as one should be, for those who know which there are."""
    for name, service in _mapping(data, "services").items():
        if isinstance(service, dict) and (balancer := _attempt(Balancer, service.get("balancer"))):
            yield ("services", name, "balancer"), balancer
    for place, catalog in enumerate(_list(data, "catalogs")):
        if balancer := _attempt(Balancer, _at(catalog, ("settings", "balancer"))):
            yield ("catalogs", place, "settings", "balancer"), balancer


def balancers_of_weights(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Balancer, str]]:
    """Yield the balancers of services that say how weights are to count, and in a few words what says so."""
    for path, balancer in balancers(data):
        service = _at(data, path[:-1])
        discovery, overrides = _at(service, ("discovery",)), _at(service, ("overrides",))
        if isinstance(discovery, list) and any(isinstance(one, dict) and "weight" in one for one in discovery):
            yield path, balancer, "the weights of the sources"
        if isinstance(_at(service, ("slow_start",)), dict):
            yield path, balancer, "the weights that slow_start lets grow"
        items = overrides if isinstance(overrides, list) else []
        if any(isinstance(one, dict) and ("share" in one or one.get("weight")) for one in items):
            yield path, balancer, "the weights of overrides"


def own_registries(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, Mapping[str, Any]]]:
    """Yield the name and the options of the registries that other packages bring along, for those who load them."""
    for name, service in _mapping(data, "services").items():
        discovery = _at(service, ("discovery",))
        several = isinstance(discovery, list)
        for place, source in enumerate(discovery if several else [discovery]):
            path: KeyPath = ("services", name, "discovery", *([place] if several else []))
            for kind in OWN.intersection(source if isinstance(source, dict) else ()):
                if isinstance(source[kind], dict):
                    yield (*path, kind), kind, source[kind]


def access_log_templates(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the access log's template where it is written as one should be, for those who know which fields there are.

    What stands there for a format by its name is none.
    """
    log = _attempt(AccessLog, {"format": _mapping(data, "access_log").get("format")})
    if log is not None and log.format not in NAMED_FORMATS:
        yield ("access_log", "format"), log.format


def _unknown_services(data: Mapping[str, Any]) -> Iterator[Problem]:
    named: list[tuple[KeyPath, Any, str]] = []
    for place, route in enumerate(_list(data, "routes")):
        named += [(("routes", place, key), _at(route, (key,)), f"{key}s") for key in ("service", "split")]
        for asked in ("mirror", "forward_auth"):
            named.append((("routes", place, asked, "service"), _at(route, (asked, "service")), "services"))
    for split, value in _mapping(data, "splits").items():
        shared = _at(value, ("services",))
        named += [(("splits", split, "services", name), name, "services") for name in shared or ()]
    for path, name, section in named:
        known = data.get(section, {})
        if isinstance(name, str) and isinstance(known, dict) and name not in known:
            hint = suggest(name, known, "there are")
            yield Problem(path, f"there is no {show(name)} under {section}", hint)


def _routes(data: Mapping[str, Any], unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    for place, route in enumerate(_list(data, "routes")):
        path = ("routes", place)
        goals = {(*path, goal) for goal in GOALS}
        if goals.isdisjoint(unresolved):
            yield from _broken(Route.rules, route, path, (), unresolved)
        yield from _broken(Rewrite.rules, route, path, ("rewrite",), unresolved)
        yield from _broken(Redirect.rules, route, path, ("redirect",), unresolved)
        yield from _broken(FixedAnswer.rules, route, path, ("answer",), unresolved)
        yield from _header_rules(route, path, unresolved)


def _routes_twice(data: Mapping[str, Any], unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for place, value in enumerate(_list(data, "routes")):
        path = ("routes", place)
        if not isinstance(value, dict) or any(known[:2] == path for known in unresolved):
            continue
        given = {key: value[key] for key in CONDITIONS if value.get(key) is not None}
        route = _attempt(Route, {**given, "service": "any"})
        if route is None:
            continue
        conditions = route.model_dump_json(include=set(CONDITIONS), exclude_defaults=True)
        earlier = first.get(conditions)
        if earlier is not None:
            same = "host and path" if given.keys() <= {"host", "path"} else "conditions"
            yield Problem(path, f"has the same {same} as routes[{earlier}], which always wins")
        elif not _lets_some_pass(value):
            first[conditions] = place


def _lets_some_pass(route: Mapping[str, Any]) -> bool:
    """Tell whether a route may not take all that fits its conditions: a redirect takes what it would change."""
    away = route.get("redirect")
    if not isinstance(away, dict):
        return False
    beginning = route.get("path") or route.get("path_exact") or "/"
    return "path" not in away or str(away["path"]).startswith(str(beginning))


def _clashing_binds(data: Mapping[str, Any]) -> Iterator[Problem]:
    before: list[tuple[KeyPath, Bind]] = []
    for path, bind in _binds(data):
        for earlier, other in before:
            if bind == other and (bind.path or bind.port):
                yield Problem(path, f"{bind} is taken already by {show_path(earlier)}")
                break
            if (wildcard := _covering(bind, other)) is not None:
                message = f"{bind} clashes with {other} of {show_path(earlier)}"
                hint = f"{wildcard} is that port on {_WILDCARDS[wildcard.host]}"
                yield Problem(path, message, hint)
                break
        before.append((path, bind))


def _covering(one: Bind, other: Bind) -> Bind | None:
    """Return which of two binds takes the port of the other too; which addresses a name has is not known here."""
    if one.path or other.path or not one.port or one.port != other.port:
        return None
    for wide, narrow in ((one, other), (other, one)):
        v6 = ":" in narrow.host
        v4 = not v6 and narrow.host.rpartition(".")[2].isdecimal()
        if wide.host == "" or (wide.host == "0.0.0.0" and v4) or (wide.host == "::" and v6):
            return wide
    return None


def _binds(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Bind]]:
    written: list[tuple[KeyPath, Any]] = [
        (("listeners", place), listener) for place, listener in enumerate(_list(data, "listeners"))
    ]
    written.append((("admin",), data.get("admin")))
    registry = data.get("registry")
    if isinstance(registry, dict):
        written.append((("registry",), {"bind": EmbeddedRegistry.model_fields["bind"].default, **registry}))
    for path, value in written:
        if isinstance(value, dict) and (bind := _read(parse_bind, value.get("bind"))):
            yield (*path, "bind"), bind


def _state_nowhere(data: Mapping[str, Any], unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    if data.get("ready_from_state") is True and data.get("state_dir") is None and ("state_dir",) not in unresolved:
        yield Problem(("ready_from_state",), "does nothing without state_dir: add it")
    takeover = data.get("takeover")
    if (
        isinstance(takeover, dict)
        and takeover.get("socket") is None
        and data.get("state_dir") is None
        and not {("state_dir",), ("takeover", "socket")}.intersection(unresolved)
    ):
        yield Problem(("takeover",), "needs a socket, or a state_dir in which it is: add one of them")


def _no_authority(data: Mapping[str, Any], unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    if data.get("acme") is not None or ("acme",) in unresolved:
        return
    for place, listener in enumerate(_list(data, "listeners")):
        if _at(listener, ("tls", "acme")) is not None:
            message = "does nothing without acme at the top of the file: add it, with terms_agreed: true"
            yield Problem(("listeners", place, "tls", "acme"), message)


def _neighbours(service: Any, path: KeyPath, unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    yield from _settings(service, path, unresolved)
    discovery, whole = _at(service, ("discovery",)), (*path, "discovery")
    if isinstance(discovery, list):
        for place, source in enumerate(discovery):
            yield from _source(source, (*whole, place), unresolved)
    else:
        yield from _source(discovery, whole, unresolved)


def _header_rules(holder: Any, path: KeyPath, unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    for key, rules in HEADER_RULES:
        yield from _broken(rules, holder, path, (key,), unresolved)


def _settings(service: Any, path: KeyPath, unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    yield from _header_rules(service, path, unresolved)
    yield from _broken(Probe.rules, service, path, ("health", "probe"), unresolved)
    yield from _broken(BodyWanted.rules, service, path, ("health", "probe", "body"), unresolved)
    yield from _broken(Sticky.rules, service, path, ("sticky",), unresolved)
    yield from _broken(UpstreamTls.rules, service, path, ("tls",), unresolved)
    overrides = _at(service, ("overrides",))
    for place, override in enumerate(overrides if isinstance(overrides, list) else []):
        yield from _broken(Override.rules, override, (*path, "overrides", place), (), unresolved)


def _source(source: Any, path: KeyPath, unresolved: Collection[KeyPath]) -> Iterator[Problem]:
    yield from _broken(Discovery.rules, source, path, (), unresolved)
    for kind in SOURCES:
        yield from _broken(rules_of(kind), source, path, (kind,), unresolved)
    static = _at(source, ("static",))
    if isinstance(static, list):
        whole = (*path, "static")
        known = (
            None if (*whole, place, "id") in unresolved else _identity(value) for place, value in enumerate(static)
        )
        for place, message in repeated(known):
            yield Problem((*whole, place), message)


def _registered(
    wanted: Any, path: KeyPath, data: Mapping[str, Any], unresolved: Collection[KeyPath]
) -> Iterator[Problem]:
    yield from _broken(Register.rules, wanted, path, (), unresolved)
    yield from _broken(OwnProbe.rules, wanted, path, ("probe",), unresolved)
    for kind in TARGETS:
        yield from _broken(rules_of_target(kind), wanted, path, (kind,), unresolved)
    first = next(iter(_list(data, "listeners")), None)
    bind = _read(parse_bind, first.get("bind")) if isinstance(first, dict) else None
    if bind is not None and bind.path and isinstance(wanted, dict) and wanted.get("port") is None:
        yield Problem(path, "must have a port, for the first listener is a unix socket and has none")


def _broken(
    rules: tuple[Rule, ...], holder: Any, path: KeyPath, steps: KeyPath, unresolved: Collection[KeyPath]
) -> Iterator[Problem]:
    """Yield what the mapping that is some steps below a holder does against its rules."""
    part, whole = _at(holder, steps), (*path, *steps)
    if isinstance(part, dict):
        given = {key: value for key, value in part.items() if value is not None or (*whole, key) in unresolved}
        for rule in rules:
            if message := rule(given):
                yield Problem(whole, message)


def _identity(instance: Any) -> str | None:
    if isinstance(instance, dict):
        given = instance.get("id")
        if given is not None:
            return given if isinstance(given, str) and given else None
        instance = instance.get("address")
    address = _read(parse_instance_address, instance)
    return str(address) if address else None


def _at(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _attempt(model: type[M], value: Any) -> M | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _read(form: Callable[[object], T], value: object) -> T | None:
    try:
        return form(value)
    except ValueError:
        return None
