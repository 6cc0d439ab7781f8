"""The figures as a table for people, and as the JSON document that `python -m bench.compare` reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.micro.timing import Measured, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KIND = "pointsman micro"


class NotADocumentError(Exception):
    """A file is not what `python -m bench.micro` writes. The text says why."""


def table(measured: Sequence[Measured]) -> str:
    """A case a row: the median, and between what the middle half of the samples lies."""
    width = max(len(one.name) for one in measured)
    lines = [f"{'':<{width}}  {'median':>12}  {'middle half':>22}"]
    for one in measured:
        cost = one.cost
        lines.append(f"{one.name:<{width}}  {show(cost.median):>12}  {show(cost.low):>10}..{show(cost.high):>10}")
    return "\n".join(lines)


def show(nanoseconds: float) -> str:
    """Nanoseconds as people read them."""
    return f"{nanoseconds / 1000:.2f} µs" if nanoseconds < 1e6 else f"{nanoseconds / 1e6:.2f} ms"


def document(measured: Sequence[Measured], head: Mapping[str, object]) -> dict[str, object]:
    """What is written: when, on what and how it was measured, then each case with all its samples."""
    cases = [
        {
            "name": one.name,
            "nanoseconds": asdict(one.cost),
            "samples": [[round(sample.cost, 1), round(sample.yardstick, 1)] for sample in one.samples],
        }
        for one in measured
    ]
    return {"kind": KIND, **head, "cases": cases}


def read(path: Path) -> tuple[dict[str, Any], list[Measured]]:
    """Read what was written: the head and the cases. Raises NotADocumentError."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotADocumentError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise NotADocumentError(f"{path} was not written by `python -m bench.micro --json`")
    try:
        measured = [
            Measured(case["name"], [Sample(float(cost), float(yardstick)) for cost, yardstick in case["samples"]])
            for case in content.pop("cases")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NotADocumentError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    if not all(one.samples for one in measured):
        raise NotADocumentError(f"{path} is damaged: a case without a sample")
    return content, measured
