"""What one process tells another of an endpoint's health. It is pickled, which what is compiled cannot be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """What one process knows of an endpoint's health, for another one on the same machine; see Health."""

    state: str
    reason: str
    cause: str
    since: float
    until: float
    row: int
    passed: int
    failed: int
    last_probe: str
