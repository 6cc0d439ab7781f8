"""Instances are registered in a real server, in each of the layouts, and seen by a watch."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from discovery.instance import Availability, Instance
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError
from discovery.zookeeper import ZooKeeperRegistrar, ZooKeeperRegistry
from tests.discovery.watching import eventually, first, has, only, until, watching
from tests.servers.ports import free_port
from tests.servers.relay import Relay
from tests.servers.zookeeper import TESTER, leave

if TYPE_CHECKING:
    from tests.discovery.zookeeper.service import Service

WEB = Instance("web-1", "10.0.0.1", 8080, weight=3, zone="eu-1", tags=("a", "b c"), metadata={"owner": "Müller"})
LAYOUTS = ("curator", "serverset", "nerve")

each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def registrar(service: Service, layout: str = "curator", **options: Any) -> ZooKeeperRegistrar:
    return ZooKeeperRegistrar([service.server.address], layout=layout, **options)


def children(service: Service) -> list[str]:
    found: list[str] = service.server.client.get_children(service.path)
    return sorted(found)


@each_layout
async def test_what_is_registered_is_what_a_watch_sees(service: Service, layout: str):
    async with service.watch(layout=layout) as watch:
        await first(watch)
        lease = await registrar(service, layout).register(service.path, WEB)
        assert only(await until(watch, has("web-1"))) == WEB
        await lease.renew()
        await lease.revoke()
        await until(watch, has())
    await lease.revoke()
    with pytest.raises(LeaseLostError, match="the lease is over"):
        await lease.renew()


@each_layout
async def test_one_of_the_same_identity_is_replaced(service: Service, layout: str):
    one = await registrar(service, layout).register(service.path, WEB)
    moved = dataclasses.replace(WEB, port=8081, tags=())
    async with service.watch(layout=layout) as watch:
        await first(watch)
        two = await registrar(service, layout).register(service.path, moved)
        await until(watch, lambda snapshot: snapshot.instances == (moved,))
        await one.revoke()
        await two.renew()
        assert len(children(service)) == 1
        await two.revoke()


@each_layout
async def test_two_of_a_service_do_not_disturb_each_other(service: Service, layout: str):
    service.put("member_lock_0000000001", b"what is this?")
    one = await registrar(service, layout).register(service.path, WEB)
    two = await registrar(service, layout).register(service.path, dataclasses.replace(WEB, id="web-2", port=8081))
    async with service.watch(layout=layout) as watch:
        await until(watch, has("web-1", "web-2"))
        await one.revoke()
        await until(watch, has("web-2"))
        await two.renew()
        await two.revoke()
        await until(watch, has())


@each_layout
async def test_a_node_that_is_removed_is_a_lease_that_is_lost(service: Service, layout: str):
    lease = await registrar(service, layout).register(service.path, WEB)
    service.server.delete(lease.path)
    with pytest.raises(LeaseLostError, match=f"the node {lease.path} was removed"):
        await lease.renew()
    await lease.revoke()
    again = await registrar(service, layout).register(service.path, WEB)
    await again.renew()
    await again.revoke()
    assert children(service) == []


async def test_a_node_that_somebody_else_took_is_left_to_them(service: Service):
    one = await registrar(service).register(service.path, WEB)
    other = await registrar(service).register(service.path, WEB)
    with pytest.raises(LeaseLostError, match=f"{service.path}/web-1 is somebody else's"):
        await one.renew()
    await other.renew()
    await other.revoke()


async def test_a_session_that_expired_is_a_lease_that_is_lost(service: Service):
    lease = await registrar(service, session_timeout=9.0).register(service.path, WEB)
    assert lease.interval == 3.0
    await asyncio.to_thread(service.server.expire, lease._session._client.client_id)
    await eventually(lambda: lease._session.id != lease._owner)
    assert children(service) == []
    with pytest.raises(LeaseLostError, match="the session expired"):
        await lease.renew()
    await lease.revoke()


async def test_a_broken_connection_loses_nothing(service: Service):
    async with Relay(("127.0.0.1", service.server.port)) as relay:
        far = ZooKeeperRegistrar([f"127.0.0.1:{relay.address[1]}"], timeout=10.0)
        lease = await far.register(service.path, WEB)
        relay.cut()
        await lease.renew()
        assert children(service) == ["web-1"]
        await lease.revoke()
    assert children(service) == []


async def test_an_ensemble_that_does_not_answer_is_an_error_and_loses_nothing(service: Service):
    async with Relay(("127.0.0.1", service.server.port)) as relay:
        lease = await ZooKeeperRegistrar([f"127.0.0.1:{relay.address[1]}"], timeout=0.3).register(service.path, WEB)
        relay.hold()
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await lease.renew()
        relay.release()
        await lease.renew()
        relay.hold()
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 s"):
            await lease.revoke()
        with pytest.raises(RegistryError, match=r"no connection within 0\.3 s"):
            await lease.revoke()
        relay.release()
        await lease.revoke()
        assert children(service) == []


@each_layout
async def test_an_instance_that_takes_no_requests(service: Service, layout: str):
    for availability in (Availability.DRAINING, Availability.DOWN):
        resting = dataclasses.replace(WEB, availability=availability)
        if layout == "nerve":
            with pytest.raises(RegistryError, match="nerve's nodes cannot say that an instance takes no requests"):
                await registrar(service, layout).register(service.path, resting)
            continue
        lease = await registrar(service, layout).register(service.path, resting)
        async with service.watch(layout=layout) as watch:
            assert only(await first(watch)).availability is not Availability.UP
        await lease.revoke()


async def test_an_additional_endpoint(service: Service):
    lease = await registrar(service, "serverset", endpoint="http").register(service.path, WEB)
    for endpoint in ("http", ""):
        async with service.watch(layout="serverset", endpoint=endpoint) as watch:
            assert only(await first(watch)).authority == "10.0.0.1:8080"
    await lease.revoke()


@pytest.mark.parametrize("identity", ["web 1", "web?1&a=b", "wéb-1", "web#1%2f", "10.0.0.1:8080"])
@each_layout
async def test_identities_of_all_kinds(service: Service, layout: str, identity: str):
    lease = await registrar(service, layout).register(service.path, dataclasses.replace(WEB, id=identity))
    async with service.watch(layout=layout) as watch:
        assert has(identity)(await first(watch))
    await lease.revoke()


async def test_an_instance_that_cannot_be_written_down(service: Service):
    with pytest.raises(RegistryError, match="the id a/b cannot be the name of a node"):
        await registrar(service).register(service.path, dataclasses.replace(WEB, id="a/b"))


async def test_what_is_registered_with_a_login_is_read_by_all_and_written_by_it_alone(service: Service):
    service.put("open")
    path = f"{service.path}/below"
    lease = await registrar(service, username="me", password="secret").register(path, WEB)
    async with watching(ZooKeeperRegistry([service.server.address]), path) as watch:
        assert has("web-1")(await first(watch))
    for login in ({}, {"username": "other", "password": "secret"}):
        with pytest.raises(RegistryError, match=rf"{path}: the rights \(ACL\) of the node do not allow it"):
            await registrar(service, **login).register(path, WEB)
    again = await registrar(service, username="me", password="secret").register(path, WEB)
    await again.revoke()
    await lease.revoke()


async def test_a_path_that_may_not_be_written(service: Service):
    service.put("one")
    service.server.protect(service.path, "reader", "reader's")
    with pytest.raises(RegistryError, match=rf"{service.path}: the rights \(ACL\) of the node do not allow it"):
        await registrar(service, username="reader", password="reader's").register(service.path, WEB)
    lease = await registrar(service, username=TESTER[0], password=TESTER[1]).register(service.path, WEB)
    await lease.revoke()


async def test_nobody_is_there():
    away = ZooKeeperRegistrar([f"127.0.0.1:{free_port()}"], timeout=0.2)
    with pytest.raises(RegistryError, match=r"ZooKeeper at 127\.0\.0\.1:\d+: /web: no connection within 0\.2 s"):
        await away.register("/web", WEB)


async def test_a_persistent_node_of_the_same_name_is_replaced(service: Service):
    service.put("web-1")
    lease = await registrar(service).register(service.path, WEB)
    await lease.renew()
    await lease.revoke()
    assert children(service) == []


async def test_registering_that_is_given_up_leaves_no_session(service: Service):
    sessions = service.server.sessions()
    client = await asyncio.to_thread(service.server.connect)
    await asyncio.to_thread(leave, client)
    async with Relay(("127.0.0.1", service.server.port)) as relay:
        relay.hold()
        far = ZooKeeperRegistrar([f"127.0.0.1:{relay.address[1]}"], timeout=30.0)
        task = asyncio.create_task(far.register(service.path, WEB))
        await asyncio.wait([task], timeout=0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        relay.release()
    await eventually(lambda: service.server.sessions() == sessions)
