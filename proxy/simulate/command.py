"""`pointsman simulate`: balancers in a described world, in virtual time."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from config.units import parse_duration
from proxy.commands.running import FILE

if TYPE_CHECKING:
    from pathlib import Path


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
    from proxy.simulate import comparing  # models that no other command needs, a tenth of a second's worth

    if show_schema:
        comparing.show_schema()
        return
    if file is None:
        raise click.UsageError("say what to simulate: a scenario file")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    given = {"seed": seed, "requests": requests, "duration": duration}
    comparing.compare(file, policies, given, html, json_file)
