"""The routing table: the routes of the file and those of the catalogs, in the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.consul.destinations import precedence, shown
from proxy.routes import Compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from config.route import Route
    from discovery.consul.wishes import Wish
    from proxy.edge.guard import Guard
    from proxy.service import Service
    from proxy.splits import Split

MOST = 20_000  # routes of catalogs


@dataclass(frozen=True, slots=True)
class Entry:
    """A route as the table has it; `catalog` is the name of the catalog that it comes from, empty for the file's.

    `path` is an expression where `compare` is None. `wanted` is the route of the file, with all that catalogs do not
    ask for. A route that leads to no service has none; of a split it has the first one. `mirror` gets copies.
    """

    service: Service | None
    host: str = ""
    path: str = ""
    compare: Compare | None = Compare.SEGMENTS
    strip: str = ""
    catalog: str = ""
    wanted: Route | None = None
    split: Split | None = None
    mirror: Service | None = None
    guard: Guard | None = None  # what the route wants of a request before it passes

    @property
    def takes_all(self) -> bool:
        """True for one that every request matches."""
        return not (self.host or self.path or (self.wanted is not None and self.wanted.chooses))


def arrange(
    own: Sequence[Entry], found: Iterable[tuple[str, Service, Wish]]
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return the table, and which of the routes found are not in it, with the reasons.

    `own` are the file's routes, which come first, in their order; but one without any condition, which would take all
    requests, comes last. `found` are those of the catalogs, each with its catalog's name and its service: the more
    specific come first. Of two for the same host and path the first counts, and the names of the services decide when
    nothing else does.
    """
    entries: dict[tuple[str, str, bool], Entry] = {}
    left_out: list[str] = []
    for catalog, service, wish in sorted(found, key=lambda one: (precedence(one[2]), one[1].name)):
        place = (wish.host, wish.path, wish.exact)
        taken = entries.get(place)
        if taken is not None:
            name = taken.service.name if taken.service is not None else ""
            left_out.append(f"{service.name}: {shown(wish)}: {name} has this route already")
        elif len(entries) >= MOST:
            left_out.append(f"{service.name}: {shown(wish)}: there are {MOST} routes already")
        else:
            compare = Compare.WHOLE if wish.exact else Compare.LETTERS
            entries[place] = Entry(service, wish.host, wish.path, compare, wish.strip, catalog)
    first = [entry for entry in own if not entry.takes_all]
    last = [entry for entry in own if entry.takes_all]
    return (*first, *entries.values(), *last), tuple(left_out)
