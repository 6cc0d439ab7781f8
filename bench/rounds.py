"""The order of the measurements, and one measurement."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.accounting import ProcessGoneError, usage
from bench.contenders import INSTANCES, ORIGIN, PROXIES, instance_ports, write_bodies
from bench.load import LoadFailedError, apply_load
from bench.servers import Server, ServerFailedError, free_ports, running, wait_until_answers
from bench.workloads import BODIES, Workload

WARM_UP = 1


class MeasurementError(Exception):
    """A proxy could not be measured. The text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One proxy under one workload in one round, counted from 1."""

    workload: Workload
    round: int
    proxy: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one step measured. Times are in seconds, memory in bytes."""

    round: int
    proxy: str
    requests: int
    seconds: float
    cpu_seconds: float
    p50: float
    p99: float
    peak_memory: int
    socket_errors: int
    status_errors: int

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
        """Share of its core that the proxy used; well below 1 means that the load or the origin was the limit."""
        return self.cpu_seconds / self.seconds

    @property
    def errors(self) -> int:
        """Requests that got no good answer."""
        return self.socket_errors + self.status_errors


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the proxy alone on one core; wrk and the origin on the other."""

    proxy: int
    load: int


def plan(workloads: Sequence[Workload], proxies: Sequence[str], rounds: int) -> list[Step]:
    """All steps in order. The proxies take turns, and each round starts with the next one, so a drift favours none."""
    return [
        Step(workload, turn + 1, proxy)
        for workload in workloads
        for turn in range(rounds)
        for proxy in (*proxies[turn % len(proxies) :], *proxies[: turn % len(proxies)])
    ]


class Stand:
    """The origin, running, and what it takes to measure a proxy in front of it."""

    def __init__(
        self, programs: dict[str, str], cores: Cores, origin: Server, instances: Mapping[str, object], folder: Path
    ) -> None:
        self._programs = programs
        self._cores = cores
        self._origin = origin
        self._instances = instances
        self._folder = folder

    def measure(self, step: Step, seconds: int) -> Sample:
        """Start the proxy afresh, warm it up, measure it and stop it.

        Raises MeasurementError when the proxy fails, and ServerFailedError when the origin has.
        """
        if self._origin.process.poll() is not None:
            raise self._origin.failure(f"ended with status {self._origin.process.returncode}")
        with tempfile.TemporaryDirectory(prefix=f"{step.proxy}-", dir=self._folder) as name:
            folder = Path(name)
            proxy = PROXIES[step.proxy]
            [port] = free_ports(1)
            command = proxy.command(self._programs[proxy.program], folder, {"port": port, **self._instances})
            try:
                with running(proxy.name, command, self._cores.proxy, folder) as server:
                    wait_until_answers(server, port, step.workload.path, step.workload.body)
                    return self._sample(server, port, step, seconds)
            except ServerFailedError as error:
                raise MeasurementError(str(error)) from error

    def _sample(self, server: Server, port: int, step: Step, seconds: int) -> Sample:
        url = f"http://127.0.0.1:{port}{step.workload.path}"
        try:
            apply_load(self._programs["wrk"], url, step.workload, WARM_UP, self._cores.load)
            before = usage(server.pid)
            load = apply_load(self._programs["wrk"], url, step.workload, seconds, self._cores.load)
            after = usage(server.pid)
        except (LoadFailedError, ProcessGoneError) as error:
            status = server.process.poll()
            raise server.failure(
                f"failed: {error}" if status is None else f"ended with status {status} under load"
            ) from error
        return Sample(
            round=step.round,
            proxy=step.proxy,
            requests=load.requests,
            seconds=load.seconds,
            cpu_seconds=after.cpu_seconds - before.cpu_seconds,
            p50=load.p50,
            p99=load.p99,
            peak_memory=after.peak_memory,
            socket_errors=load.socket_errors,
            status_errors=load.status_errors,
        )


@contextmanager
def stand(programs: dict[str, str], cores: Cores) -> Iterator[Stand]:
    """Start the origin in a temporary folder. Raises ServerFailedError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as name:
        folder = Path(name)
        ports = free_ports(INSTANCES)
        write_bodies(folder)
        values = {"folder": folder, "small_body": "x" * BODIES["/"], **instance_ports(ports)}
        command = ORIGIN.command(programs[ORIGIN.program], folder, values)
        with running(ORIGIN.name, command, cores.load, folder) as origin:
            for port in ports:
                for path, size in BODIES.items():
                    wait_until_answers(origin, port, path, size)
            yield Stand(programs, cores, origin, instance_ports(ports), folder)
