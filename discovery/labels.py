"""What the labels of a task or a container say to us: `pointsman.weight`, `pointsman.zone`, `pointsman.tags`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.units import show
from discovery.instance import MAX_WEIGHT, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "pointsman."
KEYS = ("weight", "zone", "tags", "draining")


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels that are for us, with their defaults."""

    weight: int = 1
    zone: str = ""
    tags: tuple[str, ...] = ()
    draining: bool = False


def read_labels(labels: Mapping[str, str]) -> Labels:
    """Read the labels that begin with `pointsman.`; raise ValueError when one is unknown or makes no sense.

    Tags stand side by side, with commas between.
    """
    ours = {key.removeprefix(PREFIX): value for key, value in labels.items() if key.startswith(PREFIX)}
    strange = sorted(set(ours) - set(KEYS))
    if strange:
        # A misspelt weight that is passed over in silence sends a small machine a large one's share.
        known = ", ".join(PREFIX + key for key in KEYS)
        raise ValueError(f"unknown label {show(PREFIX + strange[0])}; there are {known}")
    return Labels(
        weight=_weight(ours.get("weight", "1")),
        zone=one_line(f"{PREFIX}zone", ours.get("zone", "")),
        tags=tuple(tag.strip() for tag in ours.get("tags", "").split(",") if tag.strip()),
        draining=_flag(ours.get("draining", "false")),
    )


def _weight(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= MAX_WEIGHT):
        raise ValueError(f"{PREFIX}weight must be a whole number from 0 to {MAX_WEIGHT}, not {show(text)}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{PREFIX}draining must be true or false, not {show(text)}")
    return text == "true"
