"""What labels say of an instance.

    pointsman.service=web  pointsman.port=8080  pointsman.weight=3  pointsman.zone=eu-1a  pointsman.tags=v2,canary
    pointsman.metadata.version=2  pointsman.network=backend

The prefix is the configuration's to choose; labels without it are other people's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.units import show
from discovery.instance import MAX_WEIGHT, NO_METADATA, first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "pointsman."
SERVICE = "service"
KEYS = (SERVICE, "port", "weight", "zone", "tags", "network")
METADATA = "metadata."
TAGS = 100
LABEL_LIMIT = 64 * 2**10  # bytes of all labels of ours that one entry has


@dataclass(frozen=True, slots=True)
class Said:
    """What labels say; `port` is None and `network` empty where they say nothing of it."""

    port: int | None = None
    weight: int = 1
    zone: str = ""
    tags: tuple[str, ...] = ()
    network: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)


def read_labels(labels: Mapping[str, str], prefix: str) -> Said:
    """Return what the labels below `prefix` say; raise ValueError, with the label's name, when one makes no sense."""
    ours = {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}
    if sum(len(key) + len(value) for key, value in ours.items()) > LABEL_LIMIT:
        raise ValueError(f"the labels {prefix}* are longer than {LABEL_LIMIT // 2**10} KiB")
    metadata = {key.removeprefix(METADATA): ours.pop(key) for key in list(ours) if key.startswith(METADATA)}
    strange = [first_line(prefix + key) for key in sorted(ours) if key not in KEYS]
    if strange:
        # A misspelt `weight` that is passed over in silence sends a small machine a large one's share.
        known = ", ".join([*KEYS, METADATA + "*"])
        raise ValueError(f"unknown label {', '.join(strange)}; below {prefix} there are {known}")
    return Said(
        port=_number(ours, prefix, "port", 1, 65535),
        weight=1 if (weight := _number(ours, prefix, "weight", 0, MAX_WEIGHT)) is None else weight,
        zone=_line(ours, prefix, "zone"),
        tags=_tags(ours, prefix),
        network=_line(ours, prefix, "network"),
        metadata=metadata or NO_METADATA,
    )


def has_labels(labels: Mapping[str, object], wanted: Mapping[str, str]) -> bool:
    """Tell whether all wanted labels are there; one whose wanted value is empty may have any."""
    return all(key in labels and (not value or labels[key] == value) for key, value in wanted.items())


def label_filter(wanted: Mapping[str, str]) -> list[str]:
    """Return the wanted labels as Docker's filters are written."""
    return [f"{key}={value}" if value else key for key, value in wanted.items()]


def port_of(said: Said, given: int | None, exposed: Iterable[int], prefix: str) -> int:
    """Return the port of an instance: the label's, else the given one, else the only one that is exposed."""
    port = said.port if said.port is not None else given
    if port is not None:
        return port
    ports = sorted(set(exposed))
    if len(ports) == 1:
        return ports[0]
    shown = f"exposes the ports {', '.join(map(str, ports[:10]))}" if ports else "exposes no port"
    raise ValueError(f"{shown}; say which one with the label {prefix}port or the key port")


def _number(labels: Mapping[str, str], prefix: str, key: str, least: int, most: int) -> int | None:
    text = labels.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and least <= int(text) <= most):
        raise ValueError(f"the label {prefix}{key} must be a whole number from {least} to {most}, not {show(text)}")
    return int(text)


def _line(labels: Mapping[str, str], prefix: str, key: str) -> str:
    return one_line(f"the label {prefix}{key}", labels.get(key, ""))


def _tags(labels: Mapping[str, str], prefix: str) -> tuple[str, ...]:
    tags = tuple(tag.strip() for tag in labels.get("tags", "").split(",") if tag.strip())
    if len(tags) > TAGS:
        raise ValueError(f"the label {prefix}tags has more than {TAGS} tags")
    return tuple(one_line(f"the label {prefix}tags", tag) for tag in tags)
