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

from bench.chart import chart
from bench.contenders import OURS, PROXIES
from bench.install import PACE, ProgramMissingError, Programs, programs
from bench.machine import describe
from bench.measurement import WARM_UP
from bench.report import Result, document, table, too_slow
from bench.rounds import Cores, MeasurementError, Stand, Step, plan, stand
from bench.servers import ServerFailedError
from bench.workloads import WORKLOADS, Generator, Workload
from compiled.loading import VARIABLE

RESULTS = Path(__file__).with_name("results")

QUICK_PROXIES = (OURS, "nginx", "haproxy")
"""Those that are there without 330 MB of wheels, and take less than a minute together."""


@click.command()
@click.option("--quick", is_flag=True, help="3 rounds of 3 s, the first workload, Debian's peers.")
@click.option("--only", "proxies", metavar="NAME,NAME", help="Measure these proxies; default: the six.")
@click.option("--workload", "workloads", metavar="NAME", multiple=True, help="Measure this workload; may be repeated.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; default 3.")
@click.option("--seconds", type=click.IntRange(min=1), help="Seconds of each measurement; default 3.")
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
@click.option("--interpreted", is_flag=True, help=f"Measure {OURS} as it runs without what was built of it.")
@click.option("--list", "listing", is_flag=True, help="List the proxies and workloads.")
def main(
    quick: bool,
    proxies: str | None,
    workloads: tuple[str, ...],
    rounds: int | None,
    seconds: int | None,
    output: Path | None,
    limits: tuple[str, ...],
    interpreted: bool,
    listing: bool,
) -> None:
    """Measure pointsman and its peers side by side: CPU time per request, throughput, latency, memory."""
    if listing:
        click.echo("\n".join(["proxies:", *(f"  {name}" for name in PROXIES), "workloads:"]))
        click.echo("\n".join(f"  {workload.name:<13}{workload.title}" for workload in WORKLOADS))
        return
    known = QUICK_PROXIES if quick else [name for name, proxy in PROXIES.items() if not proxy.on_request]
    chosen_proxies = _choose("--only", proxies.split(",") if proxies else known, PROXIES)
    by_name = {workload.name: workload for workload in WORKLOADS}
    default = [WORKLOADS[0].name] if quick else by_name
    chosen_workloads = [by_name[name] for name in _choose("--workload", workloads or default, by_name)]
    chosen_limits = _limits(limits, chosen_proxies)
    rounds = rounds or 3
    seconds = seconds or 3

    if interpreted:
        os.environ[VARIABLE] = "0"
    _exit_by_exception()
    started = datetime.now().astimezone()
    try:
        found = programs(chosen_proxies, chosen_workloads)
        for name, why in found.missing.items():
            click.echo(f"{name} is missing, the run goes on without: {why}", err=True)
        cores = _cores()
        machine = describe(found.paths)
        with stand(found.paths, cores) as ready:
            results = _run(ready, found, plan(chosen_workloads, chosen_proxies, rounds), seconds)
    except (ProgramMissingError, ServerFailedError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; what was started is stopped", err=True)
        sys.exit(128 + signal.SIGINT)

    for result in results:
        click.echo(f"\n{table(result, chosen_proxies)}")
    output = output or RESULTS / f"{started:%Y-%m-%dT%H-%M-%S}.json"
    settings = {"rounds": rounds, "seconds": seconds, "proxy_core": cores.all[0], "load_core": cores.load}
    content = {
        "started": started.isoformat(),
        "machine": machine,
        "settings": settings,
        "missing": found.missing,
        "workloads": document(results),
    }
    picture = output.with_suffix(".svg")
    _write(output, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    _write(picture, chart(results))
    click.echo(f"\nrounds: {rounds}, {seconds} s each; median (smallest..largest) of the rounds")
    if machine["pointsman"]:
        click.echo(f"what was measured is {machine['pointsman']}")
    click.echo(f"details in {output}, the ratios as a chart in {picture}")

    complaints = [line for result in results for line in too_slow(result, chosen_limits)]
    notes = [f"{name} is missing: {why}" for name, why in found.missing.items()]
    for result in results:
        title = result.workload.title
        failed = [proxy for proxy in result.failures if not _lacks(found, Step(result.workload, 1, proxy))]
        lines = {proxy: f"{title}: {proxy} failed" for proxy in failed}
        for proxy, summary in result.summaries().items():
            if summary.errors:
                lines[proxy] = f"{title}: {proxy} answered {summary.errors} requests with an error or not at all"
        for proxy, line in lines.items():
            (complaints if proxy == OURS else notes).append(line)
    for line in (*notes, *complaints):
        click.echo(line, err=True)
    sys.exit(1 if complaints else 0)


def _run(ready: Stand, found: Programs, steps: Sequence[Step], seconds: int) -> list[Result]:
    results: dict[str, Result] = {}
    for step in steps:
        result = results.setdefault(step.workload.name, Result(step.workload))
        if why := _lacks(found, step):
            result.failures[step.proxy] = why
    steps = [step for step in steps if not _lacks(found, step)]
    begun = time.monotonic()
    for done, step in enumerate(steps):
        result = results[step.workload.name]
        if step.proxy in result.failures:
            continue  # it has had its say: more rounds would only cost time
        each = (time.monotonic() - begun) / done if done else WARM_UP + seconds + 1.0
        left = round(each * (len(steps) - done))
        click.echo(
            f"[{done + 1}/{len(steps)}] {step.workload.title} · round {step.round} · {step.proxy}"
            f" · about {left // 60} min {left % 60} s left",
            err=True,
        )
        try:
            result.samples.append(ready.measure(step, seconds))
        except MeasurementError as error:
            result.failures[step.proxy] = str(error)
            click.echo(str(error), err=True)
    return list(results.values())


def _lacks(found: Programs, step: Step) -> str | None:
    """Why this step cannot be taken: what it needs is missing."""
    return found.missing.get(PROXIES[step.proxy].program) or found.missing.get(_generator(step.workload))


def _generator(workload: Workload) -> str:
    """The program that makes the workload's load."""
    match workload.generator:
        case Generator.PACE | Generator.WEBSOCKET:
            return PACE
        case Generator.H2LOAD:
            return "h2load"
        case _:
            return "wrk"


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
    return Cores(tuple(cores))


def _write(output: Path, content: str) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content)
    except OSError as error:
        raise click.ClickException(f"the samples could not be written: {error}") from error


if __name__ == "__main__":
    main()
