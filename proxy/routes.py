"""From a request to its service: the first route that matches."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Goal = TypeVar("Goal")


class Request(Protocol):
    """What routes look at."""

    @property
    def authority(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...


class Compare(enum.Enum):
    """How a route's path is compared with a request's."""

    SEGMENTS = "segments"  # a prefix on a segment boundary: /api holds /api and /api/x, but not /apis
    LETTERS = "letters"  # a prefix: /api holds /apis too
    WHOLE = "whole"  # the whole path: /api holds /api alone


@dataclass(frozen=True, slots=True)
class Route(Generic[Goal]):
    """A rule: requests to `host` whose path `path` holds go to `goal`, a service and the terms for it.

    An empty host or path is no condition. `host` is in lower case, without a port; `*.example.com` stands for every
    name below example.com, not for itself.
    """

    goal: Goal
    host: bytes = b""
    path: bytes = b""
    compare: Compare = Compare.SEGMENTS


class Router(Generic[Goal]):
    """Finds the goal of a request among routes, in their order.

    Where a catalog makes the routes there are thousands, most of them with a host: those of one host are kept together,
    so that a request is compared with the routes of its own host and with those that have none.
    """

    def __init__(self, routes: Sequence[Route[Goal]]) -> None:
        self._hosts: dict[bytes, list[tuple[int, Route[Goal]]]] = {}
        self._others: list[tuple[int, Route[Goal]]] = []
        for place, route in enumerate(routes):
            has_host = route.host and route.host[:2] != b"*."
            (self._hosts.setdefault(route.host, []) if has_host else self._others).append((place, route))
        self._count = len(routes)
        # Most proxies have one route for everything; they should not pay for the others.
        first = routes[0] if routes else None
        self._only = first.goal if first and not first.host and not first.path else None

    def find(self, request: Request) -> Goal | None:
        """Return the goal for a request; None when no route matches."""
        if self._only is not None:
            return self._only
        host = _host(request.authority)
        path = request.target.partition(b"?")[0]
        goal, before = None, self._count
        for place, route in self._hosts.get(host, ()):
            if not route.path or _holds(route, path):
                goal, before = route.goal, place
                break
        for place, route in self._others:
            if place > before:
                break
            if (not route.host or _is_below(route.host, host)) and (not route.path or _holds(route, path)):
                return route.goal
        return goal


def _host(authority: bytes) -> bytes:
    """Take the name out of an authority: no port, lower case, no dot at the end."""
    if authority[:1] == b"[":
        return authority[: authority.find(b"]") + 1].lower()
    return authority.partition(b":")[0].lower().removesuffix(b".")


def _is_below(pattern: bytes, host: bytes) -> bool:
    return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1


def _holds(route: Route[Goal], path: bytes) -> bool:
    wanted, compare = route.path, route.compare
    if compare is Compare.WHOLE:
        return path == wanted
    if not path.startswith(wanted):
        return False
    if compare is Compare.LETTERS:
        return True
    return len(path) == len(wanted) or wanted[-1:] == b"/" or path[len(wanted) : len(wanted) + 1] == b"/"
