"""What every registrar does, in real registries: what it registers and takes out is what a watch sees."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from discovery.embedded.server import RegistryServer
from discovery.instance import Availability, Instance
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError
from tests.discovery.registering import InConsul, InEtcd, InEureka, InZooKeeper
from tests.discovery.watching import first, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from discovery.instance import Snapshot
    from tests.discovery.registering import Place

WEB = Instance(
    "web-1",
    "10.0.0.1",
    8080,
    weight=3,
    zone="eu-1",
    tags=("a", "b c"),
    metadata={"version": "2", "owner": "Müller"},
)


@pytest.fixture(params=["consul", "embedded", "etcd", "eureka", "zookeeper"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "embedded":
        server = RegistryServer("127.0.0.1", 0, tmp_path / "registry")
        await server.start()
        yield InConsul(server.address)
        await server.stop()
    elif request.param == "consul":
        yield InConsul(request.getfixturevalue("consul").address)
    elif request.param == "etcd":
        yield InEtcd(request.getfixturevalue("etcd"))
    elif request.param == "eureka":
        yield InEureka(request.getfixturevalue("eureka"))
    else:
        yield InZooKeeper(request.getfixturevalue("zookeeper"))


def has(place: Place, *wanted: str) -> Callable[[Snapshot], bool]:
    """Make the condition that these instances, and no others, are there and up."""
    return lambda snapshot: {place.name_of(one.id) for one in up(snapshot)} == set(wanted)


def up(snapshot: Snapshot) -> list[Instance]:
    return [one for one in snapshot.instances if one.availability is Availability.UP]


async def test_what_is_registered_is_what_a_watch_sees(place: Place):
    async with place.watch() as watch:
        await first(watch)
        lease = await place.registrar().register(place.service, WEB)
        (seen,) = up(await until(watch, has(place, "web-1")))
        # Consul has no other place for a zone, and Eureka none for these three.
        metadata = {key: value for key, value in seen.metadata.items() if key not in ("zone", "weight", "tags")}
        seen = dataclasses.replace(seen, id=place.name_of(seen.id), metadata=metadata)
        await lease.revoke()
        assert (await until(watch, has(place))).instances == ()
    assert seen == WEB


async def test_it_may_be_renewed_at_a_third_of_its_time(place: Place):
    lease = await place.registrar(ttl=9.0).register(place.service, WEB)
    assert lease.interval == 3.0
    for _ in range(3):
        await lease.renew()
    await lease.revoke()


async def test_one_of_the_same_identity_is_replaced(place: Place):
    one = await place.registrar().register(place.service, WEB)
    two = await place.registrar().register(place.service, dataclasses.replace(WEB, port=8081, tags=()))
    async with place.watch() as watch:
        (seen,) = up(await until(watch, lambda snapshot: [one.port for one in up(snapshot)] == [8081]))
        assert seen.tags == ()
        await two.renew()
        await two.revoke()
        await until(watch, has(place))
    await one.revoke()


async def test_two_of_a_service_do_not_disturb_each_other(place: Place):
    one = await place.registrar().register(place.service, WEB)
    two = await place.registrar().register(place.service, dataclasses.replace(WEB, id="web-2", port=8081))
    async with place.watch() as watch:
        await until(watch, has(place, "web-1", "web-2"))
        await one.revoke()
        await until(watch, has(place, "web-2"))
        await two.renew()
        await two.revoke()


async def test_one_that_another_process_took_over_is_never_gone(place: Place):
    one = await place.registrar().register(place.service, WEB)
    async with place.watch() as watch:
        await until(watch, has(place, "web-1"))
        two = await place.registrar().register(place.service, WEB)
        await one.release()
        mark = await place.registrar().register(place.service, dataclasses.replace(WEB, id="web-2", port=8081))

        def is_marked(snapshot: Snapshot) -> bool:
            assert "web-1" in {place.name_of(instance.id) for instance in up(snapshot)}
            return has(place, "web-1", "web-2")(snapshot)

        await until(watch, is_marked)
        await two.renew()
        await mark.revoke()
        await two.revoke()
        await until(watch, has(place))


async def test_what_the_registry_lost_is_said(place: Place):
    lease = await place.registrar().register(place.service, WEB)
    await place.forget("web-1")
    with pytest.raises(LeaseLostError):
        await lease.renew()
    await lease.revoke()  # which is no error
    again = await place.registrar().register(place.service, WEB)
    await again.renew()
    await again.revoke()
    await again.revoke()


async def test_what_is_not_renewed_gets_no_requests_after_its_time(place: Place):
    if not place.lapses:
        return
    async with place.watch() as watch:
        lease = await place.registrar(ttl=1.0).register(place.service, WEB)
        await until(watch, has(place, "web-1"))
        snapshot = await until(watch, has(place))
        assert (snapshot.instances == ()) == place.lapsed_is_gone
        again = await place.registrar(ttl=30.0).register(place.service, WEB)
        await until(watch, has(place, "web-1"))  # at once, whatever the registry still held of it
        await again.revoke()
        await lease.revoke()


@pytest.mark.parametrize("identity", ["web 1", "web?1&a=b", "wéb-1", "web#1%2f", "web:8080"])
async def test_identities_of_all_kinds(place: Place, identity: str):
    lease = await place.registrar().register(place.service, dataclasses.replace(WEB, id=identity))
    async with place.watch() as watch:
        await until(watch, has(place, identity))
        await lease.renew()
        await lease.revoke()
        await until(watch, has(place))


async def test_a_registry_that_is_away_is_an_error(place: Place):
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:\d+"):
        await place.nobody().register(place.service, WEB)
