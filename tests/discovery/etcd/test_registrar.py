"""What is peculiar to etcd in how an instance is registered there."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from discovery.catalog import Catalog
from discovery.etcd import EtcdRegistrar, EtcdRegistry, listing
from discovery.instance import Availability, Instance
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError
from tests.discovery.etcd.service import Service
from tests.servers.etcd import coded
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from tests.servers.etcd import EtcdServer

WEB = Instance("web-1", "10.0.0.1", 80)


@pytest.fixture
def service(etcd: EtcdServer) -> Service:
    return Service(etcd)


def value_of(service: Service, name: str) -> object:
    (pair,) = service.server.call("kv/range", {"key": coded(service.prefix + name)})["kvs"]
    return json.loads(base64.b64decode(pair["value"]))


async def test_the_value_holds_what_is_not_by_default(service: Service):
    registrar = EtcdRegistrar([service.server.address])
    lease = await registrar.register(service.prefix, WEB)
    assert value_of(service, "web-1") == {"address": "10.0.0.1", "port": 80}
    await lease.revoke()
    draining = Instance("web-2", "fd00::5", 81, weight=0, zone="z", tags=("a",), availability=Availability.DRAINING)
    lease = await registrar.register(service.prefix, draining)
    assert value_of(service, "web-2") == {
        "address": "fd00::5", "port": 81, "weight": 0, "zone": "z", "tags": ["a"], "draining": True,
    }  # fmt: skip
    await lease.revoke()


async def test_a_member_that_is_away_is_passed_over(service: Service):
    registrar = EtcdRegistrar([f"http://127.0.0.1:{free_port()}", service.server.address])
    lease = await registrar.register(service.prefix, WEB)
    await lease.renew()
    await lease.revoke()


async def test_a_lease_that_was_revoked_by_hand_is_lost(service: Service):
    lease = await EtcdRegistrar([service.server.address]).register(service.prefix, WEB)
    (pair,) = service.server.call("kv/range", {"key": coded(service.prefix + "web-1")})["kvs"]
    service.server.call("lease/revoke", {"ID": pair["lease"]})
    with pytest.raises(LeaseLostError, match="does not know the lease"):
        await lease.renew()
    await lease.revoke()


async def test_two_of_one_identity_do_not_fight_over_the_key(service: Service):
    registrar = EtcdRegistrar([service.server.address])
    one, two = await registrar.register(service.prefix, WEB), await registrar.register(service.prefix, WEB)
    with pytest.raises(RegistryError, match="was written by somebody else: no two instances may have one identity"):
        await one.renew()
    await two.revoke()
    with pytest.raises(LeaseLostError, match="the key was deleted"):  # now the first one may have it
        await one.renew()
    await one.revoke()


async def test_a_login_that_may_not_write_is_an_error_and_leaves_no_lease(own_etcd: EtcdServer):
    service = Service(own_etcd)
    own_etcd.add_user("reader", "reader's")
    own_etcd.let_read("reader", service.prefix)
    own_etcd.add_user("writer", "writer's")
    own_etcd.call("auth/role/add", {"name": "writer"})
    right = {"permType": "READWRITE", "key": coded(service.prefix), "range_end": coded(service.prefix[:-1] + "0")}
    own_etcd.call("auth/role/grant", {"name": "writer", "perm": right})
    own_etcd.call("auth/user/grant", {"user": "writer", "role": "writer"})
    own_etcd.enable_authentication()
    reader = EtcdRegistrar([own_etcd.address], username="reader", password="reader's")
    with pytest.raises(RegistryError, match="permission denied"):
        await reader.register(service.prefix, WEB)
    assert own_etcd.call("lease/leases", {}).get("leases", []) == []
    with pytest.raises(RegistryError, match="user name is empty"):
        await EtcdRegistrar([own_etcd.address]).register(service.prefix, WEB)
    writer = EtcdRegistrar([own_etcd.address], username="writer", password="writer's")
    lease = await writer.register(service.prefix, WEB)
    own_etcd.call("auth/user/changepw", {"name": "writer", "password": "writer's"})  # its token is gone
    await lease.renew()
    await lease.revoke()


async def test_the_services_are_what_keys_have_in_common(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "PAGE", 2)
    for name in ("web/a", "web/b", "web/deep/c", "shop/a", "ö/a", "alone", "empty/"):
        service.put(name)
    registry = service.registry()
    assert isinstance(registry, Catalog)
    listed = {one.name.removeprefix(service.prefix): one.instances for one in await registry.services(service.prefix)}
    assert listed == {"web/": 3, "shop/": 1, "ö/": 1}
    assert await registry.services(service.prefix + "nothing/") == ()


async def test_the_services_of_a_registry_that_is_away():
    with pytest.raises(RegistryError, match=r"etcd at http://127\.0\.0\.1:\d+: "):
        await EtcdRegistry([f"http://127.0.0.1:{free_port()}"]).services("/services/")
