"""The figures as one HTML page that needs nothing else: tables, and plots that compare the policies."""

from __future__ import annotations

from html import escape
from math import log10
from typing import TYPE_CHECKING

from config.units import format_duration
from proxy.simulate import plots, table
from proxy.simulate.results import CURVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.simulate.results import Outcome, Report
    from proxy.simulate.world import Event, RateChange, Rollout

_MOST_BARS = 60  # endpoints that each have a bar of their own
_MOST_TOLD = 40  # changes of health that are listed of each policy
_LINEAR = 8.0  # times that the highest value may be the lowest, on an axis that is not logarithmic
_FAINT = 1e-4  # a share of the time below which queues are not drawn

_STYLE = """
:root{color-scheme:light dark;--text:#1b1f24;--faint:#667;--rule:#dde1e6;--back:#fff;--band:#f0b429;--mark:#f3f5f8}
@media(prefers-color-scheme:dark){:root{--text:#e4e7eb;--faint:#9aa3ad;--rule:#363c44;--back:#16191d;--mark:#20252b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:1060px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2.2rem 0 .2rem}h3{font-size:.95rem;margin:.6rem 0 0}
p{margin:.3rem 0}.faint,figcaption{color:var(--faint);font-size:.9rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:.6rem 0}
th,td{padding:.25rem .7rem .25rem 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--faint)}th:first-child,td:first-child,.words td,.words th{text-align:left}
.how li{margin:.15rem 0}figure{margin:.4rem 0}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(310px,1fr));gap:.2rem 1.2rem}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--faint)}
.grid{stroke:var(--rule);stroke-width:1;fill:none}.axis{stroke:var(--faint);stroke-width:1;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.band{fill:var(--band);fill-opacity:.16}
.legend{margin:.3rem 0}.key{margin-right:1.2rem;white-space:nowrap}.key i{display:inline-block;width:1.1em;height:.35em;
border-radius:2px;margin-right:.4em;vertical-align:.2em}
"""


def page(report: Report) -> str:
    """Write the whole page."""
    title = report.scenario.title or "A simulation"
    about = table.introduction(report).strip().splitlines()[-1]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="faint">pointsman simulate: {escape(about)}</p>',
        _policies(report),
        _how_much(report),
        _what_happens(report),
        _quantiles(report),
        _over_time(report),
        _errors(report),
        _queues(report),
        _lengths(report),
        _shares(report),
        _endpoints(report),
        _health(report),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>{body}</body></html>\n'


def _policies(report: Report) -> str:
    found = _table(table.HEAD, [table.row(outcome) for outcome in report.outcomes])
    errors = [
        f"<p>Errors of {escape(one.policy)}: {escape(table.kinds(one))}.</p>" for one in report.outcomes if one.errors
    ]
    note = (
        "Latencies are of the requests that were answered, from their arrival at a proxy. QUEUE is how many requests "
        "an endpoint had in it on average, in work and waiting; LONGEST the most that one had."
    )
    return f'{found}<p class="faint">{note}</p>{"".join(errors)}'


def _how_much(report: Report) -> str:
    if not report.comparisons:
        return ""
    items = "".join(f"<li>{escape(table.sentence(comparison))}</li>" for comparison in report.comparisons)
    return f'<h2>By how much</h2><ul class="how">{items}</ul>'


def _what_happens(report: Report) -> str:
    scenario = report.scenario
    told = [(0.0, f"{scenario.arrivals.rate:g} requests a second")]
    told += [(one.at, f"{format_duration(one.at)}: {_ramp(one)}") for one in scenario.arrivals.changes]
    told += [(event.at, _told(event)) for event in scenario.events]
    told += [(rollout.at, _rolled(rollout)) for rollout in scenario.rollouts]
    items = "".join(f"<li>{escape(text)}</li>" for _, text in sorted(told))
    return f'<h2>What happens</h2><ul class="how">{items}</ul>'


def _quantiles(report: Report) -> str:
    ends = [len(outcome.curve) for outcome in report.outcomes]
    if not max(ends):
        return ""
    nines = [-log10(1 - share) for share in CURVE]
    series = [
        plots.Line(outcome.policy, list(zip(nines, outcome.curve, strict=False)), place)
        for place, outcome in enumerate(report.outcomes)
    ]
    names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]
    most = max(nines[max(ends) - 1], 1.0)
    ticks = [(float(number), name) for number, name in enumerate(names) if number <= most]
    ticks.insert(1, (-log10(0.5), "50 %"))
    across = plots.Axis(0.0, most, ticks, "of the requests are answered within")
    up = _times([value for outcome in report.outcomes for value in outcome.curve])
    return _figure("Latency by quantile", _legend(report), plots.lines(series, across, up))


