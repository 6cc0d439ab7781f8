"""What TCP listeners say of services, and what they and the services that only they lead to cannot have."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.errors import KeyPath, Problem, suggest
from config.tcp import Tcp
from config.texts import parse_route_host
from config.units import show

# The keys of a listener that are about requests.
_OF_REQUESTS: tuple[KeyPath, ...] = (
    ("allow_connect",),
    ("allow_trace",),
    ("forwarded",),
    ("trusted_proxies",),
    ("rate_limit",),
    ("request_headers",),
    ("response_headers",),
    ("tls", "forward_certificate"),
    *(("timeouts", key) for key in ("body_idle", "request", "keepalive")),
    *(("limits", key) for key in ("request_line", "headers", "header_count", "body", "requests_per_connection")),
)
_HASHING = ("ring_hash", "maglev")


def check(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the TCP listeners, and with the services that nobody else leads to."""
    services = data.get("services")
    named: set[str] = set()
    for place, listener in enumerate(_items(data.get("listeners"))):
        if not isinstance(listener, dict) or not isinstance(listener.get("tcp"), dict):
            continue
        path: KeyPath = ("listeners", place)
        yield from _unheeded(listener, path)
        tcp, whole = listener["tcp"], (*path, "tcp")
        for rule in Tcp.rules:
            if message := rule({key: value for key, value in tcp.items() if value is not None}):
                yield Problem(whole, message)
        for where, name in _services(tcp, whole):
            if isinstance(services, dict) and name not in services:
                yield Problem(where, f"there is no {show(name)} under services", suggest(name, services, "there are"))
            named.add(name)
        yield from _repeated(tcp, whole)
    routed = set(_of_routes(data))
    for name, service in services.items() if isinstance(services, dict) else ():
        if name in named and name not in routed and isinstance(service, dict):
            yield from _beyond_tcp(service, ("services", name))


def all_tcp(listeners: object) -> bool:
    """Tell whether no listener takes requests, so that there need be no routes for them."""
    items = listeners if isinstance(listeners, list | tuple) else []
    return bool(items) and all(isinstance(one, Mapping) and one.get("tcp") is not None for one in items)


def _unheeded(listener: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    for steps in _OF_REQUESTS:
        value: Any = listener
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None and value is not False:
            yield Problem((*path, *steps), "does nothing beside tcp, for it is about requests: leave it out")


def _services(tcp: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(tcp.get("service"), str):
        yield (*path, "service"), tcp["service"]
    for place, route in enumerate(_items(tcp.get("routes"))):
        if isinstance(route, dict) and isinstance(route.get("service"), str):
            yield (*path, "routes", place, "service"), route["service"]


def _of_routes(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the services that get requests, too."""
    splits = data.get("splits")
    routes = [route for route in _items(data.get("routes")) if isinstance(route, dict)]
    for holder in routes + [route.get(key) for route in routes for key in ("mirror", "forward_auth")]:
        if isinstance(holder, dict) and isinstance(holder.get("service"), str):
            yield holder["service"]
    for split in splits.values() if isinstance(splits, dict) else ():
        if isinstance(split, dict) and isinstance(split.get("services"), dict):
            yield from split["services"]


def _repeated(tcp: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for place, route in enumerate(_items(tcp.get("routes"))):
        try:
            name = parse_route_host(route["sni"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # the model tells of it
        if (earlier := first.setdefault(name, place)) != place:
            yield Problem((*path, "routes", place), f"has the same sni as routes[{earlier}], which always wins")


def _beyond_tcp(service: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    """Find what hangs on a request's headers, in a service to which only TCP listeners lead."""
    why = "only TCP listeners lead to this service, whose connections have no"
    if service.get("sticky") is not None:
        yield Problem((*path, "sticky"), f"does nothing: {why} cookies", "balance by ring_hash, or leave it out")
    if service.get("subset") is not None:
        yield Problem((*path, "subset"), f"does nothing: {why} headers", "leave it out")
    for key in ("request_headers", "response_headers"):
        if service.get(key):
            yield Problem((*path, key), f"does nothing: {why} headers", "leave it out")
    health = service.get("health")
    if isinstance(health, dict) and health.get("panic_header") is True:
        yield Problem((*path, "health", "panic_header"), f"does nothing: {why} headers", "leave it out")
    balancer = service.get("balancer")
    if isinstance(balancer, dict) and balancer.get("type") in _HASHING:
        key = balancer.get("key", "client")
        if "client" not in (key if isinstance(key, list) else [key]):
            message = f"would have no key to go by: {why} paths, headers, cookies or queries"
            yield Problem((*path, "balancer"), message, "write key: client")


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
