"""The command line and the progress lines. Exit status: 0 measured; 1 a proxy or the run failed; 2 wrong usage."""

import json
import os
import signal
import sys
import time
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import click

from bench.contenders import ORIGIN, OURS, PROXIES
from bench.install import ProgramMissingError, programs
from bench.machine import describe
from bench.report import Result, document, table, too_slow
from bench.rounds import WARM_UP, Cores, MeasurementError, Stand, Step, plan, stand
from bench.servers import ServerFailedError
from bench.workloads import WORKLOADS

RESULTS = Path(__file__).with_name("results")


@click.command()
@click.option("--quick", is_flag=True, help="3 rounds of 3 s, the first workload only.")
@click.option("--only", "proxies", metavar="NAME,NAME", help="Measure these proxies; default: all.")
@click.option("--workload", "workloads", metavar="NAME", multiple=True, help="Measure this workload; may be repeated.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default 5.")
@click.option("--seconds", type=click.IntRange(min=1), help="Seconds of each measurement; default 5.")
@click.option(
    "--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Default: bench/results/<date>.json."
)
@click.option(
    "--assert-ratio",
    "limits",
    metavar="NAME=RATIO",
    multiple=True,
    help=f"Fail when {OURS} takes more; may be repeated.",
)
@click.option("--list", "listing", is_flag=True, help="List the proxies and workloads.")
def main(
    quick: bool,
    proxies: str | None,
    workloads: tuple[str, ...],
    rounds: int | None,
    seconds: int | None,
    output: Path | None,
    limits: tuple[str, ...],
    listing: bool,
) -> None:
    """Measure pointsman, nginx and HAProxy side by side: CPU time per request, throughput, latency, memory."""
    if listing:
        click.echo("\n".join(["proxies:", *(f"  {name}" for name in PROXIES), "workloads:"]))
        click.echo("\n".join(f"  {workload.name:<10}{workload.title}" for workload in WORKLOADS))
        return
    chosen_proxies = _choose("--only", proxies.split(",") if proxies else PROXIES, PROXIES)
    by_name = {workload.name: workload for workload in WORKLOADS}
    default = [WORKLOADS[0].name] if quick else by_name
    chosen_workloads = [by_name[name] for name in _choose("--workload", workloads or default, by_name)]
    chosen_limits = _limits(limits, chosen_proxies)
    rounds = rounds or (3 if quick else 5)
    seconds = seconds or (3 if quick else 5)

    _exit_by_exception()
    started = datetime.now().astimezone()
    try:
        found = programs(["wrk", ORIGIN.program, *(PROXIES[name].program for name in chosen_proxies)])
        cores = _cores()
        machine = describe(found)
        with stand(found, cores) as ready:
            results = _run(ready, plan(chosen_workloads, chosen_proxies, rounds), seconds)
    except (ProgramMissingError, ServerFailedError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; what was started is stopped", err=True)
        sys.exit(128 + signal.SIGINT)

    for result in results:
        click.echo(f"\n{table(result, chosen_proxies)}")
    output = output or RESULTS / f"{started:%Y-%m-%dT%H-%M-%S}.json"
    settings = {"rounds": rounds, "seconds": seconds, "proxy_core": cores.proxy, "load_core": cores.load}
    _write(
        output,
        {"started": started.isoformat(), "machine": machine, "settings": settings, "workloads": document(results)},
    )
    click.echo(f"\nrounds: {rounds}, {seconds} s each; median (smallest..largest) of the rounds; details in {output}")

    complaints = [line for result in results for line in too_slow(result, chosen_limits)]
    for result in results:
        complaints += [f"{result.workload.title}: {proxy} failed" for proxy in result.failures]
        complaints += [
            f"{result.workload.title}: {proxy} answered {summary.errors} requests with an error or not at all"
            for proxy, summary in result.summaries().items()
            if summary.errors
        ]
    for line in complaints:
        click.echo(line, err=True)
    sys.exit(1 if complaints else 0)


def _run(ready: Stand, steps: Sequence[Step], seconds: int) -> list[Result]:
    results: dict[str, Result] = {}
    begun = time.monotonic()
    for done, step in enumerate(steps):
        result = results.setdefault(step.workload.name, Result(step.workload))
        if step.proxy in result.failures:
            continue  # it has had its say: more rounds would only cost time
        each = (time.monotonic() - begun) / done if done else WARM_UP + seconds + 0.5
        click.echo(
            f"[{done + 1}/{len(steps)}] {step.workload.title} · round {step.round} · {step.proxy}"
            f" · about {each * (len(steps) - done):.0f} s left",
            err=True,
        )
        try:
            result.samples.append(ready.measure(step, seconds))
        except MeasurementError as error:
            result.failures[step.proxy] = str(error)
            click.echo(str(error), err=True)
    return list(results.values())


def _choose(option: str, names: Iterable[str], known: Container[str]) -> list[str]:
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"{option}: there is no {name!r}; --list shows what there is")
    return chosen


def _limits(texts: Iterable[str], proxies: Container[str]) -> dict[str, float]:
    limits = {}
    for text in texts:
        peer, _, limit = text.partition("=")
        if OURS not in proxies or peer not in proxies or peer == OURS:
            raise click.UsageError(
                f"--assert-ratio {text}: this run does not measure {OURS} beside a peer called {peer!r}"
            )
        try:
            limits[peer] = float(limit)
        except ValueError:
            raise click.UsageError(f"--assert-ratio {text}: write it as {peer}=1.5") from None
    return limits


def _exit_by_exception() -> None:
    """Have a signal unwind the stack as Ctrl-C does, so that a run that is told to end still stops what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's wish is respected
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def _cores() -> Cores:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        click.echo("only one core: proxy, origin and load share it, so throughput and latency mean little", err=True)
    # This process sleeps while it measures, and what else it does belongs away from the proxy.
    os.sched_setaffinity(0, {cores[-1]})
    return Cores(proxy=cores[0], load=cores[1] if len(cores) > 1 else cores[0])


def _write(output: Path, content: dict[str, object]) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.ClickException(f"the samples could not be written: {error}") from error


if __name__ == "__main__":
    main()
