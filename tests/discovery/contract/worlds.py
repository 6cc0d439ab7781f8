"""The registries that the contract suite is run with, by their fixtures."""

from __future__ import annotations

WORLDS: tuple[str, ...] = ()
