"""From the name that a TLS client wants to its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Goal = TypeVar("Goal")


class Names(Generic[Goal]):
    """Finds the goal of a name among routes, in their order: the first that matches.

    A route's name is in lower case; `*.example.com` stands for every name below example.com, not for itself. `others`
    is the goal of all other connections, those without a name too; None when they have none. However many routes there
    are, a name is looked up once for each of its labels.
    """

    def __init__(self, routes: Iterable[tuple[str, Goal]], others: Goal | None) -> None:
        self._routes = tuple(routes)
        self._places: dict[str, int] = {}
        self._goals: list[Goal] = []
        for place, (name, goal) in enumerate(self._routes):
            self._places.setdefault(name, place)
            self._goals.append(goal)
        self.others = others

    def __bool__(self) -> bool:
        """Tell whether names are looked at at all."""
        return bool(self._goals)

    def find(self, name: str) -> Goal | None:
        """Return the goal for a name, which is empty where the client named none; None when it has none."""
        places = []
        if name:
            places = [self._places[name]] if name in self._places else []
            below = name
            while (dot := below.find(".")) >= 0:
                below = below[dot + 1 :]
                if (place := self._places.get(f"*.{below}")) is not None:
                    places.append(place)
        return self._goals[min(places)] if places else self.others

    def shown(self) -> Iterator[tuple[str, Goal]]:
        """Yield the routes in their order, and last, with an empty name, the goal of all others."""
        yield from self._routes
        if self.others is not None:
            yield "", self.others
