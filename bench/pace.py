"""pace: the load that wrk and h2load cannot make, by a program of ours in C (pace.c).

h2load has a rate, too, but its connections keep in step: of 64 with 100 requests a second each, all 64 sent theirs
within the same millisecond. What it measures at half of the capacity is the queue behind its own bursts.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from bench import cache
from bench.load import Load, LoadFailedError, generate

_SOURCE = Path(__file__).with_name("pace.c")


class CompilerFailedError(Exception):
    """pace.c could not be compiled. The text quotes the compiler."""


def compiled(compiler: str) -> str:
    """The path of the program, compiled unless this very source has been before. Raises CompilerFailedError."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    program = cache.folder() / f"pace-{digest}"
    if program.exists():
        return str(program)
    made = program.with_name(f"{program.name}.{os.getpid()}")
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-O2", "-o", str(made), str(_SOURCE), "-lm"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise CompilerFailedError(f"`{' '.join(command)}` failed: {run.stderr.strip()}")
        made.rename(program)  # whole, or not at all
    except OSError as error:
        raise CompilerFailedError(f"{program} cannot be made: {error}") from error
    return str(program)


def pace(program: str, port: int, path: str, rate: float, seconds: float, connections: int, core: int) -> Load:
    """Ask for the path at this rate a second. Raises LoadFailedError when nothing was answered.

    Latencies count from the moment at which a request was due.
    """
    command = [program, "http", str(port), path, f"{rate:.1f}", f"{seconds:g}", str(connections)]
    return parse(generate(command, seconds, core))


def websocket(program: str, port: int, path: str, seconds: float, connections: int, core: int) -> Load:
    """Have messages of 32 bytes echoed, one after the other on each connection. Raises LoadFailedError."""
    return parse(generate([program, "websocket", str(port), path, f"{seconds:g}", str(connections)], seconds, core))


def parse(output: str) -> Load:
    """Read the line that the program prints. Raises LoadFailedError when it is not one."""
    try:
        figures = json.loads(output)
        return Load(
            requests=figures["requests"],
            seconds=figures["seconds"],
            mean=figures["mean"],
            p50=figures["p50"],
            p99=figures["p99"],
            p999=figures["p999"],
            socket_errors=figures["sockets"],
            status_errors=figures["statuses"],
        )
    except (ValueError, LookupError, TypeError) as error:
        raise LoadFailedError(f"pace printed no figures: {output.strip()!r}") from error
