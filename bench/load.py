"""What every load generator counts, and how one is run."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from bench.servers import pin

# A generator ends by itself; one that hangs must not hang the run.
GRACE = 30


class LoadFailedError(Exception):
    """A load generator ended badly or said something that we do not understand."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a generator counted. Times are in seconds; requests are those that were answered."""

    requests: int
    seconds: float
    mean: float
    p50: float
    p99: float
    p999: float
    socket_errors: int
    status_errors: int
    """Answers of status 400 and above."""


def generate(command: Sequence[str], seconds: float, core: int) -> str:
    """Run a load generator on this core; return what it printed. Raises LoadFailedError."""
    name = command[0].rpartition("/")[2]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, preexec_fn=pin({core}), timeout=seconds + GRACE
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailedError(f"{name} did not end within {GRACE} s after its time") from error
    if run.returncode != 0:
        raise LoadFailedError(f"{name} ended with status {run.returncode}: {(run.stderr or run.stdout).strip()}")
    return run.stdout


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of these sorted figures that at least this share (0 to 1) of them do not exceed."""
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]
