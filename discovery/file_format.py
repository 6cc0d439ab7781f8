"""Read the text of a list of instances: our own, or the one that Prometheus calls file_sd and http_sd.

Ours is a list of `host:port` texts and of mappings:

    - 10.0.0.5:8080
    - address: 10.0.0.6:8080
      id: web-2
      weight: 3

Prometheus' is a list of groups, each with `targets` (`host:port` texts) and `labels`, which become the metadata of each
target; a label `weight` that is a whole number is the weight too, and a label `zone` is the zone.
An instance without an `id` is known by its `host:port`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from config.units import parse_instance_address, show
from discovery.instance import MAX_WEIGHT, NO_METADATA, Availability, Instance, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEYS = ("address", "id", "weight", "zone", "tags", "metadata", "draining")
GROUP_KEYS = ("targets", "labels")
SHORTENED = 200  # characters of a YAML parser's complaint, which may quote much of the file

DEEPEST = 20  # nested lists and mappings; both shapes need four

# libyaml's loader is several times as fast as Python's, but some builds of PyYAML come without it.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]  # one of two classes, known only when it is run
    """Refuses what is nested deeply: libyaml's loader recurses without a bound, and ends the process at some depth."""

    _depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} lists or mappings inside each other")
        super().descend_resolver(current_node, current_index)

    def ascend_resolver(self) -> None:
        self._depth -= 1
        super().ascend_resolver()


def parse(content: bytes, *, is_json: bool = False) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Return the instances, and what is wrong with each entry that makes no sense.

    Raises ValueError when the whole is no list.
    """
    try:
        text = content.decode("utf-8-sig")
        entries = json.loads(text) if is_json else yaml.load(text, _Loader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        complaint = " ".join(str(error).split())
        raise ValueError(f"it is no {'JSON' if is_json else 'YAML'}: {complaint[:SHORTENED]}") from error
    if not isinstance(entries, list):
        raise ValueError(f"it must hold a list of instances, not {show(entries)}; a set without any is written []")
    instances: list[Instance] = []
    unreadable: list[str] = []
    for number, entry in enumerate(entries, 1):
        for name, address, fields in _targets(number, entry, unreadable):
            try:
                instances.append(read_instance(address, fields, "the list of instances says draining"))
            except ValueError as error:
                unreadable.append(f"{name}: {error}")
    return tuple(instances), tuple(unreadable)


def _targets(number: int, entry: object, unreadable: list[str]) -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    """Break an entry up into a name for people, an address and the other fields; a group holds many of them."""
    if isinstance(entry, str):
        yield entry, entry, {}
        return
    if not isinstance(entry, dict):
        unreadable.append(f"entry {number}: must be host:port or a mapping, not {show(entry)}")
        return
    known = GROUP_KEYS if "targets" in entry else KEYS
    strange = [str(key) for key in entry if key not in known]
    if strange:
        # A misspelt `weight` that is passed over in silence sends a small machine a large one's share.
        unreadable.append(f"{_name(number, entry)}: unknown key {', '.join(strange)}; the keys are {', '.join(known)}")
    elif "targets" not in entry:
        yield _name(number, entry), entry.get("address"), entry
    elif not isinstance(entry["targets"], list):
        unreadable.append(f"entry {number}: targets must be a list, not {show(entry['targets'])}")
    else:
        fields = _fields(entry.get("labels"))
        for target in entry["targets"]:
            yield target if isinstance(target, str) else f"entry {number}", target, fields


def _name(number: int, entry: Mapping[Any, Any]) -> str:
    return str(entry.get("id") or entry.get("address") or f"entry {number}")


def _fields(labels: Any) -> Mapping[str, Any]:
    """Write a group's labels as the fields of a mapping of ours."""
    fields = {"metadata": labels}
    if isinstance(labels, dict):
        fields["zone"] = labels.get("zone")
        weight = str(labels.get("weight", ""))
        if weight.isascii() and weight.isdecimal():
            fields["weight"] = int(weight)
    return fields


def read_instance(address: object, fields: Mapping[str, Any], draining: str) -> Instance:
    """Return the instance that `host:port` and the other fields of our own shape describe.

    `draining` is the reason given if it is one that says so. Raises ValueError when a field makes no sense.
    """
    place = parse_instance_address(address)
    is_draining = _is_draining(fields.get("draining"))
    return Instance(
        id=_text(fields, "id") or str(place),
        address=place.host,
        port=place.port,
        weight=_weight(fields.get("weight")),
        zone=_text(fields, "zone"),
        tags=_tags(fields.get("tags")),
        metadata=_metadata(fields.get("metadata")),
        availability=Availability.DRAINING if is_draining else Availability.UP,
        reason=draining if is_draining else "",
    )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not _is_scalar(value):
        raise ValueError(f"{key} must be a text, not {show(value)}")
    return one_line(key, str(value))


def _weight(value: object) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WEIGHT:
        raise ValueError(f"weight must be a whole number from 0 to {MAX_WEIGHT}, not {show(value)}")
    return value


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(_is_scalar(tag) for tag in value):
        raise ValueError(f"tags must be a list of texts, not {show(value)}")
    return tuple(map(str, value))


def _metadata(value: object) -> Mapping[str, str]:
    if value is None:
        return NO_METADATA
    if not isinstance(value, dict) or not all(map(_is_scalar, [*value, *value.values()])):
        raise ValueError(f"metadata and labels must be a mapping of texts, not {show(value)}")
    return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()}


def _is_draining(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"draining must be true or false, not {show(value)}")
    return bool(value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)
