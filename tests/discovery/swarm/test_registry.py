"""The Swarm registry against a real manager. A task takes a second to start and some three to end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import TYPE_CHECKING

import pytest

from discovery.instance import Availability
from discovery.keeper import Keeper
from discovery.registry import RegistryError
from tests.discovery.swarm.service import Service
from tests.discovery.watching import eventually, first, has, ids, only, until, watching
from tests.servers.docker import OVERLAY, POOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discovery.instance import Snapshot
    from tests.servers.docker import DockerEngine

LONG = 60.0  # seconds; an interval in which no look falls


@pytest.fixture
def service(swarm: DockerEngine) -> Iterator[Service]:
    with contextlib.closing(Service(swarm)) as service:
        yield service


@pytest.fixture
def other(swarm: DockerEngine) -> Iterator[Service]:
    with contextlib.closing(Service(swarm)) as service:
        yield service


def draining(snapshot: Snapshot) -> set[str]:
    return {one.id for one in snapshot.instances if one.availability is Availability.DRAINING}


async def test_tasks_come_drain_and_go(service: Service, other: Service):
    """All by events: no look is due while the test lasts. A Swarm is slow, so two services are changed at once."""
    await asyncio.gather(_is_scaled(service), _is_updated(other))


async def _is_scaled(service: Service) -> None:
    async with service.watch(interval=LONG) as watch:
        assert (await first(watch)).instances == ()
        labels = {"pointsman.weight": "7", "pointsman.zone": "eu-1a", "pointsman.tags": "v2"}
        await asyncio.to_thread(service.make, labels, replicas=2)
        snapshot = await until(watch, lambda snapshot: len(snapshot.instances) == 2)
        assert snapshot.continuous
        assert ids(snapshot) == await asyncio.to_thread(service.running)
        for one in snapshot.instances:
            assert ipaddress.ip_address(one.address) in ipaddress.ip_network(POOL)
            assert (one.port, one.weight, one.zone, one.tags) == (80, 7, "eu-1a", ("v2",))
        await asyncio.to_thread(service.engine.scale, service.name, 1)
        drains = await until(watch, lambda snapshot: len(draining(snapshot)) == 1)
        assert ids(drains) == ids(snapshot)
        (gone,) = draining(drains)
        (stays,) = ids(drains) - {gone}
        await until(watch, has(stays))
        await asyncio.to_thread(service.engine.change_service, service.name, Labels={"pointsman.port": "81"})
        changed = only(await until(watch, lambda snapshot: only(snapshot).port == 81))
        assert (changed.id, changed.weight) == (stays, 1)
        await asyncio.to_thread(service.remove)
        await until(watch, has())


async def _is_updated(service: Service) -> None:
    await asyncio.to_thread(service.make)
    (old,) = await asyncio.to_thread(service.wait, 1)
    async with service.watch(interval=LONG) as watch:
        await until(watch, has(old))
        template = service.engine.call("GET", f"/services/{service.name}")["Spec"]["TaskTemplate"]
        wanted = {**template, "ForceUpdate": 1}
        await asyncio.to_thread(service.engine.change_service, service.name, TaskTemplate=wanted)
        await until(watch, lambda snapshot: draining(snapshot) == {old})
        replaced = await until(watch, lambda snapshot: len(snapshot.instances) == 1 and old not in ids(snapshot))
        assert ids(replaced) == await asyncio.to_thread(service.running)


async def test_the_virtual_address(service: Service):
    service.make(replicas=0)
    async with service.watch(mode="vip", interval=0.1) as watch:
        down = await until(watch, has(service.name))  # it may have no address at first
        assert (only(down).availability, only(down).reason) == (Availability.DOWN, "no task of it runs")
        await asyncio.to_thread(service.engine.scale, service.name, 1)
        up = await until(watch, lambda snapshot: only(snapshot).availability is Availability.UP)
        (virtual,) = service.engine.call("GET", f"/services/{service.name}")["Endpoint"]["VirtualIPs"]
        assert only(up).id == service.name
        assert only(up).authority == f"{virtual['Addr'].partition('/')[0]}:80"
        async with service.watch(mode="vip", network="elsewhere") as wrong:
            with pytest.raises(RegistryError, match=f"no virtual address on the network elsewhere, but on {OVERLAY}"):
                await first(wrong)


async def test_a_service_without_a_virtual_address_is_an_error_where_one_is_wanted(service: Service):
    service.make(mode="dnsrr")
    service.wait(1)
    async with service.watch(mode="vip") as watch:
        with pytest.raises(RegistryError, match=f"service {service.name}: its endpoint mode is dnsrr, which has no"):
            await first(watch)
    async with service.watch() as watch:
        assert len((await first(watch)).instances) == 1


async def test_labels_choose_services_and_those_that_make_no_sense_are_named(service: Service):
    mine = {"team": service.name}
    service.make(mine, suffix="-good", network="host")
    service.make({**mine, "pointsman.port": "http"}, suffix="-bad", network="host", replicas=0)
    service.make({"team": "other"}, suffix="-other", network="host", replicas=0)
    async with watching(service.registry(labels=mine, by_name=False, interval=0.1), "mine") as watch:
        snapshot = await until(watch, lambda snapshot: len(snapshot.instances) == 1)
    assert only(snapshot).authority == "127.0.0.1:80"  # a task on its node's network has the node's address
    assert only(snapshot).id.startswith(f"{service.name}-good.1.")
    said = "the label pointsman.port must be a whole number from 1 to 65535, not 'http'"
    assert snapshot.unreadable == (f"{service.name}-bad: {said}",)
    async with watching(service.registry(interval=0.1), f"{service.name}-goo") as watch:
        assert (await first(watch)).instances == ()  # the beginning of a name is no name


async def test_an_engine_that_is_no_manager_is_an_error(own_docker: DockerEngine):
    service = Service(own_docker)
    async with service.watch() as watch:
        with pytest.raises(
            RegistryError, match=r"HTTP 503: This node is not a swarm manager.*engine of a manager node"
        ):
            await first(watch)


async def test_a_manager_that_is_killed_and_started_is_followed_again(own_swarm: DockerEngine):
    """By the virtual address, which outlives the tasks; those end with a manager that has no live-restore."""
    service = Service(own_swarm)
    service.make(replicas=0)
    published: list[Snapshot] = []
    told: list[str] = []
    keeper = Keeper(
        "web",
        service.registry(mode="vip"),
        service.name,
        published.append,
        hold=300,
        journal=lambda kind, _: told.append(kind),
        longest_wait=0.5,
    )
    task = asyncio.create_task(keeper.run())
    try:
        await eventually(lambda: bool(published) and bool(published[-1].instances))
        told.clear()
        published[:-1] = []  # what there was before it had an address
        await asyncio.to_thread(own_swarm.kill)
        await eventually(lambda: bool(keeper.error))
        assert only(published[-1]).id == service.name
        await asyncio.to_thread(own_swarm.start)
        await eventually(lambda: not keeper.error)
        labels = {"pointsman.port": "80", "pointsman.weight": "7"}
        await asyncio.to_thread(own_swarm.change_service, service.name, Labels=labels)
        await eventually(lambda: only(published[-1]).weight == 7)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told == ["watch_failed", "watch_recovered"]
    assert all(snapshot.instances for snapshot in published)
