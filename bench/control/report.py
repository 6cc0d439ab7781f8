"""What the samples say: percentiles, the tables and the JSON document."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench.control.followers import FOLLOWERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.control.delay import Change
    from bench.control.load import Load


@dataclass(slots=True)
class Results:
    """All that was measured, and which proxy failed in what."""

    changes: list[Change] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def percentile(figures: Iterable[float], share: float) -> float:
    """The smallest of the figures that this share of them does not exceed (nearest rank)."""
    ordered = sorted(figures)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def delay_table(changes: Sequence[Change]) -> str:
    """A proxy a row: from a change until it shows, in milliseconds."""
    rows: list[tuple[str, ...]] = [("", "first request p50", "p99", "last request p50", "p99", "changes", "errors")]
    for name, follower in FOLLOWERS.items():
        own = [change for change in changes if change.proxy == name]
        if not own:
            continue
        cells = []
        for kind in ("register", "deregister"):
            figures = [change.seconds for change in own if change.kind == kind]
            cells += [f"{percentile(figures, share) * 1000:.1f}" if figures else "-" for share in (0.5, 0.99)]
        rows.append((follower.title, *cells, str(len(own)), str(sum(change.errors for change in own))))
    return aligned("milliseconds from a change in Consul to the first or last request routed", rows)


def load_table(loads: Sequence[Load], services: int, instances: int) -> str:
    """A proxy a row: shares of a core, and memory."""
    title = f"{services:,} services with {instances:,} instances"
    used = ("CPU", "Consul's", "peak MiB")
    rows: list[tuple[str, ...]] = [("", "all known after s", *(f"at rest: {used[0]}", *used[1:]), "changes/s", *used)]
    for load in loads:
        rest, changing = load.rest, load.changing
        rows.append(
            (
                FOLLOWERS[load.proxy].title,
                f"{load.ready:.1f}",
                f"{rest.share:.1%}",
                f"{rest.consul_share:.1%}",
                f"{rest.peak_memory / 2**20:.0f}",
                f"{changing.changes / changing.seconds:.0f}",
                f"{changing.share:.1%}",
                f"{changing.consul_share:.1%}",
                f"{changing.peak_memory / 2**20:.0f}",
            )
        )
    return aligned(title, rows)


def aligned(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows as plain text, the first column to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return "\n".join([title, *map("  ".join, lines)])


def document(results: Results) -> dict[str, object]:
    """The results as JSON can hold them: every sample."""
    return {
        "changes": [asdict(change) for change in results.changes],
        "loads": [asdict(load) for load in results.loads],
        "failures": results.failures,
    }
