"""h2load: new connections at a fixed rate, each with one request, none of which resumes a TLS session."""

import re
import tempfile
from pathlib import Path

from bench.load import Load, LoadFailedError, generate, percentile
from bench.workloads import Workload

_PERIODS = 100
"""In a second: connections are opened in small groups, not all of a second's together."""

_TIME = re.compile(r"^finished in ([\d.]+)(us|ms|s),", re.MULTILINE)
_REQUESTS = re.compile(r"^requests: .* (\d+) failed, \d+ errored, \d+ timeout", re.MULTILINE)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def h2load(program: str, url: str, workload: Workload, seconds: int, core: int) -> Load:
    """Open `workload.rate` connections a second, a multiple of 100. Raises LoadFailedError when nothing came of it.

    Its latencies begin when a request is sent: the time to connect is not in them.
    """
    connections = workload.rate * seconds
    with tempfile.TemporaryDirectory(prefix="h2load-") as folder:
        log = Path(folder) / "requests"
        command = [program, "--h1", "-t1", f"-c{connections}", f"-n{connections}", f"--log-file={log}"]
        command += [f"-r{workload.rate // _PERIODS}", f"--rate-period={1000 // _PERIODS}ms"]
        for line in workload.head:
            command += ["-H", line]
        return parse(generate([*command, url], seconds, core), log.read_text() if log.exists() else "")


def parse(output: str, log: str) -> Load:
    """Read the summary, and the log's lines: start, status (-1: none) and microseconds. Raises LoadFailedError."""
    time, requests = _TIME.search(output), _REQUESTS.search(output)
    if time is None or requests is None:
        raise LoadFailedError(f"h2load printed no summary: {output.strip()!r}")
    rows = [(int(status), int(taken)) for _, status, taken in (line.split() for line in log.splitlines())]
    answered = sorted(taken / 1e6 for status, taken in rows if status >= 0)
    if not answered:
        raise LoadFailedError(f"h2load had no request answered: {output.strip()!r}")
    return Load(
        requests=len(answered),
        seconds=float(time[1]) * _UNITS[time[2]],
        mean=sum(answered) / len(answered),
        p50=percentile(answered, 0.5),
        p99=percentile(answered, 0.99),
        p999=percentile(answered, 0.999),
        # h2load counts an answer of 400 and above as failed, too.
        socket_errors=max(0, int(requests[1]) - sum(status >= 400 for status, _ in rows)),
        status_errors=sum(status >= 400 for status, _ in rows),
    )
