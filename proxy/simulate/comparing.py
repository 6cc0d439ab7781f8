"""A scenario file in; tables, a bar that shows how far it has come, and the files that were asked for, out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from config.errors import ConfigError
from config.source import read
from proxy.commands.running import FAILED, end_with
from proxy.simulate.arrivals import Rates
from proxy.simulate.reading import changed, load, schema
from proxy.simulate.report import page
from proxy.simulate.results import Report, simulate
from proxy.simulate.table import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from proxy.simulate.world import Scenario


def show_schema() -> None:
    """Print the JSON schema of a scenario."""
    click.echo(json.dumps(schema(), indent=2))


def compare(
    file: Path, policies: Sequence[str], given: Mapping[str, Any], html: Path | None, json_file: Path | None
) -> None:
    """Simulate a scenario, with what is given in the place of what it says, or end the process with what is wrong."""
    instead = {key: value for key, value in given.items() if value is not None}
    try:
        if policies:
            instead["policies"] = [read(policy, name="--policy", environ={}).data for policy in policies]
        scenario = changed(load(file), instead)
    except ConfigError as error:
        end_with(str(error))
    report = _run(scenario)
    click.echo(tables(report))
    _write(html, lambda: page(report))
    _write(json_file, report.as_json)


def _run(scenario: Scenario) -> Report:
    """Simulate, with a bar if that is seen on a terminal."""
    if not sys.stderr.isatty():
        return simulate(scenario, scenario.policies)
    rates = Rates(scenario.arrivals)
    total = int(rates.count(rates.end(scenario.duration, scenario.requests) or 0.0)) * len(scenario.policies)
    with click.progressbar(length=total, file=sys.stderr, width=30) as bar:

        def told(policy: str, done: int) -> None:
            bar.label = policy
            bar.update(done)

        return simulate(scenario, scenario.policies, told)


def _write(file: Path | None, text: Callable[[], str]) -> None:
    if file is None:
        return
    try:
        file.write_text(text(), encoding="utf-8")
    except OSError as error:
        end_with(f"pointsman: {file}: {error.strerror or error}", FAILED)
