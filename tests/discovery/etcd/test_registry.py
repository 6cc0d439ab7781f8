"""The etcd registry against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from discovery.etcd import EtcdRegistry
from discovery.etcd.entries import VALUE_LIMIT
from discovery.etcd.prefix import PAGE
from discovery.registry import RegistryError
from tests.discovery.etcd.service import Service
from tests.discovery.watching import first, has, ids, only, until, watching
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discovery.instance import Snapshot
    from tests.servers.etcd import EtcdServer


@pytest.fixture
def service(etcd: EtcdServer) -> Iterator[Service]:
    service = Service(etcd)
    yield service
    etcd.delete_below(service.prefix)


def having(name: str) -> Callable[[Snapshot], bool]:
    return lambda snapshot: name in ids(snapshot)


async def test_a_registered_instance(service: Service):
    value = {"address": "10.0.0.1", "port": 80, "weight": 7, "zone": "eu-1a", "tags": ["v2"], "metadata": {"a": "b"}}
    service.put("one", value)
    async with service.watch() as watch:
        snapshot = await first(watch)
    instance = only(snapshot)
    assert (instance.id, instance.authority, instance.weight, instance.zone) == ("one", "10.0.0.1:80", 7, "eu-1a")
    assert (instance.tags, instance.metadata) == (("v2",), {"a": "b"})
    assert not snapshot.continuous
    assert snapshot.index.isdecimal()


async def test_an_instance_whose_lease_ends_is_gone(service: Service):
    service.put("stays")
    service.put("leased", lease=service.server.lease(1))
    async with service.watch() as watch:
        assert has("stays", "leased")(await first(watch))
        assert (await until(watch, has("stays"))).continuous


async def test_what_is_written_elsewhere_in_etcd_is_not_seen(service: Service):
    service.put("one")
    neighbour = service.prefix.removesuffix("/")
    async with service.watch() as watch:
        await until(watch, has("one"))
        for key in (neighbour, f"{neighbour}-admin/x", f"{neighbour}0", "/services/x"):
            service.server.put(key, "10.0.0.9:80")
        service.put("two")
        assert has("one", "two")(await first(watch))
    async with service.watch() as watch:
        assert has("one", "two")(await first(watch))


async def test_the_changes_of_a_transaction_come_together(service: Service):
    names = [f"{service.prefix}{number}" for number in range(100)]
    service.server.transaction([(name, "h:1") for name in names])

    def replace_one_by_one() -> None:
        for name in names:
            service.server.transaction([(f"{name}-new", "h:1")], [name])

    async with service.watch() as watch:
        await first(watch)
        replacing = asyncio.ensure_future(asyncio.to_thread(replace_one_by_one))
        while not has(*(f"{number}-new" for number in range(100)))(snapshot := await first(watch)):
            assert len(snapshot.instances) == 100
        await replacing


async def test_values_that_make_no_sense_are_named_and_the_others_are_used(service: Service):
    service.put("good")
    service.put("json", '{"address": ')
    service.put("binary", b"\xff\x00")
    service.put("empty", "")
    service.put("huge", "x" * 1_000_000)
    service.put("large", {"address": "10.0.0.2:80", "metadata": {"text": "x" * (VALUE_LIMIT - 100)}})
    service.server.put(service.prefix.encode() + b"\xfe", "h:1")
    service.server.put(service.prefix, "h:1")
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert has("good", "large")(snapshot)
        named = {text.partition(":")[0] for text in snapshot.unreadable}
        assert named == {"json", "binary", "empty", "huge", "\\xfe", "a key without a name"}
        service.put("json")
        assert len((await until(watch, has("good", "large", "json"))).unreadable) == 5
        service.put("good", "nonsense")
        await until(watch, has("large", "json"))


async def test_more_keys_than_fit_on_a_page(service: Service):
    count = PAGE * 2 + 1
    keys = [(f"{service.prefix}{number:05}", f"10.0.0.1:{number + 1}") for number in range(count)]
    for start in range(0, count, 100):
        service.server.transaction(keys[start : start + 100])
    async with service.watch() as watch:
        snapshot = await first(watch)
        assert [instance.port for instance in snapshot.instances] == list(range(1, count + 1))
        service.delete("00000")
        await until(watch, lambda snapshot: len(snapshot.instances) == count - 1)


async def test_changes_that_were_discarded_before_we_heard_of_them_are_listed(own_etcd: EtcdServer):
    service = Service(own_etcd)
    service.put("one")
    service.put("two")
    async with service.watch() as watch:
        assert has("one", "two")(await first(watch))  # the watch is opened when the next snapshot is wanted
        service.delete("one")
        service.put("three")
        own_etcd.compact()
        after = await until(watch, has("two", "three"))
        service.put("four")
        later = await until(watch, has("two", "three", "four"))
    assert not after.continuous
    assert later.continuous


async def test_compaction_does_not_disturb_a_watch_that_is_open(own_etcd: EtcdServer):
    service = Service(own_etcd)
    service.put("one")
    async with service.watch(heartbeat=0.05) as watch:
        for name in ("two", "three"):
            own_etcd.put("/elsewhere", "x")
            own_etcd.compact()
            await first(watch)
            service.put(name)
            assert (await until(watch, having(name))).continuous


async def test_a_heartbeat_is_a_sign_of_life(service: Service):
    service.put("one")
    async with service.watch(heartbeat=0.05) as watch:
        snapshots = [await first(watch) for _ in range(4)]
    assert all(snapshot.instances == snapshots[0].instances for snapshot in snapshots)
    assert [snapshot.continuous for snapshot in snapshots] == [False, True, True, True]


async def test_an_etcd_that_is_away_is_an_error(own_etcd: EtcdServer):
    own_etcd.kill()
    async with Service(own_etcd).watch() as watch:
        with pytest.raises(RegistryError, match=f"etcd at {own_etcd.address}: Cannot connect"):
            await first(watch)


async def test_an_etcd_that_is_killed_under_a_watch_is_an_error(own_etcd: EtcdServer):
    async with Service(own_etcd).watch() as watch:
        await first(watch)
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.wait([waiting], timeout=0.1)
        own_etcd.kill()
        with pytest.raises(RegistryError, match=f"etcd at {own_etcd.address}: "):
            await waiting


async def test_an_etcd_that_is_frozen_is_an_error_until_it_thaws(own_etcd: EtcdServer):
    service = Service(own_etcd)
    service.put("one")
    registry = service.registry(timeout=0.3, heartbeat=0.1)
    async with watching(registry, service.prefix) as watch:
        await until(watch, has("one"))
        await first(watch)
        own_etcd.freeze()
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await until(watch, has())
    async with watching(registry, service.prefix) as watch:
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await first(watch)
    own_etcd.thaw()
    async with watching(EtcdRegistry([own_etcd.address]), service.prefix) as watch:
        await until(watch, has("one"))


async def test_the_members_are_tried_in_turn(service: Service):
    service.put("one")
    dead = f"http://127.0.0.1:{free_port()}"
    registry = EtcdRegistry([dead, service.server.address])
    for _ in range(2):
        async with watching(registry, service.prefix) as watch:
            await until(watch, has("one"))
    registry = EtcdRegistry([dead, dead.replace("127.0.0.1", "localhost")])
    async with watching(registry, service.prefix) as watch:
        with pytest.raises(RegistryError, match=r"etcd at http://127\.0\.0\.1.*; etcd at http://localhost"):
            await first(watch)


async def test_a_member_that_failed_is_tried_last(own_etcd: EtcdServer, service: Service):
    """A frozen member costs its time-out once, and then no more."""
    frozen = Service(own_etcd)
    service.put("one")
    own_etcd.freeze()
    registry = EtcdRegistry([frozen.server.address, service.server.address], timeout=0.5)
    async with watching(registry, service.prefix) as watch:
        await until(watch, has("one"))
    own_etcd.kill()  # were it asked again, nothing would tell
    assert registry._endpoints == [service.server.address, frozen.server.address]
