"""One set of a service's instances from several registries: for a service that moves, or is in more than one place.

Two registrations of one address and port are one instance, whatever identity each registry gives it, so what is known
of its health stays while its registration moves. Nothing here waits or reads a clock.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.instance import Availability, Instance, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WHOLE = 1_000_000  # the weights of the instances of one priority add up to this, where sources have weights
_WORST_FIRST = (Availability.DOWN, Availability.DRAINING, Availability.UP)


@dataclass(frozen=True, slots=True)
class Part:
    """What a source has in the whole.

    `weight` is its share of the requests relative to the other sources of its priority that have instances to offer, 0
    for none; None, and then for all sources, when every instance counts by its own weight. Instances of a higher
    `priority` number get requests only as long as too few of those before them are healthy.
    """

    weight: int | None = None
    priority: int = 0


class Joined:
    """Joins the newest snapshot of each source; the sources are known by their place in `parts`."""

    def __init__(self, service: str, parts: Sequence[Part]) -> None:
        self._service = service
        self._parts = tuple(parts)
        self._snapshots: list[Snapshot | None] = [None] * len(self._parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each source has in the whole."""
        return self._parts

    def updated(self, place: int, snapshot: Snapshot) -> Snapshot:
        """Take over a source's snapshot, and return that of the service."""
        self._snapshots[place] = snapshot
        return self._join()

    def reweighed(self, weights: Mapping[int, int]) -> Snapshot:
        """Give the sources at some places other weights, and return the service's snapshot.

        Raises ValueError when the sources have no weights that could be changed, or when none would be above 0.
        """
        if any(part.weight is None for part in self._parts):
            raise ValueError("its sources have no weights: every instance counts by its own")
        parts = tuple(
            dataclasses.replace(part, weight=weights.get(place, part.weight)) for place, part in enumerate(self._parts)
        )
        if not any(part.weight for part in parts):
            raise ValueError("one of its sources must have a weight above 0: nobody would get the requests")
        self._parts = parts
        return self._join()

    def _join(self) -> Snapshot:
        return join(self._service, zip(self._parts, self._snapshots, strict=True))


def join(service: str, sources: Iterable[tuple[Part, Snapshot | None]]) -> Snapshot:
    """Return the instances of all sources that have told theirs.

    An instance that several sources have is as the first of them says, with the tags and the metadata of all. It has
    the weight of all of them in its best priority; where sources have no weights, that of the first. It is offered
    only if all of them offer it: when one of two registries wants an instance spared, sparing it loses no request. A
    source of weight 0 has no say in that where another has the instance too.
    """
    known = [(part, snapshot) for part, snapshot in sources if snapshot is not None]
    scales = _scales(known)
    found: dict[tuple[str, int], list[tuple[Part, Instance, float]]] = {}
    for place, (part, snapshot) in enumerate(known):
        for instance in snapshot.instances:
            share = instance.weight * scales[place] if part.weight is not None else float(instance.weight)
            found.setdefault((instance.address, instance.port), []).append((part, instance, share))
    return Snapshot(
        service,
        tuple(_one(entries) for entries in found.values()),
        index=" ".join(snapshot.index for _, snapshot in known if snapshot.index),
        continuous=all(snapshot.continuous for _, snapshot in known),
        unreadable=tuple(text for _, snapshot in known for text in snapshot.unreadable),
    )


def _scales(known: Sequence[tuple[Part, Snapshot]]) -> list[float]:
    """Return for each source what a weight of 1 in it is worth in the whole."""
    offered = [
        sum(instance.weight for instance in snapshot.instances if instance.availability is Availability.UP)
        for _, snapshot in known
    ]
    wholes: dict[int, int] = {}
    for (part, _), total in zip(known, offered, strict=True):
        if total:
            wholes[part.priority] = wholes.get(part.priority, 0) + (part.weight or 0)
    return [
        WHOLE * part.weight / wholes[part.priority] / total if total and part.weight else 0.0
        for (part, _), total in zip(known, offered, strict=True)
    ]


def _one(entries: Sequence[tuple[Part, Instance, float]]) -> Instance:
    """Make one instance of what the sources say of one address and port."""
    heard = [entry for entry in entries if entry[0].weight != 0] or entries
    instances = [instance for _, instance, _ in heard]
    first = instances[0]
    priority = min(part.priority for part, _, _ in heard)
    shares = [share for part, _, share in heard if part.priority == priority]
    weight = round(sum(shares)) if heard[0][0].weight is not None else int(shares[0])
    worst = min(instances, key=lambda instance: _WORST_FIRST.index(instance.availability))
    metadata = {key: value for instance in reversed(instances) for key, value in instance.metadata.items()}
    return dataclasses.replace(
        first,
        id=first.authority,
        weight=max(weight, 1) if any(shares) else 0,  # a small share of many instances is not rounded away
        priority=priority + first.priority,
        zone=next((instance.zone for instance in instances if instance.zone), ""),
        tags=tuple(dict.fromkeys(tag for instance in instances for tag in instance.tags)),
        metadata=metadata,
        availability=worst.availability,
        reason=worst.reason,
    )
