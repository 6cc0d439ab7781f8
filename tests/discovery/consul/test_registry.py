"""The Consul registry against a real agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from discovery.consul import ConsulRegistry
from discovery.consul import shared as consul_module
from discovery.instance import Availability
from discovery.registry import RegistryError
from tests.discovery.consul.service import Service, of
from tests.discovery.watching import first, only, until, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discovery.instance import Snapshot
    from tests.servers.consul import ConsulAgent


@pytest.fixture
def service(consul: ConsulAgent) -> Iterator[Service]:
    service = Service(consul)
    yield service
    for service_id in service.registered:
        consul.deregister(service_id)


def state(snapshot: Snapshot) -> tuple[Availability, int, str]:
    instance = only(snapshot)
    return instance.availability, instance.weight, instance.reason


TTL = {"TTL": "600s", "Status": "passing"}


async def test_a_registered_instance(service: Service):
    service.register(1, Tags=["v2"], Meta={"version": "2", "zone": "eu-1a"}, Weights={"Passing": 7, "Warning": 1})
    async with service.watch() as watch:
        snapshot = await first(watch)
    instance = only(snapshot)
    assert instance.id.endswith(f"/{service.id(1)}")
    assert (instance.authority, instance.weight, instance.zone, instance.tags) == ("10.0.0.1:80", 7, "eu-1a", ("v2",))
    assert instance.metadata == {"version": "2", "zone": "eu-1a"}
    assert not snapshot.continuous
    assert snapshot.index.isdecimal()


async def test_a_service_that_nobody_registered_yet_is_waited_for(service: Service):
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()
        waiting = asyncio.ensure_future(until(watch, of(1)))
        service.register(1)
        assert (await waiting).continuous


async def test_the_worst_of_several_checks_decides(service: Service):
    checks = [{"CheckID": f"{service.id(1)}-{name}", "Name": name, **TTL} for name in ("disk", "http")]
    service.register(1, Weights={"Passing": 10, "Warning": 2}, Checks=checks)
    async with service.watch() as watch:
        assert state(await first(watch)) == (Availability.UP, 10, "")
        service.agent.set_check(f"{service.id(1)}-disk", "warning", "90 % full")
        await until(watch, lambda snapshot: state(snapshot) == (Availability.UP, 2, ""))
        service.agent.set_check(f"{service.id(1)}-http", "critical", "HTTP 503\nbusy")
        await until(watch, lambda snapshot: state(snapshot) == (Availability.DOWN, 10, "http: HTTP 503"))
        service.agent.set_check(f"{service.id(1)}-http", "passing")
        await until(watch, lambda snapshot: state(snapshot) == (Availability.UP, 2, ""))


async def test_maintenance_drains_an_instance(service: Service):
    service.register(1)
    async with service.watch() as watch:
        await first(watch)
        service.agent.maintenance(service.id(1), enable=True, reason="deploy of v3")
        await until(watch, lambda snapshot: state(snapshot) == (Availability.DRAINING, 1, "maintenance: deploy of v3"))
        service.agent.maintenance(service.id(1), enable=False)
        await until(watch, lambda snapshot: state(snapshot) == (Availability.UP, 1, ""))


async def test_maintenance_of_a_node_drains_what_runs_on_it(own_consul: ConsulAgent):
    service = Service(own_consul)
    service.register(1)
    async with service.watch() as watch:
        await first(watch)
        own_consul.call("PUT", "/v1/agent/maintenance", enable="true", reason="new disk")
        await until(watch, lambda snapshot: state(snapshot) == (Availability.DRAINING, 1, "maintenance: new disk"))


async def test_only_instances_with_all_the_tags_are_seen(service: Service):
    service.register(1, Tags=["v1", "blue"])
    service.register(2, Tags=["v2", "blue"])
    service.register(3, Tags=["v2"])
    async with service.watch(tags=("v2", "blue")) as watch:
        assert of(2)(await first(watch))


async def test_only_instances_that_meet_the_filter_are_seen(service: Service):
    service.register(1, Meta={"canary": "yes"})
    service.register(2, Meta={"canary": "no & quiet"})
    service.register(3)
    async with service.watch(filter='Service.Meta.canary == "no & quiet"') as watch:
        assert of(2)(await first(watch))
        service.register(4, Meta={"canary": "no & quiet"})
        await until(watch, of(2, 4))


async def test_a_filter_that_consul_does_not_understand_is_named(service: Service):
    async with service.watch(filter="Service.Meta.canary is odd") as watch:
        with pytest.raises(RegistryError, match=r"HTTP [45]00: Failed to create boolean expression"):
            await first(watch)


async def test_another_datacenter_is_asked_for(service: Service):
    service.register(1)
    async with service.watch(datacenter="dc1") as watch:
        await until(watch, of(1))
    async with service.watch(datacenter="dc9") as watch:
        with pytest.raises(RegistryError, match="HTTP 500: No path to datacenter"):
            await first(watch)


async def test_a_wait_that_ends_without_a_change_is_a_sign_of_life(service: Service):
    service.register(1)
    async with watching(ConsulRegistry(service.agent.address, wait=0.05), service.name) as watch:
        one, two = await first(watch), await first(watch)
    assert one.instances == two.instances
    assert one.index == two.index


async def test_what_is_registered_elsewhere_in_consul_changes_nothing(service: Service):
    service.register(1)
    other = Service(service.agent)
    async with service.watch() as watch:
        before = await first(watch)
        other.register(9)
        other.deregister(9)
        assert (await first(watch)).instances == before.instances


async def test_a_consul_that_is_away_is_an_error(own_consul: ConsulAgent):
    own_consul.kill()
    async with Service(own_consul).watch() as watch:
        with pytest.raises(RegistryError, match=f"Consul at {own_consul.address}.*: Cannot connect"):
            await first(watch)


async def test_a_consul_that_is_killed_under_a_blocking_query_is_an_error(own_consul: ConsulAgent):
    async with watching(ConsulRegistry(own_consul.address), "web") as watch:
        await first(watch)
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.wait([waiting], timeout=0.1)
        own_consul.kill()
        with pytest.raises(RegistryError, match=f"Consul at {own_consul.address}"):
            await waiting


async def test_a_consul_that_is_frozen_is_an_error(own_consul: ConsulAgent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consul_module, "SLACK", 0.2)
    async with watching(ConsulRegistry(own_consul.address, wait=0.2), "web") as watch:
        await first(watch)
        own_consul.freeze()
        with pytest.raises(RegistryError, match="no answer within"):
            await first(watch)
