"""The figures as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.units import format_duration
from proxy.commands.showing import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.simulate.recording import EndpointFigures
    from proxy.simulate.results import Comparison, Outcome, Report
    from proxy.simulate.world import Scenario

MOST_ROWS = 16  # endpoints; of more, each group has one row, and whoever is named in an event has one too
_SAME = 0.05  # figures that lie no further apart are called the same

HEAD = (
    *("POLICY", "REQUESTS", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"),
    *("ERRORS", "RETRIED", "EJECTED", "QUEUE", "LONGEST"),
)


def tables(report: Report) -> str:
    """Write the whole: a table of the policies, one of the endpoints, and how far the policies lie apart."""
    parts = [introduction(report), table(HEAD, [row(outcome) for outcome in report.outcomes])]
    parts += [f"errors of {one.policy}: {kinds(one)}" for one in report.outcomes if one.errors]
    head = ["ENDPOINT", *(outcome.policy for outcome in report.outcomes)]
    note = "share of the requests, requests in it on average, and (most):"
    parts += ["", note, table(head, endpoint_rows(report))]
    if report.comparisons:
        parts += ["", *(sentence(comparison) for comparison in report.comparisons)]
    return "\n".join(parts)


def introduction(report: Report) -> str:
    """Say what was simulated."""
    scenario = report.scenario
    endpoints = sum(group.count for group in scenario.endpoints.values())
    warmup = f", of which {format_duration(scenario.warmup)} are left out" if scenario.warmup else ""
    about = (
        f"{format_duration(round(report.duration, 3))} of virtual time{warmup}, {_count(endpoints, 'endpoint')}, "
        f"{_count(scenario.proxies, 'proxy', 'proxies')}, seed {report.seed}"
    )
    return f"{scenario.title}\n{about}\n" if scenario.title else f"{about}\n"


def row(outcome: Outcome) -> list[str]:
    """Write one policy's figures in the order of HEAD."""
    latency = outcome.latency
    times = (latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.most)
    return [
        outcome.policy,
        str(outcome.requests),
        *map(duration, times),
        share(outcome.failed_share) if outcome.failed else "0",
        str(outcome.retries),
        str(outcome.happened.get("ejected", 0)),
        f"{outcome.mean_queue:.2f}",
        str(outcome.most_queue),
    ]


def kinds(outcome: Outcome) -> str:
    """Say what requests failed of."""
    return ", ".join(f"{kind} {count}" for kind, count in outcome.errors.items())


def endpoint_rows(report: Report) -> Iterator[list[str]]:
    """Yield the row of each endpoint, or of each group where there are too many of them."""
    for name, members in parts_of(report.scenario, report.outcomes[0].endpoints):
        cells = [_cell([outcome.endpoints[place] for place in members]) for outcome in report.outcomes]
        yield [name, *cells]


def parts_of(scenario: Scenario, endpoints: Sequence[EndpointFigures]) -> list[tuple[str, list[int]]]:
    """Return what is told of one by one, and the places of the endpoints that are meant."""
    if len(endpoints) <= MOST_ROWS:
        return [(one.name, [place]) for place, one in enumerate(endpoints)]
    named = special(scenario)
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(endpoints):
        groups.setdefault(one.group, []).append(place)
    rows = [
        (f"{group}, each of {len(places)}" if len(places) > 1 else group, places) for group, places in groups.items()
    ]
    told = [(one.name, [place]) for place, one in enumerate(endpoints) if one.name in named and one.name not in groups]
    return rows + told[:MOST_ROWS]


def special(scenario: Scenario) -> set[str]:
    """Return the single endpoints that something befalls."""
    return {name for event in scenario.events for name in event.endpoints if name not in scenario.endpoints} | {
        name
        for event in scenario.events
        for name in event.endpoints
        if name in scenario.endpoints and scenario.endpoints[name].count == 1
    }


def sentence(comparison: Comparison) -> str:
    """Say how far a policy lies from the first."""
    figures = (
        ("mean", comparison.mean, "lower", "higher"),
        ("p50", comparison.p50, "lower", "higher"),
        ("p99", comparison.p99, "lower", "higher"),
        ("p99.9", comparison.p999, "lower", "higher"),
        ("longest queue", comparison.most_queue, "shorter", "longer"),
    )
    told = [f"{name} {apart(ratio, less, more)}" for name, ratio, less, more in figures if ratio is not None]
    if any(comparison.errors):
        one, other = map(share, comparison.errors)
        told.append(f"errors {one} instead of {other}" if one != other else f"errors {one} as well")
    return f"{comparison.policy} against {comparison.against}: {', '.join(told) or 'nothing to compare'}"


def apart(ratio: float, less: str = "lower", more: str = "higher") -> str:
    """Write a ratio as `8.2 times lower`."""
    if abs(ratio - 1) <= _SAME:
        return "the same"
    if ratio == 0:
        return "none at all"
    times, word = (1 / ratio, less) if ratio < 1 else (ratio, more)
    return f"{times:.0f} times {word}" if times >= 100 else f"{times:.3g} times {word}"


def duration(seconds: float | None) -> str:
    """Write a time with three digits."""
    if not seconds:
        return "-" if seconds is None else "0 s"
    for unit, length in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length * 0.9995:
            return f"{_digits(seconds / length)} {unit}"
    return f"{_digits(seconds / 1e-6)} µs"


def share(part: float) -> str:
    """Write a share as a percentage."""
    return f"{part:.1%}" if part >= 0.0995 else f"{part:.2%}" if part >= 0.0001 or not part else "<0.01%"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _cell(members: Sequence[EndpointFigures]) -> str:
    shares = [share(one.share) for one in members]
    lowest, highest = min(members, key=_share_of), max(members, key=_share_of)
    told = shares[0] if len(set(shares)) == 1 else f"{share(lowest.share)} to {share(highest.share)}"
    mean = sum(one.mean_queue for one in members) / len(members)
    return f"{told}, {mean:.2f} ({max(one.most_queue for one in members)})"


def _share_of(one: EndpointFigures) -> float:
    return one.share


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {several or one + 's'}"
