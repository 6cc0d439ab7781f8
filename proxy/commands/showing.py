"""Instances and services as tables for people, and as JSON for programs.

Everything from a registry was written by somebody else: in a table each text is one printable line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discovery.instance import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from discovery.catalog import Listed
    from discovery.instance import Instance

WIDEST = 60  # characters of a text in a column

# What may change of an instance that stays the same one.
_FIELDS = ("authority", "weight", "priority", "zone", "tags", "metadata", "availability", "reason")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write rows below a head, in columns as wide as they must be."""
    lines = [tuple(head), *(tuple(map(_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def instances_table(found: Sequence[tuple[str, Instance]]) -> str:
    """Write instances, each with the kind of its registry, which is shown where there are several."""
    kinds = {kind for kind, _ in found}
    head = ["INSTANCE", "ADDRESS", "WEIGHT", "ZONE", "TAGS", "STATE"]
    rows = [
        [one.id, one.authority, str(one.weight), one.zone or "-", ",".join(one.tags) or "-", _state(one)]
        for _, one in found
    ]
    if len(kinds) > 1:
        head.append("REGISTRY")
        rows = [[*row, kind] for row, (kind, _) in zip(rows, found, strict=True)]
    return table(head, rows)


def instance_json(kind: str, one: Instance) -> dict[str, Any]:
    """Write an instance."""
    return {
        "id": one.id,
        "address": one.address,
        "port": one.port,
        "weight": one.weight,
        "zone": one.zone,
        "tags": list(one.tags),
        "metadata": dict(one.metadata),
        "state": one.availability.value,
        "reason": one.reason,
        "registry": kind,
    }


def services_table(found: Sequence[Listed]) -> str:
    """Write services."""
    rows = [
        [one.name, "-" if one.instances is None else str(one.instances), ",".join(one.tags) or "-"] for one in found
    ]
    return table(["SERVICE", "INSTANCES", "TAGS"], rows)


def service_json(one: Listed) -> dict[str, Any]:
    """Write a service; what the list does not tell is left out."""
    count = {} if one.instances is None else {"instances": one.instances}
    return {"name": one.name, **count, "tags": list(one.tags)}


Known = dict[tuple[int, str], tuple[str, "Instance"]]  # by the place of the registry, and the identity there


def changes(before: Known, after: Known) -> dict[str, Any]:
    """Say who joined, who left and what else changed: `{"joined": [...], "left": [...], "changed": {id: {...}}}`."""
    changed: dict[str, dict[str, list[Any]]] = {}
    for key in before.keys() & after.keys():
        (_, old), (_, new) = before[key], after[key]
        fields = {name: [_plain(old, name), _plain(new, name)] for name in _FIELDS}
        differing = {name: pair for name, pair in fields.items() if pair[0] != pair[1]}
        if differing:
            changed[new.id] = differing
    return {
        "joined": sorted(after[key][1].id for key in after.keys() - before.keys()),
        "left": sorted(before[key][1].id for key in before.keys() - after.keys()),
        "changed": dict(sorted(changed.items())),
    }


def sentence(what: Mapping[str, Any]) -> str:
    """Write what `changes` says in words; empty if nothing changed."""
    parts = [f"{word} {', '.join(map(_cell, what[word]))}" for word in ("joined", "left") if what[word]]
    for identity, fields in what["changed"].items():
        told = ", ".join(f"{name} {_cell(str(old))} → {_cell(str(new))}" for name, (old, new) in fields.items())
        parts.append(f"changed {_cell(identity)} ({told})")
    return "; ".join(parts)


def _plain(one: Instance, name: str) -> Any:
    value = getattr(one, name)
    match name:
        case "availability":
            return one.availability.value
        case "tags":
            return list(value)
        case "metadata":
            return dict(value)
    return value


def _state(one: Instance) -> str:
    state = one.availability.value
    return f"{state}: {one.reason}" if one.reason else state


def _cell(text: str) -> str:
    line = first_line(text)
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
