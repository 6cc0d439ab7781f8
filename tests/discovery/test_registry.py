"""What every registry does, whatever it reads."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Protocol

import pytest

from discovery.consul import ConsulRegistry
from discovery.file import FileRegistry
from discovery.instance import Instance
from discovery.static import StaticRegistry
from tests.discovery.watching import eventually, first, has, until, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discovery.instance import Snapshot
    from discovery.registry import Registry
    from tests.servers.consul import ConsulAgent

SERVICE = "contract"


class World(Protocol):
    """A registry and what is registered there: at first the instance 10.0.0.1:80."""

    registry: Registry


class LiveWorld(World, Protocol):
    def add(self, host: str) -> None: ...
    def remove(self, host: str) -> None: ...


class StaticWorld:
    def __init__(self) -> None:
        self.registry: Registry = StaticRegistry([Instance("10.0.0.1:80", "10.0.0.1", 80)])


class FileWorld:
    def __init__(self, folder: Path) -> None:
        self.registry: Registry = FileRegistry(folder / "instances.json")
        self._path = folder / "instances.json"
        self._path.write_text('["10.0.0.1:80"]')

    def add(self, host: str) -> None:
        self._path.write_text(json.dumps([*json.loads(self._path.read_text()), f"{host}:80"]))

    def remove(self, host: str) -> None:
        self._path.write_text(json.dumps([at for at in json.loads(self._path.read_text()) if at != f"{host}:80"]))


class ConsulWorld:
    def __init__(self, agent: ConsulAgent) -> None:
        self.registry: Registry = ConsulRegistry(agent.address, wait=5.0)
        self._agent = agent
        self.registered: set[str] = set()
        self.add("10.0.0.1")

    def add(self, host: str) -> None:
        self._agent.register({"Name": SERVICE, "ID": host, "Address": host, "Port": 80})
        self.registered.add(host)

    def remove(self, host: str) -> None:
        self._agent.deregister(host)
        self.registered.discard(host)


@pytest.fixture(params=["static", "file", "consul"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "static":
        return StaticWorld()
    if request.param == "file":
        return FileWorld(tmp_path)
    made: World = request.getfixturevalue("consul_world")
    return made


@pytest.fixture(params=["file", "consul"])
def live_world(request: pytest.FixtureRequest, tmp_path: Path) -> LiveWorld:
    if request.param == "file":
        return FileWorld(tmp_path)
    made: LiveWorld = request.getfixturevalue("consul_world")
    return made


@pytest.fixture
def consul_world(consul: ConsulAgent) -> Iterator[ConsulWorld]:
    world = ConsulWorld(consul)
    yield world
    for host in list(world.registered):
        world.remove(host)


def addresses(*hosts: str) -> Callable[[Snapshot], bool]:
    return lambda snapshot: {instance.address for instance in snapshot.instances} == set(hosts)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_the_present_state_comes_first_and_promises_nothing_of_the_past(world: World):
    async with watching(world.registry, SERVICE) as watch:
        snapshot = await first(watch)
    assert addresses("10.0.0.1")(snapshot)
    assert snapshot.service == SERVICE
    assert not snapshot.continuous
    assert snapshot.unreadable == ()


async def test_what_comes_and_goes_is_told_without_a_gap(live_world: LiveWorld):
    async with watching(live_world.registry, SERVICE) as watch:
        await until(watch, addresses("10.0.0.1"))
        live_world.add("10.0.0.2")
        added = await until(watch, addresses("10.0.0.1", "10.0.0.2"))
        live_world.remove("10.0.0.1")
        removed = await until(watch, addresses("10.0.0.2"))
        live_world.remove("10.0.0.2")
        emptied = await until(watch, has())
    assert added.continuous
    assert removed.continuous
    assert emptied.continuous


async def test_an_instance_keeps_its_identity_while_others_change(live_world: LiveWorld):
    async with watching(live_world.registry, SERVICE) as watch:
        before = await until(watch, addresses("10.0.0.1"))
        live_world.add("10.0.0.2")
        after = await until(watch, addresses("10.0.0.1", "10.0.0.2"))
    assert before.instances[0] in after.instances


async def test_two_watches_of_one_registry_do_not_disturb_each_other(world: World):
    async with watching(world.registry, SERVICE) as one, watching(world.registry, SERVICE) as other:
        assert (await first(one)).instances == (await first(other)).instances


@pytest.mark.parametrize("how", ["closed between answers", "cancelled in wait"])
async def test_what_a_watch_held_is_released(world: World, how: str):
    async with watching(world.registry, SERVICE) as watch:  # so that what is imported or cached late is there already
        await first(watch)
    files, tasks = open_files(), asyncio.all_tasks()
    async with watching(world.registry, SERVICE) as watch:
        await first(watch)
        if how == "cancelled in wait":
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.wait([waiting], timeout=0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    await eventually(lambda: open_files() <= files)
    await eventually(lambda: asyncio.all_tasks() <= tasks)