def _over_time(report: Report) -> str:
    across, bands = _time(report), _bands(report)
    parts = []
    for title, key in (("99th percentile", "p99"), ("Median", "p50")):
        found = [getattr(outcome.timeline, key) for outcome in report.outcomes]
        series = [
            plots.Line(outcome.policy, _points(outcome, values), place)
            for place, (outcome, values) in enumerate(zip(report.outcomes, found, strict=True))
        ]
        up = _times([value for values in found for value in values if value is not None])
        drawn = plots.lines(series, across, up, bands=bands, height=260)
        parts.append(f"<figure><h3>{title}</h3>{drawn}</figure>")
    shaded = '<p class="faint">Shaded: when something befalls an endpoint.</p>' if bands else ""
    return f"<h2>Latency over time</h2>{_legend(report)}{shaded}{''.join(parts)}"


def _errors(report: Report) -> str:
    if not any(sum(outcome.timeline.errors) for outcome in report.outcomes):
        return ""
    length = report.outcomes[0].timeline.ends[0]
    series = [
        plots.Line(
            outcome.policy,
            _points(outcome, [count / length for count in outcome.timeline.errors]),
            place,
        )
        for place, outcome in enumerate(report.outcomes)
    ]
    most = [count / length for outcome in report.outcomes for count in outcome.timeline.errors]
    up = plots.linear(most, "errors a second", lambda value: f"{value:g}")
    drawn = plots.lines(series, _time(report), up, bands=_bands(report), height=220)
    return _figure("Errors a second", _legend(report), drawn)


def _queues(report: Report) -> str:
    special = table.special(report.scenario)
    names = [one.name for one in report.outcomes[0].endpoints]
    shown = [place for place, name in enumerate(names) if name in special][:4]
    longest = [max(max(row) for row in outcome.timeline.queues) for outcome in report.outcomes]
    axis = plots.linear if max(longest) <= _LINEAR * min(longest) else plots.logarithmic
    up = axis([0.5, *longest], "requests in an endpoint", lambda value: f"{value:g}")
    across, bands = _time(report), _bands(report)
    panels = []
    for outcome in report.outcomes:
        rows = outcome.timeline.queues
        series = [
            plots.Line("the longest", _points(outcome, [max(row) for row in rows]), 1),
            plots.Line("the average", _points(outcome, [sum(row) / len(row) for row in rows]), 0),
        ]
        series += [
            plots.Line(names[place], _points(outcome, [row[place] for row in rows]), number + 2)
            for number, place in enumerate(shown)
        ]
        panels.append((outcome.policy, plots.lines(series, across, up, bands=bands, width=360, height=230)))
    keys = [("the longest of all", 1), ("the average", 0), *((names[place], n + 2) for n, place in enumerate(shown))]
    return _panels("Queues over time", plots.legend(keys), panels)


def _lengths(report: Report) -> str:
    series = [
        plots.Line(
            outcome.policy,
            [(float(count), share) for count, share in enumerate(outcome.lengths) if share >= _FAINT],
            place,
        )
        for place, outcome in enumerate(report.outcomes)
    ]
    points = [point for line in series for point in line.points if point is not None]
    if not points:
        return ""
    across = plots.linear(
        [x for x, _ in points], "requests or more in it, in work and waiting", lambda value: f"{value:g}"
    )
    up = plots.logarithmic([y for _, y in points], "share of the time", table.share)
    drawn = plots.lines(series, across, up, height=260)
    return _figure("How often an endpoint has so many requests or more", _legend(report), drawn)


def _shares(report: Report) -> str:
    special = table.special(report.scenario)
    count = len(report.outcomes[0].endpoints)
    if count > _MOST_BARS:
        return ""
    up = plots.linear(
        [one.share for outcome in report.outcomes for one in outcome.endpoints], "share", lambda value: f"{value:.3g}"
    )
    percent = plots.Axis(
        up.least, up.most, [(value, f"{value * 100:g} %") for value, _ in up.ticks], "share of requests"
    )
    panels = [
        (
            outcome.policy,
            plots.bars(
                [(one.name, one.share, not special or one.name in special) for one in outcome.endpoints],
                percent,
                width=360,
                place=place,
            ),
        )
        for place, outcome in enumerate(report.outcomes)
    ]
    return _panels("Share of the requests by endpoint", "", panels)


