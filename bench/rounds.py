"""The order of the measurements, and what each of them stands on."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.certificate import write_certificate
from bench.contenders import ORIGIN, PROXIES, instance_ports, write_bodies
from bench.measurement import Bench, Sample, take
from bench.servers import Server, ServerFailedError, free_ports, running, wait_until_answers
from bench.workloads import BODIES, SLOW, Instances, Workload

_FEW, _MANY = 4096, 32_768
"""Connections that a proxy may have: some set memory aside for each."""


class MeasurementError(Exception):
    """A proxy could not be measured. The text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One proxy under one workload in one round, counted from 1."""

    workload: Workload
    round: int
    proxy: str


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the proxy alone on the first ones; load generator and origin on the last."""

    all: tuple[int, ...]

    @property
    def load(self) -> int:
        return self.all[-1]

    def proxy(self, workers: int) -> tuple[int, ...]:
        """One core for each worker, beginning with the first, while there are as many."""
        return self.all[:workers]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the instances listen."""

    origin: tuple[int, int, int]
    everywhere: int
    echo: tuple[int, int, int]
    slow: int

    def addresses(self, workload: Workload) -> list[str]:
        """The addresses of the workload's instances."""
        match workload.instances:
            case Instances.SPREAD:
                return spread_addresses(workload.pool, self.everywhere)
            case Instances.ONE_SLOW:
                ports = (*self.origin[:2], self.slow)
            case Instances.ECHO:
                ports = self.echo
            case _:
                ports = self.origin
        return [f"127.0.0.1:{port}" for port in ports]


def spread_addresses(count: int, port: int) -> list[str]:
    """So many addresses of the loopback network, all with this port; at most 65,000."""
    return [f"127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(count)]


def plan(workloads: Sequence[Workload], proxies: Sequence[str], rounds: int) -> list[Step]:
    """All steps in order. The proxies take turns, and each round starts with the next one, so a drift favours none."""
    return [
        Step(workload, turn + 1, proxy)
        for workload in workloads
        for turn in range(rounds)
        for proxy in (*proxies[turn % len(proxies) :], *proxies[: turn % len(proxies)])
    ]


def settings(workload: Workload) -> dict[str, object]:
    """What the templates are told of a workload."""
    many = workload.connections > 2000 or workload.pool > 1000
    return {
        "tls": workload.tls,
        "log": workload.log,
        "tuned": workload.tuned,
        "probes": workload.probes,
        "least": workload.instances is Instances.ONE_SLOW,
        "websocket": workload.instances is Instances.ECHO,
        "connections": _MANY if many else _FEW,
        # Unused connections to instances that nginx keeps: all that there can be.
        "kept": max(1024, workload.pool + workload.connections),
    }


class Stand:
    """The instances, running, and what it takes to measure a proxy in front of them."""

    def __init__(
        self,
        programs: Mapping[str, str],
        cores: Cores,
        instances: Sequence[Server],
        ports: Ports,
        files: Mapping[str, object],
        folder: Path,
    ) -> None:
        self._programs = programs
        self._cores = cores
        self._instances = instances
        self._ports = ports
        self._files = files
        self._folder = folder
        self._bench = Bench(programs, cores.load, ports.origin[0])

    def measure(self, step: Step, seconds: int) -> Sample:
        """Start the proxy afresh, warm it up, measure it and stop it.

        Raises MeasurementError when the proxy fails, and ServerFailedError when an instance has.
        """
        for instance in self._instances:
            if instance.process.poll() is not None:
                raise instance.failure(f"ended with status {instance.process.returncode}")
        workload, proxy = step.workload, PROXIES[step.proxy]
        with tempfile.TemporaryDirectory(prefix=f"{step.proxy}-", dir=self._folder) as name:
            folder = Path(name)
            [port] = free_ports(1)
            values = {"port": port, "folder": folder, **self._files, **settings(workload)}
            addresses = self._ports.addresses(workload)
            command = proxy.command(self._programs[proxy.program], folder, values, addresses)
            cores, environment = self._cores.proxy(proxy.workers), proxy.variables(folder)
            try:
                with running(proxy.name, command, cores, folder, environment) as server:
                    wait_until_answers(server, port, workload.path, workload.body, tls=workload.tls)
                    return take(self._bench, server, port, workload, seconds, step.round, step.proxy)
            except ServerFailedError as error:
                raise MeasurementError(str(error)) from error


@contextmanager
def stand(programs: Mapping[str, str], cores: Cores) -> Iterator[Stand]:
    """Start the instances in a temporary folder. Raises ServerFailedError when they do not start."""
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-bench-")))
        found = free_ports(8)
        ports = Ports((found[0], found[1], found[2]), found[3], (found[4], found[5], found[6]), found[7])
        write_bodies(folder)
        files = write_certificate(folder)
        values = {"folder": folder, "small_body": "x" * BODIES["/"], "everywhere": ports.everywhere}
        command = ORIGIN.command(programs[ORIGIN.program], folder, {**values, **instance_ports(list(ports.origin))})
        origin = started.enter_context(running(ORIGIN.name, command, (cores.load,), folder))
        others = [sys.executable, "-m", "bench.instances", *map(str, (*ports.echo, ports.slow)), str(SLOW)]
        root = {"PYTHONPATH": str(Path(__file__).parents[1])}
        instances = started.enter_context(running("instances", others, (cores.load,), folder, root))
        for port in ports.origin:
            for path, size in BODIES.items():
                wait_until_answers(origin, port, path, size)
        wait_until_answers(origin, ports.everywhere, "/", BODIES["/"])
        for port in (*ports.echo, ports.slow):
            wait_until_answers(instances, port, "/", BODIES["/"])
        yield Stand(programs, cores, (origin, instances), ports, files, folder)
