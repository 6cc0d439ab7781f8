"""All rows, by concept."""

from __future__ import annotations

from tests.hostile.responses import (
    bodiless,
    breaks,
    chunks,
    early,
    framing,
    hops,
    interim,
    statuses,
    surplus,
    syntax,
)

_MODULES = (framing, chunks, surplus, bodiless, syntax, statuses, hops, interim, early, breaks)
RESPONSES = {f"{module.__name__.rpartition('.')[2]}: {row.name}": row for module in _MODULES for row in module.ROWS}
