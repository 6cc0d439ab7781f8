"""wrk: the load generator, and what its output says."""

import re
import subprocess
from dataclasses import dataclass

from bench.servers import pin
from bench.workloads import Workload

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = r"([\d.]+)(us|ms|s|m|h)"
_TOTAL = re.compile(rf"^\s*(\d+) requests in {_TIME},", re.MULTILINE)
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_STATUS_ERRORS = re.compile(r"Non-2xx or 3xx responses: (\d+)")


# wrk ends by itself; one that hangs must not hang the run.
GRACE = 30


class LoadFailedError(Exception):
    """wrk ended badly or said something that we do not understand."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted. Times are in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    socket_errors: int
    status_errors: int
    """Answers of status 400 and above, which is what wrk calls "Non-2xx or 3xx"."""


def parse_wrk(output: str) -> Load:
    """Read what `wrk --latency` prints. Raises LoadFailedError when a figure is missing."""
    total = _TOTAL.search(output)
    if total is None:
        raise LoadFailedError(f"wrk printed no total of requests: {output.strip()!r}")
    sockets = _SOCKET_ERRORS.search(output)
    statuses = _STATUS_ERRORS.search(output)
    return Load(
        requests=int(total[1]),
        seconds=_seconds(total[2], total[3]),
        p50=_percentile(output, 50),
        p99=_percentile(output, 99),
        socket_errors=sum(int(count) for count in sockets.groups()) if sockets else 0,
        status_errors=int(statuses[1]) if statuses else 0,
    )


def apply_load(wrk: str, url: str, workload: Workload, seconds: int, core: int) -> Load:
    """Load the URL from one thread on this core for so many seconds. Raises LoadFailedError when nothing came of it."""
    command = [wrk, "--latency", "-t1", f"-c{workload.connections}", f"-d{seconds}s"]
    for line in workload.head:
        command += ["-H", line]
    try:
        run = subprocess.run(
            [*command, url], capture_output=True, text=True, check=False, preexec_fn=pin(core), timeout=seconds + GRACE
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailedError(f"wrk did not end within {GRACE} s after its time") from error
    if run.returncode != 0:
        raise LoadFailedError(f"wrk ended with status {run.returncode}: {(run.stderr or run.stdout).strip()}")
    load = parse_wrk(run.stdout)
    if load.requests == 0:
        raise LoadFailedError(f"wrk completed no request to {url} in {seconds} s")
    return load


def _percentile(output: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+{_TIME}\s*$", output, re.MULTILINE)
    if found is None:
        raise LoadFailedError(f"wrk printed no {percent}th percentile: {output.strip()!r}")
    return _seconds(found[1], found[2])


def _seconds(number: str, unit: str) -> float:
    return float(number) * _UNITS[unit]
