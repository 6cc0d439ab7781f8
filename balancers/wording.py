"""What is said of endpoints, to operators and to clients who are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from balancers.endpoint import Endpoint
    from discovery.instance import Instance


def said(error: Exception) -> str:
    """Name an error and what it says."""
    return f"{type(error).__name__}: {error}"


def difference(before: Instance, after: Instance) -> str:
    """Say what has changed of an instance."""
    changes = []
    if before.weight != after.weight:
        changes.append(f"weight {before.weight} to {after.weight}")
    if before.availability is not after.availability or before.reason != after.reason:
        why = f" ({after.reason})" if after.reason else ""
        changes.append(f"{before.availability.value} to {after.availability.value}{why}")
    changes += [
        name for name in ("priority", "zone", "tags", "metadata") if getattr(before, name) != getattr(after, name)
    ]
    return ", ".join(changes)


def why_unoffered(endpoints: Collection[Endpoint]) -> str:
    """Say why none of these endpoints is offered."""
    drained = [endpoint for endpoint in endpoints if endpoint.drained]
    if not drained:
        return f"{none_of(endpoints)} offered by the registry: draining, down or of weight 0"
    if len(endpoints) == 1:
        return f"its only instance is {drained[0].drained}"
    if len(drained) == len(endpoints):
        return f"all of its {len(endpoints)} instances are drained; {drained[0].instance.id}: {drained[0].drained}"
    some = f"{len(drained)} of its {len(endpoints)} instances are drained ({drained[0].instance.id}: "
    return f"{some}{drained[0].drained}), and the registry offers none of the others: draining, down or of weight 0"


def none_of(endpoints: Collection[Endpoint]) -> str:
    """Begin a sentence about these endpoints."""
    return "its only instance is not" if len(endpoints) == 1 else f"none of its {len(endpoints)} instances is"
