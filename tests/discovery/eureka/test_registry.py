"""The Eureka registry against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from discovery.eureka import EurekaRegistry
from discovery.instance import Availability
from discovery.registry import RegistryError
from tests.discovery.eureka.service import INTERVAL, Service
from tests.discovery.watching import eventually, first, has, ids, only, until, watching
from tests.servers.eureka import EurekaServer
from tests.servers.ports import free_port, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from discovery.instance import Snapshot


@pytest.fixture
def service(eureka: EurekaServer) -> Iterator[Service]:
    service = Service(eureka)
    yield service
    service.clear()


def all_up(snapshot: Snapshot) -> bool:
    return all(instance.availability is Availability.UP for instance in snapshot.instances)


async def test_a_registered_instance(service: Service):
    service.put("web-1:80", metadata={"weight": "7", "zone": "eu-1a", "tags": "v2, blue", "a": "b"})
    async with service.watch() as watch:
        snapshot = await until(watch, has("web-1:80"))
    instance = only(snapshot)
    assert (instance.authority, instance.weight, instance.zone, instance.tags) == (
        "10.0.0.1:8080", 7, "eu-1a", ("v2", "blue"),
    )  # fmt: skip
    assert instance.metadata["a"] == "b"
    assert instance.availability is Availability.UP
    assert "UP_" in snapshot.index


async def test_the_other_port_and_the_other_address(service: Service):
    service.put("plain")
    service.put("secure", securePort={"$": 8443, "@enabled": "true"}, port={"$": 8080, "@enabled": "false"})
    async with service.watch(address="hostname") as watch:
        snapshot = await until(watch, lambda snapshot: bool(snapshot.unreadable))
    assert only(snapshot).authority == "web.internal:8080"
    assert snapshot.unreadable == ("secure: port is not enabled; secure: true would take the other one",)
    async with service.watch(secure=True) as watch:
        snapshot = await until(watch, lambda snapshot: bool(snapshot.unreadable))
    assert only(snapshot).authority == "10.0.0.1:8443"


async def test_an_instance_in_amazon_knows_its_zone(service: Service):
    center = {
        "@class": "com.netflix.appinfo.AmazonInfo",
        "name": "Amazon",
        "metadata": {"availability-zone": "us-east-1c", "instance-id": "i-1"},
    }
    service.put("i-1", dataCenterInfo=center)
    service.put("i-2", dataCenterInfo=center, metadata={"zone": "mine"})
    async with service.watch() as watch:
        snapshot = await until(watch, has("i-1", "i-2"))
    assert {instance.id: instance.zone for instance in snapshot.instances} == {"i-1": "us-east-1c", "i-2": "mine"}


async def test_instances_come_and_go(service: Service):
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()
        service.put("one")
        assert (await until(watch, has("one"))).continuous
        service.put("two")
        await until(watch, has("one", "two"))
        service.delete("one")
        await until(watch, has("two"))
        service.delete("two")
        assert (await until(watch, has())).continuous


async def test_a_weight_and_an_address_are_changed_while_we_watch(service: Service):
    service.put("one")
    async with service.watch() as watch:
        await until(watch, has("one"))
        service.put("one", metadata={"weight": "5"}, ipAddr="10.0.0.2")
        snapshot = await until(watch, lambda snapshot: only(snapshot).weight == 5)
        assert only(snapshot).address == "10.0.0.2"
        service.server.call("PUT", f"apps/{service.app}/one/metadata", weight="6")
        await until(watch, lambda snapshot: only(snapshot).weight == 6)


@pytest.mark.parametrize(
    ("status", "availability"),
    [
        ("OUT_OF_SERVICE", Availability.DRAINING),
        ("DOWN", Availability.DOWN),
        ("STARTING", Availability.DOWN),
        ("UNKNOWN", Availability.DOWN),
    ],
)
async def test_a_status_that_keeps_requests_away(service: Service, status: str, availability: Availability):
    service.put("one", status=status)
    service.put("two")
    async with service.watch() as watch:
        snapshot = await until(watch, has("one", "two"))
        one = next(instance for instance in snapshot.instances if instance.id == "one")
        assert (one.availability, one.reason) == (availability, f"Eureka says {status}")
        service.server.override(service.app, "one", "UP")
        await until(watch, all_up)


async def test_an_override_takes_an_instance_out_until_it_ends(service: Service):
    service.put("one")
    async with service.watch() as watch:
        await until(watch, has("one"))
        service.server.override(service.app, "one", "OUT_OF_SERVICE")
        snapshot = await until(watch, lambda snapshot: only(snapshot).availability is Availability.DRAINING)
        assert only(snapshot).reason == "Eureka says OUT_OF_SERVICE, which somebody set"
        service.server.renew(service.app, "one")
        service.server.end_override(service.app, "one")
        await until(watch, lambda snapshot: only(snapshot).availability is Availability.UP)


async def test_an_instance_whose_lease_ends_is_gone(service: Service):
    service.put("stays")
    service.put("leased", leaseInfo={"renewalIntervalInSecs": 1, "durationInSecs": 3})  # seen before it ends
    async with service.watch() as watch:
        await until(watch, has("stays", "leased"))
        assert (await until(watch, has("stays"))).continuous
    service._names.discard("leased")


async def test_instances_by_their_virtual_host(service: Service, eureka: EurekaServer):
    other = Service(eureka)
    vip = f"{service.app.lower()}.internal"
    service.put("one", vipAddress=f"{vip},also-this")
    other.put("one", vipAddress=vip.upper())
    other.put("two", vipAddress="else", secureVipAddress=vip, securePort={"$": 8443, "@enabled": "true"})
    try:
        async with watching(service.registry(by="vip"), vip) as watch:
            await until(watch, has(f"{service.app}/one", f"{other.app}/one"))
            service.put("one", vipAddress="also-this")
            await until(watch, has(f"{other.app}/one"))
        async with watching(service.registry(by="vip", secure=True), vip) as watch:
            assert only(await until(watch, has(f"{other.app}/two"))).port == 8443
    finally:
        other.clear()


async def test_a_name_in_small_letters(service: Service):
    service.put("one")
    async with watching(service.registry(), service.app.lower()) as watch:
        await until(watch, has("one"))


async def test_entries_that_make_no_sense_are_named_and_the_others_are_used(service: Service):
    service.put("good")
    service.put("no-port", port={"$": 0, "@enabled": "true"})
    service.put("no-host", ipAddr="not a host")
    service.put("heavy", metadata={"weight": "70000"})
    async with service.watch() as watch:
        snapshot = await until(watch, lambda snapshot: len(snapshot.unreadable) == 3)
        assert ids(snapshot) == {"good"}
        assert {text.partition(":")[0] for text in snapshot.unreadable} == {"no-port", "no-host", "heavy"}
        service.put("no-port")
        await until(watch, has("good", "no-port"))


async def test_all_watches_share_their_questions(eureka: EurekaServer):
    services = [Service(eureka) for _ in range(20)]
    for service in services:
        service.put("one")
    registries = [service.registry(timeout=4.5) for service in services]  # as no other test has them
    assert len({id(registry._poller) for registry in registries}) == 1
    watches: list[Any] = [registry.watch(service.app) for registry, service in zip(registries, services, strict=True)]
    try:
        for watch in watches:
            await until(watch, has("one"))
        (row,) = {registry._poller._row for registry in registries}
        assert row is not None
        assert len(row.watches) == 20
    finally:
        for watch in watches:
            await watch.aclose()
        for service in services:
            service.clear()
    assert row.task.cancelled()


async def test_an_eureka_that_is_away_is_an_error():
    address = f"http://127.0.0.1:{free_port()}/eureka"
    async with watching(EurekaRegistry([address])) as watch:
        with pytest.raises(RegistryError, match=f"Eureka at {address}: Cannot connect"):
            await first(watch)


async def test_an_eureka_that_is_frozen_is_an_error_until_it_thaws(service: Service):
    service.put("one")
    async with service.watch(timeout=0.5) as watch:
        await until(watch, has("one"))
        service.server.freeze()
        try:
            with pytest.raises(RegistryError, match=r"no answer within 0\.5 s"):
                await until(watch, lambda snapshot: False)
        finally:
            service.server.thaw()
    async with service.watch() as watch:
        await until(watch, has("one"))


async def test_the_servers_are_tried_in_turn(service: Service):
    service.put("one")
    dead = f"http://127.0.0.1:{free_port()}/eureka"
    registry = EurekaRegistry([dead, service.server.address], interval=INTERVAL)
    async with watching(registry, service.app) as watch:
        await until(watch, has("one"))
    assert registry._poller._urls == [service.server.address, dead]
    registry = EurekaRegistry([dead, dead.replace("127.0.0.1", "localhost")], interval=INTERVAL)
    async with watching(registry, service.app) as watch:
        with pytest.raises(RegistryError, match=r"Eureka at http://127\.0\.0\.1.*; Eureka at http://localhost"):
            await first(watch)


async def test_of_two_peers_one_may_go(eureka_program: object, tmp_path: Path):
    ports = free_ports(2)
    servers = [EurekaServer(tmp_path / str(port), port=port, peers=set(ports) - {port}) for port in ports]
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
    try:
        service = Service(servers[0])
        service.put("one")
        registry = EurekaRegistry([server.address for server in servers], interval=INTERVAL, timeout=1.0)
        async with watching(registry, service.app) as watch:
            await until(watch, has("one"))
            await eventually(
                lambda: all("one" in told for told in servers[1].told(service.app))
            )  # they tell each other
            servers[0].kill()
            assert not (await first_of_the_other(watch)).continuous
            servers[1].register(service.app, "two")
            assert (await until(watch, has("one", "two"))).continuous
        assert registry._poller._urls[0] == servers[1].address
    finally:
        for server in servers:
            server.stop()


async def first_of_the_other(watch: Any) -> Snapshot:
    """Return the first snapshot that came from another server; it holds what the one before it did."""
    return await until(watch, lambda snapshot: ids(snapshot) == {"one"} and not snapshot.continuous)


async def test_who_may_read_is_asked(strict_eureka: EurekaServer, tmp_path: Path):
    service = Service(strict_eureka)
    service.put("one")
    password = tmp_path / "password"
    password.write_text("wrong\n")
    async with service.watch() as watch:
        with pytest.raises(RegistryError, match=r"HTTP 401: .*; username and password must be those of a user"):
            await first(watch)
    registry = service.registry(username="me", password_file=password)
    async with watching(registry, service.app) as watch:
        with pytest.raises(RegistryError, match="HTTP 401"):
            await first(watch)
    password.write_text("secret\n")
    async with watching(registry, service.app) as watch:
        await until(watch, has("one"))
    async with service.watch(username="me", password="secret") as watch:
        await until(watch, has("one"))


async def test_a_server_that_tells_no_deltas_is_asked_for_everything(strict_eureka: EurekaServer):
    service = Service(strict_eureka)
    async with service.watch(username="me", password="secret") as watch:
        assert (await first(watch)).instances == ()
        service.put("one")
        await until(watch, has("one"))
        service.delete("one")
        assert not (await until(watch, has())).continuous  # the server may have been restarted in between
