"""What one part of the file says of another: a route of a service, a bind of the other binds.

It reads plain data, not a Config, so that a mistake in one part does not hide those in another.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from config.errors import KeyPath, Problem, show_path, suggest
from config.frozen import Model
from config.model import Admin, EmbeddedRegistry, Listener, Route
from config.units import Bind, show

M = TypeVar("M", bound=Model)


def check(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what does not fit together. What is wrong in itself is passed over; the model tells of it."""
    yield from _unknown_services(data)
    yield from _routes_twice(data)
    yield from _binds_twice(data)


def _unknown_services(data: Mapping[str, Any]) -> Iterator[Problem]:
    services = data.get("services")
    if not isinstance(services, dict):
        return
    for place, route in enumerate(_list(data, "routes")):
        name = route.get("service") if isinstance(route, dict) else None
        if isinstance(name, str) and name not in services:
            hint = suggest(name, services, "there are")
            yield Problem(("routes", place, "service"), f"there is no {show(name)} under services", hint)


def _routes_twice(data: Mapping[str, Any]) -> Iterator[Problem]:
    first: dict[tuple[str | None, str | None], int] = {}
    for place, value in enumerate(_list(data, "routes")):
        route = _attempt(Route, value)
        if route is not None and (earlier := first.setdefault((route.host, route.path), place)) != place:
            yield Problem(("routes", place), f"has the same host and path as routes[{earlier}], which always wins")


def _binds_twice(data: Mapping[str, Any]) -> Iterator[Problem]:
    first: dict[Bind, KeyPath] = {}
    for path, bind in _binds(data):
        if (bind.path or bind.port) and (earlier := first.setdefault(bind, path)) != path:
            yield Problem(path, f"{bind} is taken already by {show_path(earlier)}")


def _binds(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Bind]]:
    for place, value in enumerate(_list(data, "listeners")):
        if listener := _attempt(Listener, value):
            yield ("listeners", place, "bind"), listener.bind
    if admin := _attempt(Admin, data.get("admin")):
        yield ("admin", "bind"), admin.bind
    if registry := _attempt(EmbeddedRegistry, data.get("registry")):
        yield ("registry", "bind"), registry.bind


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _attempt(model: type[M], value: Any) -> M | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
