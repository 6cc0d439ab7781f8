"""The ZooKeeper registry against a real server."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from discovery.instance import Availability
from discovery.pace import PACE
from discovery.registry import RegistryError
from discovery.zookeeper import ZooKeeperRegistry
from discovery.zookeeper.layout import VALUE_LIMIT
from discovery.zookeeper.registry import BATCH
from tests.discovery.watching import first, has, ids, only, until, watching
from tests.servers.ports import free_port
from tests.servers.zookeeper import leave

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.instance import Snapshot
    from tests.discovery.zookeeper.service import Service


def having(name: str) -> Callable[[Snapshot], bool]:
    return lambda snapshot: name in ids(snapshot)


def at_port(port: int) -> Callable[[Snapshot], bool]:
    return lambda snapshot: [instance.port for instance in snapshot.instances] == [port]


async def test_instances_come_and_go(service: Service):
    """The path is made and removed with them."""
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert (snapshot.instances, snapshot.continuous) == ((), False)
        service.put("one")
        snapshot = await until(watch, has("one"))
        assert (snapshot.continuous, only(snapshot).authority) == (True, "10.0.0.1:80")
        service.put("two")
        await until(watch, has("one", "two"))
        service.delete("one")
        await until(watch, has("two"))
        service.delete("two")
        assert (await until(watch, has())).continuous
        service.put("three")
        await until(watch, has("three"))
        service.delete()
        assert (await until(watch, has())).continuous
        service.put("four")
        await until(watch, has("four"))


async def test_what_is_there_already_is_in_the_first_snapshot(service: Service):
    names = [f"{number}" for number in range(BATCH + 5)]
    service.server.change_many(service.path, [(name, b'{"address": "h", "port": 1}') for name in names])
    async with service.watch() as watch:
        assert has(*names)(await first(watch))


async def test_an_instance_is_changed_and_replaced_while_we_watch(service: Service):
    service.put("one")
    async with service.watch() as watch:
        await first(watch)
        for port in (81, 82, 83):
            service.put("one", {"address": "10.0.0.1", "port": port})
            assert (await until(watch, at_port(port))).continuous
        service.put("one", {"address": "10.0.0.1", "port": 83, "enabled": False})
        await until(watch, lambda snapshot: only(snapshot).availability is Availability.DRAINING)
        service.delete("one")
        service.put("one", {"address": "10.0.0.2", "port": 84})
        await until(watch, at_port(84))


async def test_only_what_changed_is_read_again(service: Service):
    names = [f"{number}" for number in range(20)]
    for name in names:
        service.put(name)
    async with service.watch() as watch:
        await first(watch)
        before = service.server.packets()
        service.put("0", {"address": "10.0.0.1", "port": 81})
        await until(watch, lambda snapshot: any(one.port == 81 for one in snapshot.instances))
        assert service.server.packets() - before < 10


async def test_an_ephemeral_node_is_gone_with_its_session(service: Service):
    client = service.server.connect()
    service.put("stays")
    client.create(f"{service.path}/goes", b'{"address": "h", "port": 1}', ephemeral=True)
    async with service.watch() as watch:
        assert has("stays", "goes")(await first(watch))
        await asyncio.to_thread(leave, client)
        assert (await until(watch, has("stays"))).continuous


async def test_changes_that_follow_each_other_closely_come_together(service: Service):
    service.server.change_many(service.path, [("first", b'{"address": "h", "port": 1}')])
    count = 0
    async with service.watch() as watch:
        await first(watch)
        names = [f"{number}" for number in range(500)]
        changes = [(name, b'{"address": "h", "port": 1}') for name in names]
        began = asyncio.get_running_loop().time()
        written = asyncio.create_task(asyncio.to_thread(service.server.change_many, service.path, changes))
        while len((await first(watch)).instances) < 501:
            count += 1
        took = asyncio.get_running_loop().time() - began
        await written
    assert count <= took / PACE + 1


async def test_malformed_entries_are_named_and_spoil_nothing(service: Service):
    service.put("good")
    service.put("bad", b"{")
    service.put("large", b"x" * (VALUE_LIMIT + 1))
    service.put("empty", b"")
    service.put("odd \u00e4 name", {"address": "h"})
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert ids(snapshot) == {"good"}
        assert {text.partition(":")[0] for text in snapshot.unreadable} == {"bad", "large", "empty", "odd ä name"}
        service.put("bad")
        await until(watch, has("good", "bad"))


async def test_a_serverset(service: Service):
    def put(host: str, status: str = "ALIVE", shard: int = 0) -> str:
        place = {"host": host, "port": 1}
        fields = {"serviceEndpoint": place, "additionalEndpoints": {"http": {"host": host, "port": 80}}}
        data = json.dumps({**fields, "status": status, "shard": shard})
        return service.put("member_", data, ephemeral=True, sequence=True)

    one = put("10.0.0.1", "STARTING", 1)
    put("10.0.0.2", "ALIVE", 2)
    service.put("lock", b"not ours")
    async with service.watch(layout="serverset", endpoint="http") as watch:
        snapshot = await first(watch)
        assert {instance.id: instance.availability for instance in snapshot.instances} == {
            "10.0.0.1:80": Availability.DOWN,
            "10.0.0.2:80": Availability.UP,
        }
        assert not snapshot.unreadable
        data = json.loads(service.server.client.get(one)[0])
        service.server.put(one, {**data, "status": "ALIVE"})
        await until(watch, lambda snapshot: all(one.availability is Availability.UP for one in snapshot.instances))
        vector = {"vector": [{"select": "shard=1", "weight": 3, "priority": 1}]}
        service.put("vector_0000000001", vector)
        await until(watch, lambda snapshot: [one.weight for one in snapshot.instances] == [3, 1])
        service.delete("vector_0000000001")
        await until(watch, lambda snapshot: [one.weight for one in snapshot.instances] == [1, 1])
        service.server.delete(one)
        await until(watch, has("10.0.0.2:80"))


async def test_nodes_of_nerve(service: Service):
    def encoded(fields: dict[str, Any]) -> str:
        text = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
        return f"base64_{len(text)}_{text}_"

    service.put("i-1_", {"host": "10.0.0.1", "port": 80, "name": "i-1", "weight": 5}, ephemeral=True, sequence=True)
    hidden = service.put(encoded({"host": "10.0.0.2", "port": 80}), b"not read", ephemeral=True, sequence=True)
    service.server.protect(hidden, "somebody", "else")
    async with service.watch(layout="nerve") as watch:
        snapshot = await first(watch)
        assert {instance.id: instance.weight for instance in snapshot.instances} == {"10.0.0.1:80": 5, "10.0.0.2:80": 1}
        service.put(encoded({"host": "10.0.0.3", "port": 80}), b"", ephemeral=True, sequence=True)
        await until(watch, has("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))


async def test_a_heartbeat_is_a_sign_of_life(service: Service):
    service.put("one")
    async with service.watch(heartbeat=0.02) as watch:
        snapshots = [await first(watch) for _ in range(4)]
    assert all(snapshot.instances == snapshots[0].instances for snapshot in snapshots)
    assert [snapshot.continuous for snapshot in snapshots] == [False, True, True, True]


async def test_a_heartbeat_finds_what_no_watch_told(service: Service, monkeypatch: pytest.MonkeyPatch):
    from discovery.zookeeper.session import Session

    async with service.watch(heartbeat=0.05) as watch:
        await first(watch)
        monkeypatch.setattr(Session, "fired", lambda *_: None)
        service.put("one")
        await until(watch, has("one"))


async def test_a_server_that_is_away_is_an_error():
    registry = ZooKeeperRegistry([f"127.0.0.1:{free_port()}"], timeout=0.2)
    async with watching(registry, "/web") as watch:
        with pytest.raises(RegistryError, match=r"no connection within 0\.2 s: .*Connection refused"):
            await first(watch)


async def test_the_members_are_tried_until_one_answers(service: Service):
    service.put("one")
    dead = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    registry = ZooKeeperRegistry([*dead, service.server.address])
    async with watching(registry, service.path) as watch:
        await until(watch, has("one"))
