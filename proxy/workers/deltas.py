"""What has changed from one snapshot to the next: what is told of ten thousand instances of which one has changed."""

from __future__ import annotations

import copyreg
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discovery.instance import Instance, Snapshot


def _view(content: dict[str, str]) -> MappingProxyType[str, str]:
    return MappingProxyType(content)


# The metadata of instances, which nobody is to change, are such views; pickle knows none by itself.
copyreg.pickle(MappingProxyType, lambda view: (_view, (dict(view),)))


@dataclass(frozen=True, slots=True)
class Delta:
    """How a snapshot differs from one before it.

    `head` is the snapshot without its instances. `changed` are those that are new or others than before, `gone` the
    identities of those that are not in it any more. `order` lists all identities where they stand in another order than
    the one before had them, with what is new at the end, or where it is not known what was before; else None.
    """

    head: Snapshot
    changed: tuple[Instance, ...]
    gone: tuple[str, ...]
    order: tuple[str, ...] | None


def difference(before: Snapshot | None, after: Snapshot) -> Delta:
    """Say how a snapshot differs from one before it. Each identity is in each of them once."""
    head = replace(after, instances=())
    if before is None:  # whoever is told may know of more, from a control process that has died
        return Delta(head, after.instances, (), tuple(instance.id for instance in after.instances))
    known = {instance.id: instance for instance in before.instances}
    changed: list[Instance] = []
    for instance in after.instances:
        found = known.pop(instance.id, None)
        if found is None or (found is not instance and found != instance):
            changed.append(instance)
    delta = Delta(head, tuple(changed), tuple(known), None)
    order = tuple(instance.id for instance in after.instances)
    if tuple(_merged(before, delta)) == order:
        return delta
    return replace(delta, order=order)


def applied(before: Snapshot | None, delta: Delta) -> Snapshot:
    """Return the snapshot that differs by this from one before it. Raises KeyError if it was another one."""
    merged = _merged(before, delta)
    if delta.order is not None:
        return replace(delta.head, instances=tuple(merged[identity] for identity in delta.order))
    return replace(delta.head, instances=tuple(merged.values()))


def _merged(before: Snapshot | None, delta: Delta) -> dict[str, Instance]:
    merged = {instance.id: instance for instance in before.instances} if before is not None else {}
    for identity in delta.gone:
        del merged[identity]
    for instance in delta.changed:
        merged[instance.id] = instance
    return merged
