"""The command line. Exit status: 0 measured; 1 a proxy or the run failed; 2 wrong usage."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import click

from bench.control.followers import FOLLOWERS
from bench.control.programs import described, programs
from bench.control.report import delay_table, document, load_table
from bench.control.run import QUICK, Run, Size
from bench.install import ProgramMissingError
from bench.servers import ServerFailedError
from tests.servers.fetch import UnavailableError
from tests.servers.process import ServerFailedError as ConsulFailedError

RESULTS = Path(__file__).parents[1] / "results"
PARTS = ("delay", "load")


@click.command()
@click.option("--quick", is_flag=True, help="A few changes, and 100 services: under a minute and a half.")
@click.option("--only", metavar="NAME,NAME", help=f"These proxies: {', '.join(FOLLOWERS)}; default: all.")
@click.option(
    "--pause", type=click.FloatRange(min=0.1), help="At least so many seconds between two changes; default 0.1."
)
@click.option("--part", type=click.Choice(PARTS), help="This part alone: delays of changes, or load.")
@click.option(
    "--json",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: bench/results/control-<date>.json.",
)
def main(quick: bool, only: str | None, pause: float | None, part: str | None, output: Path | None) -> None:
    """Measure how soon a change in Consul moves traffic, and what following Consul costs."""
    names = list(dict.fromkeys(only.split(","))) if only else list(FOLLOWERS)
    for name in names:
        if name not in FOLLOWERS:
            raise click.UsageError(f"--only: there is no {name!r}; there are: {', '.join(FOLLOWERS)}")
    _exit_by_exception()
    started = datetime.now().astimezone()
    size = QUICK if quick else Size()
    if pause is not None:
        size = replace(size, pause=pause)
    try:
        found = programs(FOLLOWERS[name].program for name in names)
        machine = described(found)
        with tempfile.TemporaryDirectory(prefix="bench-control-") as made, Run(Path(made), found, names, size) as run:
            if part != "load":
                run.delays()
            if part != "delay":
                run.loads()
            results = run.results
    except (ProgramMissingError, UnavailableError, ServerFailedError, ConsulFailedError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; what was started is stopped", err=True)
        sys.exit(128 + signal.SIGINT)
    if results.changes:
        click.echo(f"\n{delay_table(results.changes)}")
    if results.loads:
        click.echo(f"\n{load_table(results.loads, size.services, size.services * size.instances)}")
    output = output or RESULTS / f"control-{started:%Y-%m-%dT%H-%M-%S}.json"
    content = {"started": started.isoformat(), "machine": machine, "settings": asdict(size), **document(results)}
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.ClickException(f"the samples could not be written: {error}") from error
    click.echo(f"\nall samples in {output}")
    for line in results.failures:
        click.echo(line, err=True)
    sys.exit(1 if results.failures else 0)


def _exit_by_exception() -> None:
    """Have a signal unwind the stack as Ctrl-C does, so that a run that is told to end still stops what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


if __name__ == "__main__":
    main()
