"""The command line. Exit status: 0 measured; 2 wrong usage."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import click

from bench.machine import describe
from bench.micro.cases import cases
from bench.micro.document import document, table
from bench.micro.timing import Measured, measure

RESULTS = Path(__file__).parents[1] / "results"


@click.command()
@click.option("--quick", is_flag=True, help="7 rounds of 10 ms a case instead of 15 of 25 ms: ten seconds.")
@click.option("--only", metavar="WORDS", help="The cases alone whose names hold these words, as 'exchange/small'.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default 15.")
@click.option(
    "--json",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: bench/results/micro-<date>.json.",
)
@click.option("--list", "listing", is_flag=True, help="List the cases.")
def main(quick: bool, only: str | None, rounds: int | None, output: Path | None, listing: bool) -> None:
    """Measure the parts of pointsman's data path one by one, in this process and without a socket."""
    chosen = [case for case in cases() if only is None or only in case.name]
    if not chosen:
        raise click.UsageError(f"--only: no case has {only!r} in its name; --list shows what there is")
    if listing:
        click.echo("\n".join(case.name for case in chosen))
        return
    rounds = rounds or (7 if quick else 15)
    seconds = 0.01 if quick else 0.025
    started = datetime.now().astimezone()
    settings = {"rounds": rounds, "seconds": seconds}
    head = {"started": started.isoformat(), "machine": describe({}), "settings": settings}
    # Moving from core to core would show as noise.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    click.echo(f"{len(chosen)} cases are made ready", err=True)
    measured: list[Measured] = []
    for measured in measure(chosen, rounds, seconds):
        click.echo(f"round {len(measured[0].samples)} of {rounds}", err=True)
    click.echo(table(measured))
    output = output or RESULTS / f"micro-{started:%Y-%m-%dT%H-%M-%S}.json"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(document(measured, head), ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.ClickException(f"the samples could not be written: {error}") from error
    click.echo(f"\nCPU time of one operation; {rounds} rounds of {seconds * 1000:g} ms; all samples in {output}")


if __name__ == "__main__":
    main()
