"""What the user says of some instances against the registry: another weight, another priority."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from discovery.instance import Instance, Snapshot


@dataclass(frozen=True, slots=True)
class Override:
    """What becomes of the instances that meet all that is given.

    `id`, `address` (`host:port` or a host alone) and `zone` must be equal, `tags` and `metadata` be among the
    instance's. `weight` replaces the registry's; `share` is a factor on it, of which a weight above 0 stays at least 1.
    `priority` is added to the registry's.
    """

    id: str = ""
    address: str = ""
    zone: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    weight: int | None = None
    share: float = 1.0
    priority: int = 0

    def covers(self, instance: Instance) -> bool:
        """Tell whether an instance meets all that is given."""
        return (
            self.id in ("", instance.id)
            and self.address in ("", instance.address, instance.authority)
            and self.zone in ("", instance.zone)
            and all(tag in instance.tags for tag in self.tags)
            and all(instance.metadata.get(key) == value for key, value in self.metadata.items())
        )

    def applied(self, instance: Instance) -> Instance:
        """Return the instance as it is to count."""
        weight = instance.weight if self.weight is None else self.weight
        if self.share != 1.0 and weight:
            weight = max(round(weight * self.share), 1 if self.share else 0)
        return dataclasses.replace(instance, weight=weight, priority=instance.priority + self.priority)


def apply(overrides: Sequence[Override], snapshot: Snapshot) -> Snapshot:
    """Return the snapshot as it is to count; of the overrides that cover an instance, each is applied in turn."""
    changed = False
    instances: list[Instance] = []
    for instance in snapshot.instances:
        for override in overrides:
            if override.covers(instance):
                instance = override.applied(instance)
                changed = True
        instances.append(instance)
    return dataclasses.replace(snapshot, instances=tuple(instances)) if changed else snapshot


def weigh(weights: Mapping[str, int], snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with these weights, by identity, instead of those that it has."""
    instances = tuple(
        dataclasses.replace(instance, weight=weights[instance.id]) if instance.id in weights else instance
        for instance in snapshot.instances
    )
    return dataclasses.replace(snapshot, instances=instances)
