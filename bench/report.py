"""What the samples say: medians and spreads, ratios per round, the table and the JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from bench.contenders import OURS
from bench.rounds import Sample
from bench.workloads import Workload

_HEAD = ("proxy", "CPU µs/request", f"{OURS} takes", "requests/s", "p50 ms", "p99 ms", "busy", "peak MiB", "errors")


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some figures, and how far they lie apart."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A proxy under a workload, over all rounds. Times are in seconds, memory in bytes."""

    cpu_per_request: Spread
    throughput: Spread
    p50: Spread
    p99: Spread
    busy: Spread
    peak_memory: int
    errors: int
    ratio: Spread | None
    """pointsman's CPU time per request over this proxy's, round by round; None for pointsman itself and without it."""


@dataclass(slots=True)
class Result:
    """All that was measured under one workload."""

    workload: Workload
    samples: list[Sample] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Proxy and why it failed."""

    def summaries(self) -> dict[str, Summary]:
        """One summary a proxy, for those with a sample at all."""
        by_proxy: dict[str, list[Sample]] = {}
        for sample in self.samples:
            by_proxy.setdefault(sample.proxy, []).append(sample)
        return {name: summarise(samples, ratios(self.samples, name)) for name, samples in by_proxy.items()}


def spread(figures: Sequence[float]) -> Spread:
    """Median, smallest and largest."""
    return Spread(median(figures), min(figures), max(figures))


def ratios(samples: Sequence[Sample], peer: str) -> list[float]:
    """pointsman's CPU time per request over the peer's, for each round that has both.

    Both figures of a round were taken seconds apart: what makes the machine slow for a while cancels out.
    """
    ours = {sample.round: sample.cpu_per_request for sample in samples if sample.proxy == OURS}
    if peer == OURS:
        return []
    return [
        ours[sample.round] / sample.cpu_per_request
        for sample in samples
        if sample.proxy == peer and sample.round in ours and sample.cpu_per_request > 0
    ]


def summarise(samples: Sequence[Sample], against: Sequence[float]) -> Summary:
    """One proxy's samples, at least one, and pointsman's ratios to it, if any."""
    return Summary(
        cpu_per_request=spread([sample.cpu_per_request for sample in samples]),
        throughput=spread([sample.throughput for sample in samples]),
        p50=spread([sample.p50 for sample in samples]),
        p99=spread([sample.p99 for sample in samples]),
        busy=spread([sample.busy for sample in samples]),
        peak_memory=max(sample.peak_memory for sample in samples),
        errors=sum(sample.errors for sample in samples),
        ratio=spread(against) if against else None,
    )


def too_slow(result: Result, limits: Mapping[str, float]) -> list[str]:
    """A line for each peer whose median ratio is above its limit, or cannot be told."""
    summaries = result.summaries()
    lines = []
    for peer, limit in limits.items():
        ratio = summaries[peer].ratio if peer in summaries else None
        if ratio is None:
            lines.append(f"{result.workload.title}: no ratio of {OURS} to {peer}, which must be at most {limit:g}")
        elif ratio.median > limit:
            lines.append(f"{result.workload.title}: {OURS} takes {ratio.median:.2f} x {peer}, more than {limit:g}")
    return lines


def table(result: Result, proxies: Sequence[str]) -> str:
    """One workload's figures as plain text, a proxy a row."""
    summaries = result.summaries()
    rows: list[tuple[str, ...]] = [_HEAD]
    notes = []
    for proxy in proxies:
        if proxy in summaries:
            rows.append(_row(proxy, summaries[proxy]))
        if proxy in result.failures:
            notes.append(f"FAILED: {result.failures[proxy]}")
    if len(rows) == 1:
        return "\n".join([result.workload.title, *notes])
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([result.workload.title, *lines, *notes])


def document(results: Sequence[Result]) -> list[dict[str, object]]:
    """The results as JSON can hold them: every sample, then the summaries made of them."""
    return [
        {
            "name": result.workload.name,
            "title": result.workload.title,
            "samples": [asdict(sample) for sample in result.samples],
            "summaries": {proxy: asdict(summary) for proxy, summary in result.summaries().items()},
            "failures": result.failures,
        }
        for result in results
    ]


def _row(proxy: str, summary: Summary) -> tuple[str, ...]:
    cpu, ratio = summary.cpu_per_request, summary.ratio
    return (
        proxy,
        f"{cpu.median * 1e6:.1f} ({cpu.low * 1e6:.1f}..{cpu.high * 1e6:.1f})",
        f"{ratio.median:.2f} x ({ratio.low:.2f}..{ratio.high:.2f})" if ratio else "",
        f"{summary.throughput.median:,.0f}".replace(",", " "),
        f"{summary.p50.median * 1e3:.2f}",
        f"{summary.p99.median * 1e3:.2f}",
        f"{summary.busy.median:.0%}",
        f"{summary.peak_memory / 2**20:.1f}",
        str(summary.errors),
    )
