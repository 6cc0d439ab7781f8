"""From a request to its service: the first route that matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Goal = TypeVar("Goal")


@dataclass(frozen=True, slots=True)
class Route(Generic[Goal]):
    """A rule: requests to `host` whose path lies below `path` go to `goal`, a service and the terms for it.

    An empty host or path is no condition. `host` is in lower case, without a port; `*.example.com` stands for every
    name below example.com, not for itself. `path` is a prefix on a segment boundary: /api holds /api and /api/x, but
    not /apis.
    """

    goal: Goal
    host: bytes = b""
    path: bytes = b""


class Router(Generic[Goal]):
    """Finds the goal of a request among routes, in their order."""

    def __init__(self, routes: Sequence[Route[Goal]]) -> None:
        self._routes = tuple(routes)
        # Most proxies have one route for everything; they should not pay for the others.
        first = self._routes[0] if self._routes else None
        self._only = first.goal if first and not first.host and not first.path else None

    def find(self, authority: bytes, target: bytes) -> Goal | None:
        """Return the goal for a request's Host (with or without a port) and target; None when no route matches."""
        if self._only is not None:
            return self._only
        host = _host(authority)
        path = target.partition(b"?")[0]
        for route in self._routes:
            if (not route.host or _is_host(route.host, host)) and (not route.path or _is_below(route.path, path)):
                return route.goal
        return None


def _host(authority: bytes) -> bytes:
    """Take the name out of an authority: no port, lower case, no dot at the end."""
    if authority[:1] == b"[":
        return authority[: authority.find(b"]") + 1].lower()
    return authority.partition(b":")[0].lower().removesuffix(b".")


def _is_host(wanted: bytes, host: bytes) -> bool:
    if wanted[:2] == b"*.":
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    return host == wanted


def _is_below(prefix: bytes, path: bytes) -> bool:
    if not path.startswith(prefix):
        return False
    return len(path) == len(prefix) or prefix[-1:] == b"/" or path[len(prefix) : len(prefix) + 1] == b"/"
