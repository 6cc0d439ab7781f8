"""Applications that are not started, to count in: workers, and a control process that shows their totals."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from config.load import parse
from discovery.instance import Instance, Snapshot
from proxy.application import Application
from proxy.metrics import Collector
from proxy.tcp.counts import Counts
from proxy.workers.counted import KINDS
from proxy.workers.tally import objects_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from balancers.endpoint import Endpoint
    from proxy.service import Service
    from proxy.workers.counted import Key
    from proxy.workers.tally import Reporter, Totals

    Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

DISCOVERY = {"discovery": {"http": {"url": "http://127.0.0.1:9/nobody"}}}
SMALL: dict[str, Any] = {
    "listeners": [{"bind": "127.0.0.1:0"}],
    "routes": [{"service": "web"}],
    "services": {"web": DISCOVERY},
}


class Kept:
    """Stands in for a connection that is idle, and for what is under way or waits."""


def application(folder: Path, config: dict[str, Any] | None = None) -> Application:
    """Make one that is not started; nobody is there yet."""
    return Application(parse(json.dumps(config or SMALL), name="test", folder=folder, environ={}))


def follow(identities: Sequence[str], *applications: Application, service: str = "web", port: int = 80) -> None:
    """Have a registry tell all of them who is there."""
    instances = tuple(Instance(identity, "10.0.0.1", port) for identity in identities)
    for one in applications:
        one.services[service].follow(Snapshot(service, instances, "1"))


def web(one: Application) -> Service:
    return one.services["web"]


def endpoint(one: Application, identity: str = "a") -> Endpoint:
    found = web(one).pool.endpoint(identity)
    assert found is not None
    return found


def tell(totals: Totals, number: int, reporter: Reporter, worker: Application) -> None:
    """Have a worker report."""
    totals.reported(number, *reporter.report(worker))


def fill(worker: Application, numbers: Callable[[], int]) -> dict[Key, tuple[float, ...]]:
    """Count something everywhere; return what is counted then."""
    for service in worker.services.values():
        if service.traffic.raw is not None:
            for connections in service.connections.values():
                connections.raw = connections.raw or Counts()
    for key, one in objects_of(worker).items():
        KINDS[key[0]].write(one, [numbers() for _ in range(KINDS[key[0]].count)])
        if key[0] == "connections":
            one._idle[:] = [Kept() for _ in range(one.idle_elsewhere)]
            one.idle_elsewhere = 0
        elif key[0] == "places":
            one._waiting.update((Kept(), False) for _ in range(one.waiting_elsewhere))
            one.waiting_elsewhere = 0
        elif key[0] == "copies":
            one._under_way.update(Kept() for _ in range(one.in_flight_elsewhere))
            one.in_flight_elsewhere = 0
    return read(worker)


async def stop(worker: Application) -> None:
    """End one that was filled."""
    for key, one in objects_of(worker).items():
        if key[0] == "connections":
            one._idle.clear()
        elif key[0] == "places":
            one._waiting.clear()
        elif key[0] == "copies":
            one._under_way.clear()
    await worker.stop()


def primes() -> Callable[[], int]:
    """Return numbers that differ."""
    numbers = count(2)
    return lambda: next(numbers)


def samples(one: Application) -> Samples:
    """Return what metrics show."""
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in Collector(one).collect()
        for sample in family.samples
    }
