"""A service in two real datacenters of Consul, and what happens when one of them cannot be asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from discovery.consul import ConsulRegistry, Datacenters
from discovery.keeper import Keeper
from discovery.registry import RegistryError
from tests.discovery.consul.service import WAIT, Service
from tests.discovery.watching import eventually, first, until, watching
from tests.servers.consul import ConsulAgent, two_datacenters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from discovery.instance import Snapshot


@pytest.fixture
def agents(consul_program: Path, tmp_path: Path) -> Iterator[tuple[ConsulAgent, ConsulAgent]]:
    """Two datacenters, which know each other."""
    with two_datacenters(tmp_path) as both:
        yield both


def registry(agent: ConsulAgent, *names: str) -> Datacenters:
    found = [(name, ConsulRegistry(agent.address, datacenter=name, wait=WAIT)) for name in names]
    return Datacenters(found, longest_wait=0.5)


def levels(snapshot: Snapshot) -> dict[str, int]:
    return {instance.id: instance.priority for instance in snapshot.instances}


def has(*wanted: tuple[str, int, int]) -> Callable[[Snapshot], bool]:
    """Make the condition that there are these instances: datacenter, number and priority of each."""

    def check(snapshot: Snapshot) -> bool:
        found = {(i.id.partition("/")[0], int(i.address.rpartition(".")[2]), i.priority) for i in snapshot.instances}
        return found == set(wanted)

    return check


async def test_a_datacenter_that_is_lost_keeps_its_instances_and_does_not_spoil_the_other(
    agents: tuple[ConsulAgent, ConsulAgent],
):
    here, there = agents
    one, two = Service(here), Service(there)
    two.name = one.name
    one.register(1)
    two.register(2)
    async with watching(registry(here, "dc1", "dc2"), one.name) as watch:
        snapshot = await until(watch, has(("dc1", 1, 0), ("dc2", 2, 1)))
        assert "dc1:" in snapshot.index
        assert "dc2:" in snapshot.index
        two.register(3)
        await until(watch, has(("dc1", 1, 0), ("dc2", 2, 1), ("dc2", 3, 1)))
        await asyncio.to_thread(there.kill)
        lost = await until(watch, lambda snapshot: bool(snapshot.unreadable))
        assert has(("dc1", 1, 0), ("dc2", 2, 1), ("dc2", 3, 1))(lost)
        assert "datacenter dc2: what was last known of it stays in force" in lost.unreadable[0]
        one.register(4)
        await until(watch, has(("dc1", 1, 0), ("dc1", 4, 0), ("dc2", 2, 1), ("dc2", 3, 1)))


async def test_one_that_does_not_exist_is_named_and_all_that_do_not_are_an_error(consul: ConsulAgent):
    service = Service(consul)
    service.register(1)
    try:
        async with watching(registry(consul, "dc9", "dc1"), service.name) as watch:
            snapshot = await until(watch, lambda snapshot: bool(snapshot.instances))
            assert has(("dc1", 1, 1))(snapshot)
            assert "No path to datacenter" in snapshot.unreadable[0]
        async with watching(registry(consul, "dc8", "dc9"), service.name) as watch:
            with pytest.raises(RegistryError, match=r"datacenter dc8: .*No path.*; datacenter dc9: "):
                await until(watch, lambda snapshot: False)
    finally:
        service.deregister(1)


async def test_what_was_known_outlives_a_time_in_which_none_could_be_asked(own_consul: ConsulAgent):
    service = Service(own_consul)
    service.register(1)
    joined = registry(own_consul, "dc1")
    published: list[Snapshot] = []
    keeper = Keeper("web", joined, service.name, published.append, hold=300, journal=lambda *_: None, longest_wait=0.5)
    task = asyncio.create_task(keeper.run())
    try:
        await eventually(lambda: bool(published))
        await asyncio.to_thread(own_consul.kill)
        await eventually(lambda: "datacenter dc1: " in keeper.error)
        await asyncio.to_thread(own_consul.start)
        await eventually(lambda: not keeper.error)
        await eventually(lambda: keeper.held_since is not None)
        assert levels(published[-1]) == {f"dc1/{node}/{service.id(1)}": 0 for node in [nodes(own_consul)]}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_fault_of_ours_is_not_swallowed():
    class Faulty:
        async def watch(self, service: str) -> AsyncIterator[Snapshot]:
            raise ZeroDivisionError
            yield

    faulty: Any = Faulty()
    async with watching(Datacenters([("dc1", faulty)]), "web") as watch:
        with pytest.raises(ZeroDivisionError):
            await first(watch)


def nodes(agent: ConsulAgent) -> str:
    name: str = agent.call("GET", "/v1/agent/self")["Config"]["NodeName"]
    return name
