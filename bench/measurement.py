"""One measurement: a proxy under a workload, and what it used meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.accounting import ProcessGoneError, memory, usage
from bench.h2load import h2load
from bench.idle import idle
from bench.install import PACE
from bench.load import Load, LoadFailedError
from bench.pace import pace, websocket
from bench.servers import Server
from bench.workloads import Figure, Generator, Workload
from bench.wrk import wrk

WARM_UP = 1
"""Seconds."""

_WARM_UP_POOL = 3
"""The same for 10,000 endpoints: each should have its connection before the measurement."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one measurement found. Times are in seconds, memory in bytes."""

    round: int
    proxy: str
    requests: int
    seconds: float
    cpu_seconds: float
    mean: float
    p50: float
    p99: float
    p999: float
    peak_memory: int
    socket_errors: int
    status_errors: int
    rate: float | None = None
    """Requests a second that were asked for; None for as many as there could be."""
    added_p50: float | None = None
    """How much longer the median answer took than without a proxy, in the same seconds."""
    memory_each: float | None = None
    """Of each idle connection."""

    @property
    def cpu_per_request(self) -> float:
        """Seconds of CPU time that a request cost the proxy."""
        return self.cpu_seconds / self.requests

    @property
    def throughput(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def busy(self) -> float:
        """Share of a core that the proxy used; well below 1 means that the load or the origin was the limit."""
        return self.cpu_seconds / self.seconds

    @property
    def errors(self) -> int:
        """Requests that got no good answer."""
        return self.socket_errors + self.status_errors


@dataclass(frozen=True, slots=True)
class Bench:
    """What makes the load, and where."""

    programs: Mapping[str, str]
    core: int
    origin_port: int
    """For what an answer takes without a proxy."""


@dataclass(frozen=True, slots=True)
class _Measured:
    load: Load
    cpu_seconds: float
    rate: float | None = None
    added_p50: float | None = None
    memory_each: float | None = None


def measure(bench: Bench, server: Server, port: int, workload: Workload, seconds: int) -> _Measured:
    """Warm the proxy up and measure it. Raises LoadFailedError and ProcessGoneError."""
    match workload.generator:
        case Generator.PACE:
            return _paced(bench, server, port, workload, seconds)
        case Generator.IDLE:
            return _idle(server, port, workload)
    _apply(bench, port, workload, _WARM_UP_POOL if workload.pool > 1000 else WARM_UP)
    before = usage(server.pid)
    load = _apply(bench, port, workload, seconds)
    spent = usage(server.pid).cpu_seconds - before.cpu_seconds
    return _Measured(load, spent, rate=float(workload.rate) or None)


def take(bench: Bench, server: Server, port: int, workload: Workload, seconds: int, round_: int, proxy: str) -> Sample:
    """The sample of one measurement. Raises ServerFailedError, with the proxy's log, when it could not be made."""
    try:
        measured = measure(bench, server, port, workload, seconds)
        peak = usage(server.pid).peak_memory
    except (LoadFailedError, ProcessGoneError) as error:
        status = server.process.poll()
        raise server.failure(
            f"failed: {error}" if status is None else f"ended with status {status} under load"
        ) from error
    load = measured.load
    return Sample(
        round=round_,
        proxy=proxy,
        requests=load.requests,
        seconds=load.seconds,
        cpu_seconds=measured.cpu_seconds,
        mean=load.mean,
        p50=load.p50,
        p99=load.p99,
        p999=load.p999,
        peak_memory=peak,
        socket_errors=load.socket_errors,
        status_errors=load.status_errors,
        rate=measured.rate,
        added_p50=measured.added_p50,
        memory_each=measured.memory_each,
    )


def _apply(bench: Bench, port: int, workload: Workload, seconds: int) -> Load:
    url = f"{'https' if workload.tls else 'http'}://127.0.0.1:{port}{workload.path}"
    match workload.generator:
        case Generator.H2LOAD:
            return h2load(bench.programs["h2load"], url, workload, seconds, bench.core)
        case Generator.WEBSOCKET:
            return websocket(bench.programs[PACE], port, workload.path, seconds, workload.connections, bench.core)
        case _:
            return wrk(bench.programs["wrk"], url, workload, seconds, bench.core)


def _paced(bench: Bench, server: Server, port: int, workload: Workload, seconds: int) -> _Measured:
    program, path, connections = bench.programs[PACE], workload.path, workload.connections
    rate = float(workload.rate)
    if workload.share:  # what it can do is found out by wrk, which warms it up at once
        url = f"http://127.0.0.1:{port}{path}"
        rate = workload.share * max(
            each.requests / each.seconds
            for each in (wrk(bench.programs["wrk"], url, workload, WARM_UP, bench.core) for _ in range(2))
        )
    direct = None
    if workload.figure is Figure.ADDED:
        direct = pace(program, bench.origin_port, path, rate, seconds / 2, connections, bench.core)
    pace(program, port, path, rate, WARM_UP / 2, connections, bench.core)
    before = usage(server.pid)
    load = pace(program, port, path, rate, seconds, connections, bench.core)
    spent = usage(server.pid).cpu_seconds - before.cpu_seconds
    return _Measured(load, spent, rate=rate, added_p50=load.p50 - direct.p50 if direct else None)


def _idle(server: Server, port: int, workload: Workload) -> _Measured:
    before = usage(server.pid)
    waiting = idle(port, workload.path, workload.connections, lambda: memory(server.pid))
    spent = usage(server.pid).cpu_seconds - before.cpu_seconds
    return _Measured(waiting.load, spent, memory_each=waiting.memory_each)
