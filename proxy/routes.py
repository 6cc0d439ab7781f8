"""From a request to its service: the first route that matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from mypy_extensions import mypyc_attr

from proxy.http.fields import BadMessageError
from proxy.path_index import PathIndex
from proxy.paths import compared, slashed
from proxy.route import Compare, Goal, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.conditions import Asked


__all__ = ["Compare", "Route", "Router", "host_of"]

_ROOM = 4096  # authorities whose routes are remembered
_LONGEST = 256  # bytes of one that is


@mypyc_attr(allow_interpreted_subclasses=True)
class Router(Generic[Goal]):
    """Finds the goal of a request among routes, in their order.

    The routes of one host are kept together, as are those of all hosts below another and those without a host, each
    with an index of their paths. A request is looked up in the few of them that are for its host, and what they find
    counts by its place among all routes.
    """

    def __init__(self, routes: Sequence[Route[Goal]]) -> None:
        by_host: dict[bytes, list[tuple[int, Route[Goal]]]] = {}
        for place, route in enumerate(routes):
            by_host.setdefault(route.host, []).append((place, route))
        indexes = {host: PathIndex(placed) for host, placed in by_host.items()}
        self._wherever = indexes.pop(b"", None)
        self._below = {host[1:]: indexes.pop(host) for host in list(indexes) if host[:2] == b"*."}
        self._deepest = max((host.count(b".") for host in self._below), default=0)
        self._hosts = indexes
        self._known: dict[bytes, tuple[PathIndex[Goal], ...]] = {}  # by authority
        self._count = len(routes)
        # Most proxies have one route for everything; they should not pay for the others.
        first = routes[0] if routes else None
        bare = first is not None and not (first.host or first.path or first.expression or first.conditions)
        self._only = first.goal if first is not None and bare else None

    def find(self, request: Asked) -> Goal | None:
        """Return the goal for a request; None when no route matches.

        Raises BadMessageError for a request that no route can be found for: a path that servers read differently, or
        something that is too long for the route that it comes to.
        """
        if self._only is not None:
            return self._only
        authority = request.authority
        indexes = self._known.get(authority)
        if indexes is None:
            indexes = self._learn(authority)
        path = request.target
        if b"?" in path:
            path = path[: path.index(b"?")]
        if b"%" in path or b"/." in path or b"//" in path or b"\\" in path:
            path = compared(path)
            if (other := slashed(path)) != path and self._found(indexes, request, other) is not self._found(
                indexes, request, path
            ):
                raise BadMessageError("a path that servers do not agree on: an escaped slash or a backslash")
        return self._found(indexes, request, path)

    def _found(self, indexes: Iterable[PathIndex[Goal]], request: Asked, path: bytes) -> Goal | None:
        goal, before = None, self._count
        for index in indexes:
            if index.first >= before:
                break
            found = index.find(request, path, before)
            if found is not None:
                goal, before = found.goal, found.place
        return goal

    def _learn(self, authority: bytes) -> tuple[PathIndex[Goal], ...]:
        """Find the routes for an authority, those with the first of all routes first."""
        host = host_of(authority)
        found = [self._hosts.get(host), self._wherever]
        at = len(host)
        for _ in range(self._deepest):
            at = host.rfind(b".", 0, at)
            if at <= 0:
                break
            found.append(self._below.get(host[at:]))
        indexes = tuple(sorted((index for index in found if index is not None), key=lambda index: index.first))
        if len(authority) <= _LONGEST:
            if len(self._known) >= _ROOM:
                self._known.clear()
            self._known[authority] = indexes
        return indexes


def host_of(authority: bytes) -> bytes:
    """Take the name out of an authority: no port, lower case, no dot at the end."""
    if authority[:1] == b"[":
        return authority[: authority.find(b"]") + 1].lower()
    return authority.partition(b":")[0].lower().removesuffix(b".")
