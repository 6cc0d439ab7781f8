"""What every registry does, whatever it reads."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Protocol

import pytest

from discovery.consul import ConsulRegistry
from discovery.dns import DnsRegistry
from discovery.etcd import EtcdRegistry
from discovery.file import FileRegistry
from discovery.http import HttpRegistry
from discovery.instance import Instance
from discovery.static import StaticRegistry
from tests.discovery.watching import eventually, first, has, until, watching
from tests.servers.document import DocumentServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from discovery.instance import Snapshot
    from discovery.registry import Registry
    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer
    from tests.servers.unbound import Unbound

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


class EtcdWorld:
    def __init__(self, server: EtcdServer) -> None:
        self.registry: Registry = EtcdRegistry([server.address])
        self._server = server
        self.add("10.0.0.1")

    def add(self, host: str) -> None:
        self._server.put(f"{SERVICE}/{host}", f"{host}:80")

    def remove(self, host: str) -> None:
        self._server.delete(f"{SERVICE}/{host}")


class DnsWorld:
    def __init__(self, server: Unbound) -> None:
        self.registry: Registry = DnsRegistry("web.lan", port=80, servers=[server.address], ttl_min=0.1, ttl_max=0.1)
        self._server = server
        self._hosts: list[str] = []
        self.add("10.0.0.1")

    def add(self, host: str) -> None:
        self._hosts.append(host)
        self._server.serve(f"web A {host}" for host in self._hosts)

    def remove(self, host: str) -> None:
        self._hosts.remove(host)
        self._server.serve(f"web A {host}" for host in self._hosts)


class HttpWorld:
    def __init__(self, server: DocumentServer) -> None:
        self.registry: Registry = HttpRegistry(server.url, interval=0.1)
        self._server = server
        server.document = ["10.0.0.1:80"]

    def add(self, host: str) -> None:
        self._server.document = [*self._server.document, f"{host}:80"]

    def remove(self, host: str) -> None:
        self._server.document = [at for at in self._server.document if at != f"{host}:80"]


LIVE = ["file_world", "consul_world", "etcd_world", "dns_world", "http_world"]


@pytest.fixture(params=["static_world", *LIVE])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=LIVE)
def live_world(request: pytest.FixtureRequest) -> LiveWorld:
    made: LiveWorld = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def static_world() -> StaticWorld:
    return StaticWorld()


@pytest.fixture
def file_world(tmp_path: Path) -> FileWorld:
    return FileWorld(tmp_path)


@pytest.fixture
def dns_world(name_server: Unbound) -> DnsWorld:
    return DnsWorld(name_server)


@pytest.fixture
def http_world() -> Iterator[HttpWorld]:
    server = DocumentServer()
    server.start()
    yield HttpWorld(server)
    server.stop()


@pytest.fixture
def consul_world(consul: ConsulAgent) -> Iterator[ConsulWorld]:
    world = ConsulWorld(consul)
    yield world
    for host in list(world.registered):
        world.remove(host)


@pytest.fixture
def etcd_world(etcd: EtcdServer) -> Iterator[EtcdWorld]:
    yield EtcdWorld(etcd)
    etcd.delete_below(f"{SERVICE}/")


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
