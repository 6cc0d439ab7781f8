"""One run: Consul, the instances, and before them one proxy after the other."""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import click

from bench.accounting import ProcessGoneError
from bench.control import instance
from bench.control.catalog import Addresses, Crowd, Registrations, consul, make_changes
from bench.control.delay import MORE, SERVICE, STAYING, Delays, TooLateError
from bench.control.followers import FOLLOWERS, Task
from bench.control.load import Load, wait_for_all, watch
from bench.control.report import Results
from bench.control.wire import Wire
from bench.servers import Server, ServerFailedError, running
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.servers.consul import ConsulAgent


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Times are in seconds."""

    rounds: int = 5
    changes: int = 10
    """Registrations in a round, and as many ends of them."""
    pause: float = 0.1
    """Between two changes, at least."""
    services: int = 1000
    instances: int = 10
    """Of each service."""
    settle: float = 5.0
    rest: float = 15.0
    changing: float = 20.0
    rate: float = 100.0
    """Changes a second."""
    most: float = 660.0
    """What is not begun by then is left out."""


QUICK = Size(rounds=1, changes=3, services=100, settle=1.0, rest=2.0, changing=3.0, most=75.0)


class Run:
    """One Consul agent and one process of instances, and before them one proxy after the other."""

    def __init__(self, folder: Path, found: Mapping[str, str], names: Sequence[str], size: Size) -> None:
        self.results = Results()
        self._folder = folder
        self._found = found
        self._names = list(names)
        self._size = size
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._random = random.Random()

    def __enter__(self) -> Self:
        cores = sorted(os.sched_getaffinity(0))
        self._core, load_core = cores[0], cores[-1]
        with ExitStack() as stack:
            self._addresses = Addresses(free_port(), max(self._size.instances, STAYING) + 1)
            # On any core: beside who asks, it would hold the questions up in the very moment that is looked at.
            self._agent: ConsulAgent = stack.enter_context(consul(self._folder))
            command = [sys.executable, instance.__file__, str(self._addresses.port), *self._addresses.all]
            stack.enter_context(running("instances", command, [load_core], self._folder))
            os.sched_setaffinity(0, {load_core})
            stack.callback(os.sched_setaffinity, 0, set(cores))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def delays(self) -> None:
        """Measure, round by round and each proxy in turn, when changes show."""
        *staying, coming = self._addresses.all[: STAYING + 1]
        with Wire(self._agent.port) as wire:
            registrations = Registrations(wire, SERVICE, self._addresses.port)
            for address in staying:
                registrations.register(address)
                registrations.done()
        failed: set[str] = set()
        for round_ in range(1, self._size.rounds + 1):
            for name in self._turns(round_):
                if name in failed or not self._go_on(f"delays · round {round_} of {self._size.rounds} · {name}", name):
                    continue
                try:
                    with self._proxy(name, [SERVICE], STAYING + 1) as (task, server):
                        wait_for_all(task.port, task.services, partial(_is_running, server))
                        self._delays_of(name, task, coming, round_)
                except (TooLateError, TimeoutError, ServerFailedError) as error:
                    failed.add(name)
                    self._fail(f"{name}: {error}")
                    self._agent.deregister(coming)

    def _delays_of(self, name: str, task: Task, coming: str, round_: int) -> None:
        with Wire(task.port) as wire, Wire(self._agent.port) as to_consul:
            registrations = Registrations(to_consul, SERVICE, self._addresses.port)
            delays = Delays(name, wire, registrations, coming, self._pause)
            for _ in range(self._size.changes):
                self.results.changes.append(delays.registered(round_))
                self.results.changes.append(delays.deregistered(round_))

    def loads(self) -> None:
        """Measure what following many services costs, one proxy after the other."""
        size = self._size
        crowd = Crowd(size.services, size.instances, self._addresses)
        click.echo(f"registering {size.services * size.instances:,} instances", err=True)
        crowd.enter(self._agent)
        for name in self._names:
            if not self._go_on(f"load · {name}", name):
                continue
            try:
                with self._proxy(name, crowd.services, size.instances + 1) as (task, server):
                    self.results.loads.append(self._load_of(name, crowd, task, server))
            except (TimeoutError, ServerFailedError, ProcessGoneError) as error:
                self._fail(f"{name}: {error}")

    def _load_of(self, name: str, crowd: Crowd, task: Task, server: Server) -> Load:
        size = self._size
        begun = time.monotonic()
        wait_for_all(task.port, crowd.services, partial(_is_running, server))
        ready = time.monotonic() - begun
        time.sleep(size.settle)
        rest = watch(server.pid, self._agent.pid, partial(_rest, size.rest))
        with Wire(self._agent.port) as wire:
            changing = watch(
                server.pid, self._agent.pid, partial(make_changes, wire, crowd.changes(), size.rate, size.changing)
            )
        return Load(name, ready, rest, changing)

    @contextmanager
    def _proxy(self, name: str, services: Sequence[str], instances: int) -> Iterator[tuple[Task, Server]]:
        follower = FOLLOWERS[name]
        task = Task(free_port(), self._agent.port, self._agent.dns_port, services, instances)
        command = [self._found[follower.program], *follower.arguments(task, self._folder)]
        with running(name, command, [self._core], self._folder) as server:
            yield task, server

    def _pause(self) -> None:
        time.sleep(self._size.pause + self._random.random() * MORE)

    def _turns(self, round_: int) -> list[str]:
        """Each round begins with the next proxy."""
        shift = round_ % len(self._names)
        return self._names[shift:] + self._names[:shift]

    def _go_on(self, what: str, name: str) -> bool:
        passed = time.monotonic() - self._begun
        if passed > self._size.most:
            self._fail(f"{name}: left out, since the run is to end within {self._size.most:g} s ({what})")
            return False
        click.echo(f"[{passed:.0f} s] {what}", err=True)
        return True

    def _fail(self, text: str) -> None:
        self.results.failures.append(text)
        click.echo(text, err=True)


def _is_running(server: Server) -> bool:
    return server.process.poll() is None


def _rest(seconds: float) -> int:
    time.sleep(seconds)
    return 0
