"""What the layouts of instances in ZooKeeper have in common: JSON of bounded size, and labels that say more.

A layout says what one child of a service's path means. Labels are names and values beside an address; every layout has
a place for them. Those named `weight` (a whole number), `zone`, `tags` (with commas between) and `id` mean what they
say, as in the lists of Prometheus' form; the others are the metadata.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from config.units import show
from discovery.file_format import read_instance
from discovery.instance import Availability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from discovery.instance import Instance

VALUE_LIMIT = 64 * 2**10  # bytes; ZooKeeper takes 1 MiB, too much to hold for each child of a large path
LABEL_LIMIT = 100  # labels of one instance

_SEQUENCE = re.compile(r"-?\d{10}$")  # ZooKeeper's number at the end of a sequential node's name

# What a child was read as: an instance, or what a layout wants to keep of it.
Part = Any


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is to be made for an instance; of a sequential one, ZooKeeper completes the name with a number."""

    name: str
    data: bytes
    sequential: bool


class Layout(Protocol):
    """How the instances of a service are written down below its path."""

    def is_entry(self, name: str) -> bool:
        """Tell whether a child of this name is there to be read at all."""
        ...

    def wants_data(self, name: str) -> bool:
        """Tell whether a child's data has to be read, or its name says everything."""
        ...

    def read(self, name: str, data: bytes) -> Part:
        """Return what a child says; raise ValueError when it makes no sense."""
        ...

    def instances(self, parts: Mapping[str, Part]) -> tuple[Instance, ...]:
        """Return the instances that all children together describe, by what `read` returned for each name."""
        ...

    def node(self, service: str, instance: Instance) -> Node:
        """Return the node that describes an instance; raise ValueError when the layout cannot hold what it has."""
        ...


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that a child's data holds."""
    if len(data) > VALUE_LIMIT:
        raise ValueError(f"the data is larger than {VALUE_LIMIT // 2**10} KiB")
    try:
        fields = json.loads(data.decode())
    except UnicodeDecodeError:
        raise ValueError("the data must be UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the data is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"the data must be a JSON object, not {show(fields)}")
    return fields


def make_instance(
    host: object,
    port: object,
    labels: object,
    *,
    id: str = "",
    weight: object = None,
    availability: Availability = Availability.UP,
    reason: str = "",
) -> Instance:
    """Return the instance at `host` and `port`; a given id or weight counts for more than the one in its labels."""
    if not isinstance(host, str) or not host:
        raise ValueError(f"the host must be a name or an address, not {show(host)}")
    if not isinstance(port, int) or isinstance(port, bool):
        raise ValueError(f"the port must be a whole number, not {show(port)}")
    metadata = read_labels(labels)
    named = metadata.pop("id", "")
    written = metadata.get("weight", "")
    if written.isascii() and written.isdecimal() and len(written) <= 10:
        del metadata["weight"]
        weight = int(written) if weight is None else weight
    fields = {
        "id": id or named,
        "weight": weight,
        "zone": metadata.pop("zone", None),
        "tags": [tag.strip() for tag in metadata.pop("tags", "").split(",") if tag.strip()],
        "metadata": metadata,
    }
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    instance = read_instance(f"{bracketed}:{port}", fields, "")
    return dataclasses.replace(instance, availability=availability, reason=reason)


def read_labels(labels: object) -> dict[str, str]:
    """Return those labels that are texts, numbers and truths; what is nested is for others to read."""
    if not isinstance(labels, dict):
        return {}
    plain = {key: _text(value) for key, value in labels.items() if isinstance(value, str | int | float)}
    if len(plain) > LABEL_LIMIT:
        raise ValueError(f"there are more than {LABEL_LIMIT} labels")
    return plain


def write_labels(instance: Instance) -> dict[str, str]:
    """Return the labels that make `make_instance` find again what an instance has beside its address."""
    labels = dict(instance.metadata)
    if instance.weight != 1:
        labels["weight"] = str(instance.weight)
    if instance.zone:
        labels["zone"] = instance.zone
    if instance.tags:
        if any("," in tag for tag in instance.tags):
            raise ValueError("tags must be without commas, which separate them there")
        labels["tags"] = ",".join(instance.tags)
    return labels


def write(fields: Mapping[str, object]) -> bytes:
    data = json.dumps(fields, separators=(",", ":")).encode()
    if len(data) > VALUE_LIMIT:
        raise ValueError(f"what the instance has is larger than {VALUE_LIMIT // 2**10} KiB")
    return data


def newest(named: Iterable[tuple[str, Instance]]) -> tuple[Instance, ...]:
    """Return the instances, by their nodes' names, with each identity once: of several, the one registered last.

    An instance that crashed and is back has two sequential nodes until the session of the old one ends.
    """
    found: dict[str, tuple[int, Instance]] = {}
    for name, instance in named:
        number = sequence(name)
        other = found.get(instance.id)
        if other is None or other[0] < number:
            found[instance.id] = number, instance
    return tuple(instance for _, instance in found.values())


def sequence(name: str) -> int:
    """Return the number that ZooKeeper put at the end of a name; -1 if there is none."""
    number = _SEQUENCE.search(name)
    return int(number[0]) if number else -1


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
