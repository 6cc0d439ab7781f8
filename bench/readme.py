"""Writes README's table of what requests cost out of a run's JSON.

    python -m bench.readme bench/results/FILE.json [README.md]

What stands between the lines `<!-- bench -->` and `<!-- /bench -->` is replaced.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.contenders import OURS
from bench.workloads import Figure

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"

_UNITS = {
    Figure.CPU: (1e6, "µs"),
    Figure.MEAN: (1e3, "ms"),
    Figure.P99: (1e3, "ms"),
    Figure.ADDED: (1e6, "µs"),
    Figure.MEMORY: (2**-10, "KiB"),
}
_TIMES = "\N{MULTIPLICATION SIGN}"
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
_NAMES = {"haproxy": "HAProxy", "envoy": "Envoy", "traefik": "Traefik", "caddy": "Caddy"}


class MarkersMissingError(Exception):
    """There is no place for the table in the text."""


def section(document: Mapping[str, Any]) -> str:
    """Caption, table, and what it was measured on, as Markdown."""
    workloads, settings, machine = document["workloads"], document["settings"], document["machine"]
    proxies = _proxies(workloads)
    peers = [proxy for proxy in proxies if proxy != OURS]
    heads = [f"{_NAMES.get(peer, peer)} {_version(machine, peer)}".strip() for peer in peers]
    lines = [
        "CPU time of the proxy per request unless a row says otherwise, one worker each (smallest to largest).",
        f"It is the median of {settings['rounds']} rounds of {settings['seconds']} s.",
        f"Beside each peer: how many times its figure {OURS}'s is, in the same round. Below 1 {OURS} takes less.",
        "",
        "| " + " | ".join(["", OURS, *heads]) + " |",
        "|---" * (len(peers) + 2) + "|",
    ]
    lines += ["| " + " | ".join(_row(workload, peers)) + " |" for workload in workloads]
    lines += ["", _measured_on(document)]
    if missing := document.get("missing"):
        lines += ["", f"Left out because it could not be had: {', '.join(missing)}."]
    return "\n".join(lines)


def replaced(text: str, new: str) -> str:
    """The text with the new section between the markers. Raises MarkersMissingError."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise MarkersMissingError(f"there are no lines {BEGIN} and {END} with the table between them")
    return f"{before}{begin}{new}\n{end}{after}"


def main() -> None:
    """Read the arguments and write. Exit status 2 for wrong usage, 1 when the file cannot be used."""
    if len(sys.argv) not in (2, 3):
        print("usage: python -m bench.readme FILE.json [README.md]", file=sys.stderr)
        sys.exit(2)
    readme = Path(sys.argv[2]) if len(sys.argv) == 3 else README
    try:
        new = section(json.loads(Path(sys.argv[1]).read_text()))
        readme.write_text(replaced(readme.read_text(), new))
    except (OSError, ValueError, KeyError, MarkersMissingError) as error:
        print(f"{sys.argv[1]}: the table was not written: {error!r}", file=sys.stderr)
        sys.exit(1)


def _proxies(workloads: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for each in workloads for name in (*each["summaries"], *each["failures"])))


def _row(workload: Mapping[str, Any], peers: Sequence[str]) -> list[str]:
    scale, unit = _UNITS[Figure(workload["figure"])]
    summaries = workload["summaries"]
    cells = [workload["title"], "failed"]
    if OURS in summaries:
        shown = summaries[OURS]["figures"][workload["figure"]]
        median, low, high = (_number(shown[name] * scale) for name in ("median", "low", "high"))
        cells[1] = f"{median} {unit} ({low} to {high})"
    for peer in peers:
        if peer not in summaries:
            cells.append("failed" if peer in workload["failures"] else "")
            continue
        theirs = f"{_number(summaries[peer]['figures'][workload['figure']]['median'] * scale)} {unit}"
        ratio = summaries[peer]["ratio"]
        cells.append(f"{ratio['median']:.2f} {_TIMES} {theirs}" if ratio else theirs)
    return cells


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _version(machine: Mapping[str, Any], program: str) -> str:
    found = _VERSION.search(machine["versions"].get(program) or "")
    return found[0] if found else ""


def _kind(machine: Mapping[str, Any]) -> str:
    """How its data path ran: as its version tells, behind a comma."""
    return ", compiled" if (machine.get("pointsman") or "").endswith(", compiled") else ", interpreted"


def _congestion(machine: Mapping[str, Any]) -> str:
    """The kernel's way with congestion: large bodies cost several times as much with one as with another."""
    found = machine.get("congestion_control")
    return f" with {found}" if found else ""


def _measured_on(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    ours = ", ".join(f"{name} {_version(machine, name)}" for name in ("uvloop", "httptools"))
    return (
        f"Measured on {document['started'][:10]}: {machine['cpu']}, {machine['cores']} cores, {machine['system']},"
        f" kernel {machine['kernel']}{_congestion(machine)}, Python {machine['python']}, {ours},"
        f" pointsman at {machine['commit']}{_kind(machine)}."
    )


if __name__ == "__main__":
    main()
