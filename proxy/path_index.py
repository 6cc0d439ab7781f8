"""The routes of one host, found by path without comparing them one by one."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Generic

from config.expressions import LONGEST_MATCHED
from proxy.http.fields import BadMessageError
from proxy.paths import same_as_written
from proxy.route import Compare, Goal

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

    from proxy.conditions import Asked
    from proxy.route import Route

_SLASH = ord("/")


class Placed(Generic[Goal]):
    """A route with its place among all of them."""

    __slots__ = ("conditions", "expression", "goal", "letters", "place")

    def __init__(self, place: int, route: Route[Goal]) -> None:
        self.place = place
        self.goal = route.goal
        self.conditions = route.conditions
        self.expression = route.expression
        self.letters = route.compare is Compare.LETTERS


class _Prefix(Generic[Goal]):
    """A path that some routes' paths begin with, and the longest other one that it begins with itself."""

    __slots__ = ("closed", "longer", "path", "routes")

    def __init__(self, path: bytes, routes: list[Placed[Goal]], longer: _Prefix[Goal] | None) -> None:
        self.path = path
        self.routes = routes
        self.longer = longer
        self.closed = path.endswith(b"/")


class PathIndex(Generic[Goal]):
    """Finds among routes, whose hosts fit, the first that a request matches.

    Prefixes are kept in order. Every prefix of a path is then the greatest one that is not beyond the path, or one that
    this begins with; each knows the next of those. So a look costs a bisection and a few comparisons.
    """

    __slots__ = ("_expressions", "_paths", "_prefixes", "_wherever", "_whole", "first")

    def __init__(self, routes: Iterable[tuple[int, Route[Goal]]]) -> None:
        self._wherever: list[Placed[Goal]] = []  # those without a path
        self._expressions: list[Placed[Goal]] = []
        self._whole: dict[bytes, list[Placed[Goal]]] = {}
        begun: dict[bytes, list[Placed[Goal]]] = {}
        self.first = -1  # the place of the first of them
        for place, route in routes:
            if self.first < 0:
                self.first = place
            placed, path = Placed(place, route), same_as_written(route.path)
            if route.expression is not None:
                self._expressions.append(placed)
            elif not path:
                self._wherever.append(placed)
            elif route.compare is Compare.WHOLE:
                self._whole.setdefault(path, []).append(placed)
            else:
                begun.setdefault(path, []).append(placed)
        self._paths = sorted(begun)
        self._prefixes: list[_Prefix[Goal]] = []
        above: list[_Prefix[Goal]] = []
        for path in self._paths:
            while above and not path.startswith(above[-1].path):
                above.pop()
            above.append(_Prefix(path, begun[path], above[-1] if above else None))
            self._prefixes.append(above[-1])

    def find(self, request: Asked, path: bytes, before: int) -> Placed[Goal] | None:
        """Return the first route that a request matches, of those whose place is below `before`.

        `path` is as routes compare it. Raises BadMessageError for what is too long to be looked at.
        """
        found = None
        if self._wherever and (found := _first(self._wherever, request, before)) is not None:
            before = found.place
        if self._whole and (routes := self._whole.get(path)):
            better = _first(routes, request, before)
            if better is not None:
                found, before = better, better.place
        if self._paths and (at := bisect_right(self._paths, path)):
            prefix: _Prefix[Goal] | None = self._prefixes[at - 1]
            length = len(path)
            while prefix is not None:
                begin = prefix.path
                if path.startswith(begin):
                    ends = prefix.closed or len(begin) == length or path[len(begin)] == _SLASH
                    better = _first_begun(prefix.routes, request, before, ends)
                    if better is not None:
                        found, before = better, better.place
                prefix = prefix.longer
        for route in self._expressions:
            if route.place >= before:
                break
            if (route.conditions is None or route.conditions.hold(request)) and _is_in(path, route.expression):
                return route
        return found


def _first(routes: Sequence[Placed[Goal]], request: Asked, before: int) -> Placed[Goal] | None:
    for route in routes:
        if route.place >= before:
            return None
        if route.conditions is None or route.conditions.hold(request):
            return route
    return None


def _first_begun(routes: Sequence[Placed[Goal]], request: Asked, before: int, ends: bool) -> Placed[Goal] | None:
    """Return the first of some routes whose prefix a path has; `ends` when a segment of the path ends behind it."""
    for route in routes:
        if route.place >= before:
            return None
        if (ends or route.letters) and (route.conditions is None or route.conditions.hold(request)):
            return route
    return None


def _is_in(path: bytes, expression: re.Pattern[bytes] | None) -> bool:
    if len(path) > LONGEST_MATCHED:
        raise BadMessageError(f"a path of more than {LONGEST_MATCHED} bytes, which is too long for this route", 414)
    return expression is not None and expression.search(path) is not None
