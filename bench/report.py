"""What the samples say: medians, spreads, ratios per round, the table and the JSON document."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from bench.contenders import OURS
from bench.measurement import Sample
from bench.workloads import Figure, Workload


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some figures, and how far they lie apart."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of a sample, and how it is shown."""

    figure: str
    """The name of the sample's property."""
    head: str
    scale: float
    digits: int


COLUMNS = (
    Column("cpu_per_request", "CPU µs/request", 1e6, 1),
    Column("throughput", "requests/s", 1, 0),
    Column("p50", "p50 ms", 1e3, 2),
    Column("p99", "p99 ms", 1e3, 2),
    Column("p999", "p99.9 ms", 1e3, 2),
    Column("busy", "busy %", 100, 0),
    Column("peak_memory", "peak MiB", 2**-20, 1),
)
# Those that only some workloads have.
OWN_COLUMNS = {
    Figure.MEAN: Column("mean", "mean ms", 1e3, 2),
    Figure.ADDED: Column("added_p50", "added µs", 1e6, 0),
    Figure.MEMORY: Column("memory_each", "KiB/connection", 2**-10, 1),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """A proxy under a workload, over all rounds. Times are in seconds, memory in bytes."""

    figures: dict[str, Spread]
    """By the name of the sample's property."""
    errors: int
    ratios: dict[str, Spread]
    """pointsman's figure over this proxy's, round by round; none for pointsman itself and without it."""
    ratio: Spread | None
    """That of the workload's own figure."""


@dataclass(slots=True)
class Result:
    """All that was measured under one workload."""

    workload: Workload
    samples: list[Sample] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Proxy and why it failed, or is missing."""

    def columns(self) -> list[Column]:
        """The figures of this workload, its own first."""
        own = OWN_COLUMNS.get(self.workload.figure)
        return [own, *COLUMNS] if own else list(COLUMNS)

    def summaries(self) -> dict[str, Summary]:
        """One summary a proxy, for those with a sample at all."""
        proxies = dict.fromkeys(sample.proxy for sample in self.samples)
        return {proxy: self._summary(proxy) for proxy in proxies}

    def _summary(self, proxy: str) -> Summary:
        samples = [sample for sample in self.samples if sample.proxy == proxy]
        names = [column.figure for column in self.columns()]
        against = {name: ratios(self.samples, proxy, name) for name in names}
        found = {name: spread(figures) for name, figures in against.items() if figures}
        return Summary(
            figures={name: spread([figure(sample, name) for sample in samples]) for name in names},
            errors=sum(sample.errors for sample in samples),
            ratios=found,
            ratio=found.get(self.workload.figure),
        )


def spread(figures: Sequence[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(median(figures), min(figures), max(figures))


def figure(sample: Sample, name: str) -> float:
    """A figure of a sample by its name; 0 where it was not measured."""
    value = getattr(sample, name)
    return 0.0 if value is None else float(value)


def ratios(samples: Sequence[Sample], peer: str, name: str = Figure.CPU) -> list[float]:
    """pointsman's figure over the peer's, for each round that has both.

    Both figures of a round were taken seconds apart: what makes the machine slow for a while cancels out.
    """
    if peer == OURS:
        return []
    ours = {sample.round: figure(sample, name) for sample in samples if sample.proxy == OURS}
    theirs = {sample.round: figure(sample, name) for sample in samples if sample.proxy == peer}
    return [ours[round_] / value for round_, value in theirs.items() if round_ in ours and value > 0]


def too_slow(result: Result, limits: Mapping[str, float]) -> list[str]:
    """A line for each peer whose median ratio of CPU time is above its limit, or cannot be told.

    Workloads that compare something else have no limit.
    """
    if result.workload.figure is not Figure.CPU:
        return []
    summaries = result.summaries()
    lines = []
    for peer, limit in limits.items():
        ratio = summaries[peer].ratio if peer in summaries else None
        if ratio is None:
            lines.append(f"{result.workload.title}: no ratio of {OURS} to {peer}, which must be at most {limit:g}")
        elif ratio.median > limit:
            lines.append(f"{result.workload.title}: {OURS} takes {ratio.median:.2f} x {peer}, more than {limit:g}")
    return lines


def table(result: Result, proxies: Iterable[str]) -> str:
    """One workload's figures as plain text, a proxy a row. The ratio is that of the workload's own figure."""
    summaries = result.summaries()
    columns = result.columns()
    compared = next(column for column in columns if column.figure == result.workload.figure)
    heads = [column.head for column in columns]
    at = columns.index(compared) + 1
    rows = [["proxy", *heads[:at], f"{OURS} takes", *heads[at:], "errors"]]
    notes = []
    for proxy in proxies:
        if proxy in summaries:
            summary = summaries[proxy]
            cells = [_cell(column, summary.figures[column.figure]) for column in columns]
            rows.append([proxy, *cells[:at], _ratio(summary.ratio), *cells[at:], str(summary.errors)])
        if proxy in result.failures:
            notes.append(f"FAILED: {result.failures[proxy]}")
    if len(rows) == 1:
        return "\n".join([result.workload.title, *notes])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([result.workload.title, *lines, *notes])


def document(results: Iterable[Result]) -> list[dict[str, object]]:
    """The results as JSON can hold them: every sample, then the summaries made of them."""
    return [
        {
            "name": result.workload.name,
            "title": result.workload.title,
            "figure": str(result.workload.figure),
            "samples": [asdict(sample) for sample in result.samples],
            "summaries": {proxy: asdict(summary) for proxy, summary in result.summaries().items()},
            "failures": result.failures,
        }
        for result in results
    ]


def _cell(column: Column, shown: Spread) -> str:
    median_, low, high = (
        f"{value * column.scale:,.{column.digits}f}".replace(",", " ")
        for value in (shown.median, shown.low, shown.high)
    )
    return median_ if low == high else f"{median_} ({low}..{high})"


def _ratio(ratio: Spread | None) -> str:
    return f"{ratio.median:.2f} x ({ratio.low:.2f}..{ratio.high:.2f})" if ratio else ""
