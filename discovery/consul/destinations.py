"""From the instances of a service and what their tags ask for to routes, and to sets of instances behind them.

In Consul each instance has tags of its own: while a new version is rolled out, only the new instances may ask for a
new path. A request must not get to one that did not ask for it, so routes share a set of instances only if the same
instances ask for them, on the same ports and with the same weights.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.consul.wishes import Wish
from discovery.instance import Availability, Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discovery.consul.wishes import Reading

_Place = tuple[str, str, bool]  # a wish's host, path, and whether that is the whole path

SLOTS = 10_000  # what the shares of a route are out of


@dataclass(frozen=True, slots=True)
class Destination:
    """Instances of a service, and the routes that lead to them.

    `part` is empty for the instances that make up the service; for others it says which of its routes leads to them.
    The wishes have the port 0 and no weight: the instances have them.
    """

    part: str
    instances: tuple[Instance, ...]
    routes: tuple[Wish, ...]


def destinations(
    instances: Sequence[Instance], read: Callable[[Instance], Reading]
) -> tuple[tuple[Destination, ...], tuple[str, ...]]:
    """Return where the routes of a service lead, and what of its tags is left out, with the reasons.

    The routes that the most instances ask for lead to the service as a whole; of several such sets the one whose route
    comes first counts.
    """
    routes: dict[_Place, Wish] = {}
    carriers: dict[_Place, dict[str, Instance]] = {}
    shares: dict[_Place, dict[str, float]] = {}
    left_out: dict[str, None] = {}
    for instance in sorted(instances, key=lambda instance: instance.id):
        reading = read(instance)
        left_out.update(dict.fromkeys(f"{instance.id}: {text}" for text in reading.left_out))
        for wish in reading.wishes:
            place = (wish.host, wish.path, wish.exact)
            route = routes.get(place) or Wish(*place, strip=wish.strip)
            if route.strip != wish.strip:
                text = f"strips {wish.strip or 'nothing'}, but another instance {route.strip or 'nothing'}"
                left_out[f"{instance.id}: {shown(wish)}: {text}"] = None
                continue
            routes[place] = dataclasses.replace(route, rank=max(route.rank, wish.rank))
            carriers.setdefault(place, {}).setdefault(instance.id, _as_wished(instance, wish))
            if wish.share > 0:
                shares.setdefault(place, {})[instance.id] = wish.share
    groups: dict[object, tuple[tuple[Instance, ...], list[Wish]]] = {}
    for place, route in sorted(routes.items(), key=lambda item: precedence(item[1])):
        group = _shared(tuple(carriers[place].values()), shares.get(place, {}))
        same = tuple((instance.id, instance.port, instance.weight) for instance in group)
        groups.setdefault(same, (group, []))[1].append(route)
    largest = max((len(group) for group, _ in groups.values()), default=0)
    found: list[Destination] = []
    names: set[str] = set()
    whole_found = False
    for group, wanted in groups.values():
        is_whole = len(group) == largest and not whole_found
        whole_found = whole_found or is_whole
        found.append(Destination("" if is_whole else _part(wanted[0], names), group, tuple(wanted)))
    return tuple(found), tuple(left_out)


def precedence(route: Wish) -> tuple[int, str, int, str, bool]:
    """Sort routes: the higher rank first; of one rank the longer path, and the rest only so that there is an order."""
    return -route.rank, route.host, -len(route.path), route.path, not route.exact


def shown(route: Wish) -> str:
    """Return a route as people write it: `shop.example.com/api`, with `=` before a path that must be the whole one."""
    path = route.path or "/"
    return f"{route.host}{' = ' if route.exact else ''}{path}".strip()


def _as_wished(instance: Instance, wish: Wish) -> Instance:
    if not wish.port and wish.weight is None:
        return instance
    return dataclasses.replace(
        instance,
        port=wish.port or instance.port,
        weight=instance.weight if wish.weight is None or not instance.weight else wish.weight,
    )


def _shared(instances: tuple[Instance, ...], shares: dict[str, float]) -> tuple[Instance, ...]:
    """Give the instances the weights that make up fabio's shares of the requests.

    As in fabio, what the shares leave is for the instances without one, in equal parts; shares of more than the whole,
    or of less when all have one, count relative to each other. Only instances that are up are counted.
    """
    if not shares:
        return instances
    up = {instance.id for instance in instances if instance.availability is Availability.UP}
    fixed = sum(share for name, share in shares.items() if name in up)
    others = len(up - shares.keys())
    scale = 1 / fixed if fixed > 1 or (fixed and not others) else 1.0
    rest = max(1 - fixed, 0.0) / others if others else 0.0
    return tuple(
        dataclasses.replace(instance, weight=_slots(shares.get(instance.id, 0.0) * scale or rest))
        for instance in instances
    )


def _slots(share: float) -> int:
    return max(round(SLOTS * share), 1) if share > 0 else 0


def _part(route: Wish, taken: set[str]) -> str:
    """Name a set of instances by a route of theirs, in letters that fit a URL and a label."""
    name = base = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{route.host}{route.path}".strip("/"))[:64] or "any"
    number = 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name
