"""Hundreds of services in a real Consul, followed over a bounded number of connections."""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discovery.consul import ConsulRegistry
from discovery.consul.follower import READERS
from discovery.keeper import Keeper
from discovery.registry import RegistryError
from tests.discovery.consul.service import WAIT, Service, of
from tests.discovery.watching import eventually, first, ids, only, until, watching
from tests.servers.consul import ConsulAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from discovery.instance import Snapshot

SERVICES = 400
OWN = 32  # connections that wait for one service each
CHANGES = int(os.environ.get("POINTSMAN_TEST_CHANGES", "6"))  # of each kind; the documentation has 50
PAUSE = 0.1  # seconds between two changes, so that each comes alone


@pytest.fixture(scope="module")
def crowded(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulAgent]:
    """An agent with many services, which may be changed."""
    agent = ConsulAgent(tmp_path_factory.mktemp("crowded"))
    agent.start()
    for number in range(SERVICES):
        put(agent, number)
    yield agent
    agent.stop()


def put(agent: ConsulAgent, number: int, weight: int = 1, **more: Any) -> None:
    check = {"CheckID": f"check-{number}", "TTL": "600s", "Status": "passing"}
    definition = {"Name": f"crowd-{number}", "ID": f"crowd-{number}", "Address": "10.0.0.1", "Port": 80 + number}
    weights = {"Passing": weight, "Warning": 2}
    agent.register({**definition, "Weights": weights, **({"Check": check} if number % 2 else {}), **more})


def connections(agent: ConsulAgent) -> int:
    """How many connections the agent has accepted and not closed."""
    rows = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    ends = [(row.split()[1], row.split()[3]) for row in rows]
    return sum(1 for local, state in ends if local.endswith(f":{agent.port:04X}") and state == "01")


class Crowd:
    """A keeper for each service, and what it has published."""

    def __init__(self, agent: ConsulAgent) -> None:
        self.published: dict[int, Snapshot] = {}
        self.moments: dict[tuple[int, int], float] = {}
        registry = ConsulRegistry(agent.address, connections=OWN, wait=WAIT)
        self.keepers = [self._keeper(registry, number) for number in range(SERVICES)]

    def _keeper(self, registry: ConsulRegistry, number: int) -> Keeper:
        def publish(snapshot: Snapshot) -> None:
            self.published[number] = snapshot
            for instance in snapshot.instances:
                self.moments.setdefault((number, instance.weight), time.monotonic())

        return Keeper(f"s{number}", registry, f"crowd-{number}", publish, hold=0, journal=lambda *_: None)


@asynccontextmanager
async def followed(agent: ConsulAgent) -> AsyncIterator[Crowd]:
    crowd = Crowd(agent)
    tasks = [asyncio.create_task(keeper.run()) for keeper in crowd.keepers]
    try:
        await eventually(lambda: len(crowd.published) == SERVICES)
        yield crowd
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_change_of_one_among_many_is_noticed_over_few_connections(crowded: ConsulAgent):
    async with followed(crowded) as crowd:
        assert connections(crowded) <= OWN + 2 + READERS
        delays: dict[str, list[float]] = {"its own connection": [], "shared, a check": [], "shared, the catalog": []}
        for change in range(CHANGES):
            # Not for luck: what follows closely comes together.
            for kind, number in (
                ("its own connection", change % OWN),
                ("shared, a check", SERVICES - 1 - 2 * change),
                ("shared, the catalog", SERVICES - 2 - 2 * change),
            ):
                await asyncio.sleep(PAUSE)
                asked = time.monotonic()
                if kind == "shared, a check":
                    await asyncio.to_thread(crowded.set_check, f"check-{number}", "warning")
                    await eventually(lambda: (number, 2) in crowd.moments)  # noqa: B023
                    delays[kind].append(crowd.moments[number, 2] - asked)
                    continue
                weight = 10 + change
                await asyncio.to_thread(put, crowded, number, weight)
                await eventually(lambda: (number, weight) in crowd.moments)  # noqa: B023
                delays[kind].append(crowd.moments[number, weight] - asked)
        # The agent takes its time to see that the last registrations, each with a connection of its own, are over.
        await eventually(lambda: connections(crowded) <= OWN + 2 + READERS)
        assert all(not keeper.error for keeper in crowd.keepers)
    print(f"\n{CHANGES} changes among {SERVICES} services; milliseconds from asking for it to its publication:")
    print(f"{'':<22} {'p50':>8} {'p99':>8} {'worst':>8}")
    for kind, late in delays.items():
        late = sorted(1000 * delay for delay in late)
        print(f"{kind:<22} {late[len(late) // 2]:>8.1f} {p99(late):>8.1f} {late[-1]:>8.1f}")


def p99(values: Sequence[float]) -> float:
    """The 99th percentile as the value of the rank just below it (numpy's "lower"): of 50, the second worst."""
    return values[int(0.99 * (len(values) - 1))]