def _endpoints(report: Report) -> str:
    head = ["ENDPOINT", *(outcome.policy for outcome in report.outcomes)]
    note = "Share of the requests, requests in it on average, and (most)."
    return f'<h2>Endpoints</h2><p class="faint">{note}</p>{_table(head, list(table.endpoint_rows(report)))}'


def _health(report: Report) -> str:
    parts = []
    for outcome in report.outcomes:
        if not outcome.told:
            continue
        rows = [
            [f"{when:.2f} s", str(proxy + 1), kind, endpoint or "-", reason]
            for when, proxy, kind, endpoint, reason in outcome.told[:_MOST_TOLD]
        ]
        counts = ", ".join(f"{kind} {count}" for kind, count in outcome.happened.items())
        shown = f"; the first {_MOST_TOLD} of them" if len(outcome.told) > _MOST_TOLD else ""
        head = ["TIME", "PROXY", "WHAT", "ENDPOINT", "WHY"]
        parts.append(f"<h3>{escape(outcome.policy)}: {escape(counts)}{shown}</h3>{_table(head, rows, words=True)}")
    return f"<h2>Health</h2>{''.join(parts)}" if parts else ""


# Parts of parts.


def _table(head: Iterable[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table{" class=words" if words else ""}><tr>{first}</tr>{body}</table></div>'


def _figure(title: str, legend: str, drawn: str) -> str:
    return f"<h2>{escape(title)}</h2>{legend}<figure>{drawn}</figure>"


def _panels(title: str, legend: str, panels: Sequence[tuple[str, str]]) -> str:
    figures = "".join(f"<figure><h3>{escape(name)}</h3>{drawn}</figure>" for name, drawn in panels)
    return f'<h2>{escape(title)}</h2>{legend}<div class="panels">{figures}</div>'


def _legend(report: Report) -> str:
    return plots.legend([(outcome.policy, place) for place, outcome in enumerate(report.outcomes)])


def _time(report: Report) -> plots.Axis:
    axis = plots.linear([report.duration], "", lambda value: format_duration(round(value, 6)), pieces=10)
    return plots.Axis(0.0, report.duration, [tick for tick in axis.ticks if tick[0] <= report.duration], "")


def _times(values: Sequence[float]) -> plots.Axis:
    above = [value for value in values if value > 0]
    if not above or max(above) > _LINEAR * min(above):
        return plots.logarithmic(above, "latency", table.duration)
    return plots.linear(above, "latency", table.duration)


def _points(outcome: Outcome, values: Sequence[float | None]) -> list[plots.Point | None]:
    ends = outcome.timeline.ends
    half = ends[0] / 2
    return [(end - half, value) if value is not None else None for end, value in zip(ends, values, strict=False)]


def _bands(report: Report) -> list[plots.Band]:
    scenario = report.scenario
    bands = [plots.Band(event.at, event.until or report.duration, _told(event)) for event in scenario.events]
    for rollout in scenario.rollouts:
        counts = [scenario.endpoints[name].count if name in scenario.endpoints else 1 for name in rollout.endpoints]
        batches = -(-sum(counts) // rollout.at_once)
        lasting = batches * (rollout.drain + rollout.start) + (batches - 1) * rollout.pause
        bands.append(plots.Band(rollout.at, rollout.at + lasting, _rolled(rollout)))
    return bands


def _ramp(change: RateChange) -> str:
    within = f", reached within {format_duration(change.over)}" if change.over else ""
    return f"{change.rate:g} requests a second{within}"


def _told(event: Event) -> str:
    whom = ", ".join(event.endpoints)
    until = f" to {format_duration(event.until)}" if event.until is not None else " on"
    what = []
    if event.slower is not None:
        what.append(f"{event.slower:g} times as slow")
    if event.service_time is not None:
        what.append(f"takes {_service_time(event)}")
    if event.stalled:
        what.append("stalled")
    if event.down:
        what.append("down")
    if event.failures is not None:
        shares = {key: value for key, value in event.failures if key != "probes" and value}
        what.append(", ".join(f"{table.share(value)} {key}" for key, value in shares.items()) or "no failures")
    return f"{format_duration(event.at)}{until}: {whom} {', '.join(what)}"


def _service_time(event: Event) -> str:
    assert event.service_time is not None
    written = event.service_time.model_dump(mode="json", exclude_none=True)
    ((kind, value),) = written.items()
    if isinstance(value, dict):
        value = ", ".join(f"{key} {one}" for key, one in value.items())
    return str(value) if kind == "constant" else f"{kind} {value}"


def _rolled(rollout: Rollout) -> str:
    whom = ", ".join(rollout.endpoints)
    return f"from {format_duration(rollout.at)}: rolling restart of {whom}, {rollout.at_once} at a time"
