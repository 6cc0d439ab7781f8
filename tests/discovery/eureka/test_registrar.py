"""Registering in a real Eureka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discovery.eureka import EurekaRegistrar
from discovery.eureka.registrar import EurekaLease, described
from discovery.instance import Availability, Instance
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError
from tests.discovery.eureka.service import Service
from tests.discovery.watching import eventually, first, has, only, until
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.eureka import EurekaServer

ONE = Instance("host:web/1", "10.0.0.5", 8080, weight=3, zone="eu-1a", tags=("v2", "blue"), metadata={"a": "b"})


@pytest.fixture
def service(eureka: EurekaServer) -> Iterator[Service]:
    service = Service(eureka)
    yield service
    service.clear()


def registrar(service: Service, *before: str, ttl: float = 90.0, settle: float = 10.0) -> EurekaRegistrar:
    return EurekaRegistrar([*before, service.server.address], ttl=ttl, settle=settle)


async def test_what_is_registered_is_found_until_it_is_revoked(service: Service):
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()
        lease = await registrar(service).register(service.app.lower(), ONE)
        found = only(await until(watch, has(ONE.id)))
        assert (found.authority, found.weight, found.zone, found.tags) == ("10.0.0.5:8080", 3, "eu-1a", ONE.tags)
        assert found.metadata["a"] == "b"
        assert lease.interval == 30
        await lease.renew()
        await lease.revoke()
        told = service.server.call("GET", "apps/delta")["applications"]["application"]
        (instance,) = next(app for app in told if app["name"] == service.app)["instance"]
        assert (instance["status"], instance["actionType"]) == ("DOWN", "DELETED")
        await until(watch, has())


async def test_a_lease_that_is_not_renewed_ends_and_is_lost(service: Service):
    lease = await registrar(service, ttl=1.0).register(service.app, ONE)
    async with service.watch() as watch:
        await until(watch, has(ONE.id))
        await until(watch, has())
    with pytest.raises(LeaseLostError, match=f"Eureka does not know host:web/1 of {service.app} any more"):
        await lease.renew()
    again = await registrar(service).register(service.app, ONE)
    await again.renew()
    await again.revoke()


async def test_what_is_gone_already_is_no_error(service: Service):
    lease = await registrar(service).register(service.app, ONE)
    service.delete(ONE.id)
    await lease.revoke()
    await eventually(lambda: not any(service.server.told(service.app)))


@pytest.mark.parametrize("availability", [Availability.DRAINING, Availability.DOWN])
async def test_an_instance_that_was_out_comes_back(service: Service, availability: Availability):
    out = Instance("one", "10.0.0.5", 80, availability=availability)
    await registrar(service).register(service.app, out)
    async with service.watch() as watch:
        assert only(await until(watch, has("one"))).availability is availability
        lease = await registrar(service).register(service.app, Instance("one", "10.0.0.5", 81))
        found = only(await until(watch, lambda snapshot: [one.port for one in snapshot.instances] == [81]))
        assert found.availability is Availability.UP
    await lease.revoke()


async def test_a_server_that_tells_no_deltas_is_waited_for_too(strict_eureka: EurekaServer):
    service = Service(strict_eureka)
    there = EurekaRegistrar([strict_eureka.address], username="me", password="secret")
    lease = await there.register(service.app, ONE)
    await lease.renew()
    await lease.revoke()
    await eventually(lambda: not any(strict_eureka.told(service.app)))


async def test_a_server_whose_cache_goes_on_telling_is_not_waited_for_long(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def tells(*_: object) -> bool:
        return True

    lease = await registrar(service, settle=0.0).register(service.app, ONE)
    monkeypatch.setattr(EurekaLease, "_is_told_of", tells)
    await lease.revoke()
    assert "is taken out, but Eureka's cache still tells of it 0 s later" in caplog.text


async def test_what_somebody_set_outlasts_a_registration(service: Service):
    await registrar(service).register(service.app, ONE)
    service.server.override(service.app, "host:web/1", "OUT_OF_SERVICE")
    lease = await registrar(service).register(service.app, ONE)
    async with service.watch() as watch:
        out = [Availability.DRAINING]
        snapshot = await until(watch, lambda snapshot: [one.availability for one in snapshot.instances] == out)
    assert only(snapshot).reason == "Eureka says OUT_OF_SERVICE, which somebody set"
    await lease.revoke()


async def test_the_servers_are_tried_in_turn(service: Service):
    dead = f"http://127.0.0.1:{free_port()}/eureka"
    lease = await registrar(service, dead).register(service.app, ONE)
    await lease.renew()
    await lease.revoke()
    nobody = EurekaRegistrar([dead])
    with pytest.raises(RegistryError, match=f"Eureka at {dead}: Cannot connect"):
        await nobody.register(service.app, ONE)


async def test_the_url_of_something_else(service: Service):
    elsewhere = EurekaRegistrar([service.server.address + "nowhere/"])
    with pytest.raises(RegistryError, match="HTTP 404"):
        await elsewhere.register(service.app, ONE)


@pytest.mark.parametrize("tag", ["a,b", " a", ""])
def test_a_tag_that_cannot_be_kept(tag: str):
    with pytest.raises(RegistryError, match="cannot be kept in Eureka"):
        described("WEB", Instance("one", "10.0.0.1", 80, tags=(tag,)), 90)