async def test_the_end_of_the_last_watch_closes_all_connections(crowded: ConsulAgent):
    async with followed(crowded):
        assert connections(crowded) > 2
    await eventually(lambda: connections(crowded) == 0)


@pytest.fixture
def service(consul: ConsulAgent) -> Iterator[Service]:
    service = Service(consul)
    yield service
    for service_id in service.registered:
        consul.deregister(service_id)


async def test_a_service_that_shares_sees_all_that_one_of_its_own_sees(service: Service):
    ttl = {"CheckID": f"{service.id(1)}-ttl", "TTL": "600s", "Status": "passing"}
    async with service.watch(connections=0) as watch:
        snapshot = await first(watch)
        assert (snapshot.instances, snapshot.continuous) == ((), False)
        service.register(1)
        assert (await until(watch, of(1))).continuous
        service.register(1, Weights={"Passing": 5, "Warning": 2}, Check=ttl)
        await until(watch, lambda snapshot: only(snapshot).weight == 5)
        service.agent.set_check(f"{service.id(1)}-ttl", "warning")
        await until(watch, lambda snapshot: only(snapshot).weight == 2)
        service.agent.maintenance(service.id(1), enable=True)
        await until(watch, lambda snapshot: only(snapshot).availability.value == "draining")
        service.deregister(1)
        assert (await until(watch, of())).continuous


async def test_those_who_share_may_have_tags_and_filters_of_their_own(service: Service):
    service.register(1, Tags=["v1"])
    service.register(2, Tags=["v2"], Meta={"a": "b"})
    async with (
        service.watch(connections=0, tags=["v1"]) as one,
        service.watch(connections=0, datacenter="dc1", filter='Service.Meta.a == "b"') as two,
    ):
        await until(one, of(1))
        await until(two, of(2))
        service.register(3, Tags=["v1"], Meta={"a": "b"})
        await until(one, of(1, 3))
        await until(two, of(2, 3))


async def test_a_question_that_consul_refuses_fails_its_own_watch_alone(service: Service):
    service.register(1)
    async with service.watch(connections=0) as good, service.watch(connections=0, filter="nonsense is odd") as bad:
        await until(good, of(1))
        with pytest.raises(RegistryError, match="Failed to create boolean expression"):
            await first(bad)
        service.register(2)
        await until(good, of(1, 2))


async def test_a_sign_of_life_comes_though_nothing_changes(service: Service):
    service.register(1)
    registry = ConsulRegistry(service.agent.address, connections=0, wait=0.05)
    async with watching(registry, service.name) as watch:
        snapshots = [await first(watch) for _ in range(2)]
    assert {only(snapshot).id for snapshot in snapshots} == ids(snapshots[0])


async def test_a_consul_that_comes_back_without_its_data_is_not_continuous(own_consul: ConsulAgent):
    service = Service(own_consul)
    service.register(1)
    published: list[Snapshot] = []
    registry = ConsulRegistry(own_consul.address, connections=0, wait=WAIT)
    keeper = Keeper("web", registry, service.name, published.append, hold=300, journal=lambda *_: None)
    task = asyncio.create_task(keeper.run())
    try:
        await eventually(lambda: bool(published))
        await asyncio.to_thread(own_consul.kill)
        await eventually(lambda: bool(keeper.error))
        await asyncio.to_thread(own_consul.start)
        await eventually(lambda: keeper.held_since is not None)
        assert of(1)(published[-1])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_many_changes_in_disorder_end_in_the_true_set(consul: ConsulAgent):
    disorder = random.Random(1)
    services = [Service(consul) for _ in range(12)]
    truth: dict[str, dict[int, int]] = {service.name: {} for service in services}
    published: dict[str, Snapshot] = {}
    registry = ConsulRegistry(consul.address, connections=4, wait=WAIT)

    def keeper(name: str) -> Keeper:
        def publish(snapshot: Snapshot) -> None:
            published[name] = snapshot

        return Keeper(name, registry, name, publish, hold=0, journal=lambda *_: None)

    def change() -> None:
        for _ in range(600):
            service = disorder.choice(services)
            number = disorder.randrange(1, 5)
            if number in truth[service.name] and disorder.random() < 0.4:
                service.deregister(number)
                del truth[service.name][number]
            else:
                weight = truth[service.name][number] = disorder.randrange(1, 1000)
                service.register(number, Weights={"Passing": weight, "Warning": 1})

    def found(name: str) -> dict[int, int]:
        snapshot = published.get(name)
        instances = snapshot.instances if snapshot else ()
        return {int(instance.address.rpartition(".")[2]): instance.weight for instance in instances}

    tasks = [asyncio.create_task(keeper(service.name).run()) for service in services]
    try:
        await asyncio.to_thread(change)
        await eventually(lambda: all(found(name) == wanted for name, wanted in truth.items()))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for service in services:
            for service_id in service.registered:
                consul.deregister(service_id)
