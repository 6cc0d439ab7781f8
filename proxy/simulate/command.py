"""`pointsman simulate`: balancers in a described world, in virtual time."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from config.errors import ConfigError
from config.source import read
from config.units import parse_duration
from proxy.commands.running import FAILED, FILE, end_with
from proxy.simulate.arrivals import Rates
from proxy.simulate.reading import changed, load, schema
from proxy.simulate.report import page
from proxy.simulate.results import Report, simulate
from proxy.simulate.table import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.simulate.world import Scenario


class _DurationType(click.ParamType[float]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("simulate")
@click.argument("file", metavar="SCENARIO", type=FILE, required=False)
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    multiple=True,
    help="A balancer to try instead of the scenario's, as in the configuration: peak_ewma, or "
    "'{type: least_request, choices: 3}'; repeatable. The others are measured against the first.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the scenario's.")
@click.option("--requests", type=int, metavar="COUNT", help="How many requests come.")
@click.option("--duration", type=_DurationType(), metavar="DURATION", help="How long requests come, as in 30s.")
@click.option("--html", type=FILE, metavar="FILE", help="Write a report with plots there.")
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write the figures there.")
@click.option("--schema", "show_schema", is_flag=True, help="Print the JSON schema of a scenario, and no more.")
def simulate_command(
    file: Path | None,
    policies: tuple[str, ...],
    seed: int | None,
    requests: int | None,
    duration: float | None,
    html: Path | None,
    json_file: Path | None,
    show_schema: bool,
) -> None:
    """Try balancers in a described world, in virtual time, and compare them.

    SCENARIO is a YAML file; there are some in bench/scenarios.
    """
    if show_schema:
        click.echo(json.dumps(schema(), indent=2))
        return
    if file is None:
        raise click.UsageError("say what to simulate: a scenario file")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    given: dict[str, Any] = {"seed": seed, "requests": requests, "duration": duration}
    try:
        if policies:
            given["policies"] = [_written(policy) for policy in policies]
        scenario = changed(load(file), {key: value for key, value in given.items() if value is not None})
    except ConfigError as error:
        end_with(str(error))
    report = _run(scenario)
    click.echo(tables(report))
    _write(html, lambda: page(report))
    _write(json_file, report.as_json)


def _run(scenario: Scenario) -> Report:
    """Simulate, with a bar on a terminal that shows how far it has come."""
    if not sys.stderr.isatty():
        return simulate(scenario, scenario.policies)
    rates = Rates(scenario.arrivals)
    total = int(rates.count(rates.end(scenario.duration, scenario.requests) or 0.0)) * len(scenario.policies)
    with click.progressbar(length=total, file=sys.stderr, width=30) as bar:

        def told(policy: str, done: int) -> None:
            bar.label = policy
            bar.update(done)

        return simulate(scenario, scenario.policies, told)


def _written(policy: str) -> Any:
    return read(policy, name="--policy", environ={}).data


def _write(file: Path | None, text: Callable[[], str]) -> None:
    if file is None:
        return
    try:
        file.write_text(text(), encoding="utf-8")
    except OSError as error:
        end_with(f"pointsman: {file}: {error.strerror or error}", FAILED)
