"""The types of what stands in an answer of Docker's, checked where it is read: nothing is taken on trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping


class EngineError(Exception):
    """An engine is away, refuses, or answers nonsense. The text does not say which engine."""


def objects(answer: object, what: str) -> list[dict[str, Any]]:
    """Return a list of objects; null, which Go writes for an empty list, is one too."""
    if answer is None:
        return []
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise EngineError(f"{what} must be a list of objects, not {show(answer)}; is this Docker's API?")
    return answer


def section(holder: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return the object at the end of `keys`, or an empty one where there is none."""
    found: Any = holder
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def text(holder: Mapping[str, Any], key: str) -> str:
    """Return the text below a key, or an empty one where there is none."""
    found = holder.get(key)
    return found if isinstance(found, str) else ""


def texts(holder: Mapping[str, Any]) -> dict[str, str]:
    """Return what of a mapping are texts, as labels are."""
    return {key: value for key, value in holder.items() if isinstance(value, str)}
