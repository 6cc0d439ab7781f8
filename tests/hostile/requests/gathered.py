"""All rows, by concept."""

from __future__ import annotations

from tests.hostile.requests import (
    chunks,
    codings,
    expect,
    hops,
    hosts,
    lengths,
    limits,
    lines,
    origins,
    smuggling,
    switching,
    syntax,
    versions,
)

_MODULES = (
    lengths,
    codings,
    chunks,
    syntax,
    lines,
    hosts,
    versions,
    limits,
    hops,
    expect,
    switching,
    origins,
    smuggling,
)
REQUESTS = {f"{module.__name__.rpartition('.')[2]}: {row.name}": row for module in _MODULES for row in module.ROWS}
TUNNELS = {f"switching: {row.name}": row for row in switching.TUNNELS}
