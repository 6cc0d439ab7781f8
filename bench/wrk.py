"""wrk: as many requests as its connections can have answered."""

import json
from pathlib import Path

from bench.load import Load, LoadFailedError, generate
from bench.workloads import Workload

_SCRIPT = Path(__file__).with_name("wrk.lua")


def wrk(program: str, url: str, workload: Workload, seconds: int, core: int) -> Load:
    """Load the URL from one thread on this core for so many seconds. Raises LoadFailedError when nothing came of it.

    Its latencies begin when a request is sent: the time to connect is not in them.
    """
    command = [program, "-t1", f"-c{workload.connections}", f"-d{seconds}s", f"-s{_SCRIPT}"]
    for line in workload.head:
        command += ["-H", line]
    command.append(url)
    if workload.upload:
        command += ["--", str(workload.upload)]
    load = parse(generate(command, seconds, core))
    if load.requests == 0:
        raise LoadFailedError(f"wrk completed no request to {url} in {seconds} s")
    return load


def parse(output: str) -> Load:
    """Read the last line, which wrk.lua wrote. Raises LoadFailedError when it is not there."""
    try:
        figures = json.loads(output.strip().splitlines()[-1])
        return Load(
            requests=figures["requests"],
            seconds=figures["microseconds"] / 1e6,
            mean=figures["mean"] / 1e6,
            p50=figures["p50"] / 1e6,
            p99=figures["p99"] / 1e6,
            p999=figures["p999"] / 1e6,
            socket_errors=figures["sockets"],
            status_errors=figures["statuses"],
        )
    except (ValueError, LookupError, TypeError) as error:
        raise LoadFailedError(f"wrk printed no figures: {output.strip()!r}") from error
