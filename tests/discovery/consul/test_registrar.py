"""What is peculiar to Consul in how an instance is registered there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from discovery.catalog import Catalog, Listed
from discovery.consul import ConsulRegistrar, ConsulRegistry
from discovery.instance import Instance
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.consul import ConsulAgent


@pytest.fixture
def instance() -> Instance:
    return Instance(f"web-{uuid.uuid4().hex[:8]}", "10.0.0.1", 80, weight=7)


async def test_the_check_says_how_long_the_agent_waits(consul: ConsulAgent, instance: Instance):
    lease = await ConsulRegistrar(consul.address, ttl=30.0, deregister_after=120.0).register("web", instance)
    service = consul.services()[instance.id]
    check = consul.call("GET", "/v1/agent/checks")[f"service:{instance.id}"]
    assert service["Weights"] == {"Passing": 7, "Warning": 1}
    assert (check["Status"], check["Type"], check["ServiceID"]) == ("passing", "ttl", instance.id)
    definition = consul.call("GET", "/v1/health/checks/web")[0]["Definition"]
    await lease.revoke()
    assert definition.get("DeregisterCriticalServiceAfterDuration", definition) is not None
    assert instance.id not in consul.services()


async def test_checks_of_an_earlier_life_count_no_more(consul: ConsulAgent, instance: Instance):
    check = {"CheckID": "of-old", "TCP": "127.0.0.1:1", "Interval": "1h"}
    consul.register({"Name": "web", "ID": instance.id, "Check": check})
    lease = await ConsulRegistrar(consul.address).register("web", instance)
    assert "of-old" not in consul.call("GET", "/v1/agent/checks")
    await lease.revoke()


async def test_renewals_leave_maintenance_alone(consul: ConsulAgent, instance: Instance):
    lease = await ConsulRegistrar(consul.address).register("web", instance)
    consul.maintenance(instance.id, True, "rest")
    await lease.renew()
    assert f"_service_maintenance:{instance.id}" in consul.call("GET", "/v1/agent/checks")
    await lease.revoke()


async def test_the_agent_tells_its_address(consul: ConsulAgent):
    assert await ConsulRegistrar(consul.address).own_address() == "127.0.0.1"


@pytest.mark.parametrize(
    ("status", "text", "match"),
    [
        (500, "No cluster leader", "HTTP 500: No cluster leader"),
        (302, "", "HTTP 302: no reason given"),
        (403, "Permission denied", "HTTP 403: Permission denied; the token must exist and grant service:write"),
    ],
)
async def test_refusals_are_told(instance: Instance, status: int, text: str, match: str):
    async with TestServer(answering(lambda request: web.Response(status=status, text=text))) as server:
        registrar = ConsulRegistrar(str(server.make_url("")))
        with pytest.raises(RegistryError, match=match):
            await registrar.register("web", instance)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (404, "Unknown check ID"),
        (500, 'CheckID "service:web-1" does not have associated TTL'),
        (500, 'Unknown check "service:web-1"'),
    ],
)
async def test_every_version_says_in_its_own_way_that_it_lost_the_check(instance: Instance, status: int, text: str):
    lost = False

    def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text) if lost else web.Response()

    async with TestServer(answering(answer)) as server:
        lease = await ConsulRegistrar(str(server.make_url(""))).register("web", instance)
        lost = True
        with pytest.raises(LeaseLostError, match=f"does not know {instance.id} any more"):
            await lease.renew()


@pytest.mark.parametrize("body", [b"[]", b"{}", b"nonsense", b'{"Member": {"Addr": ""}}'])
async def test_an_agent_that_does_not_tell_its_address(body: bytes):
    async with TestServer(answering(lambda request: web.Response(body=body))) as server:
        with pytest.raises(RegistryError, match=r"Member\.Addr|is no JSON"):
            await ConsulRegistrar(str(server.make_url(""))).own_address()


async def test_a_password_in_the_address_is_shown_nowhere(instance: Instance):
    with pytest.raises(RegistryError) as caught:
        await ConsulRegistrar("http://me:hidden@127.0.0.1:1").register("web", instance)
    assert "hidden" not in str(caught.value)


async def test_the_services_with_their_tags(consul: ConsulAgent, instance: Instance):
    consul.register({"Name": instance.id, "ID": instance.id, "Tags": ["a", "b"]})
    registry = ConsulRegistry(consul.address)
    assert isinstance(registry, Catalog)
    listed = {one.name: one for one in await registry.services("")}
    assert listed["consul"] == Listed("consul")
    assert sorted(listed[instance.id].tags) == ["a", "b"]
    with pytest.raises(RegistryError, match="No path to datacenter"):
        await ConsulRegistry(consul.address, datacenter="nowhere").services("")
    consul.deregister(instance.id)


async def test_a_list_of_services_that_was_filtered_is_an_error():
    headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    async with TestServer(answering(lambda request: web.json_response({}, headers=headers))) as server:
        with pytest.raises(RegistryError, match="may not read all services; grant it service:read"):
            await ConsulRegistry(str(server.make_url(""))).services("")


def answering(answer: Callable[[web.Request], web.Response]) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", handler)])
    return app
