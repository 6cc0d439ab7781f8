"""The Consul registry against a real agent with ACLs on: nobody without a token may read anything."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from discovery.consul import ConsulRegistrar, ConsulRegistry
from discovery.instance import Instance
from discovery.registry import RegistryError
from tests.discovery.consul.service import WAIT, Service, of
from tests.discovery.watching import first, until, watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent


@pytest.fixture
def service(acl_consul: ConsulAgent) -> Service:
    service = Service(acl_consul)
    service.register(1)
    return service


def new_token(agent: ConsulAgent, rules: str) -> str:
    name = uuid.uuid4().hex
    agent.call("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
    token = agent.call("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]})
    secret: str = token["SecretID"]
    return secret


async def test_a_token_with_the_two_rights_reads(service: Service):
    rights = 'node_prefix "" { policy = "read" } service_prefix "web-" { policy = "read" }'
    async with service.watch(token=new_token(service.agent, rights)) as watch:
        await until(watch, of(1))


async def test_a_token_that_does_not_exist_is_an_error(service: Service):
    async with service.watch(token=str(uuid.uuid4())) as watch:
        with pytest.raises(RegistryError, match=r"HTTP 403: ACL not found; .*node:read and service:read"):
            await first(watch)


async def test_the_token_file_is_read_anew_by_each_watch(service: Service, tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(f"{uuid.uuid4()}\n")
    registry = ConsulRegistry(service.agent.address, token_file=file, wait=WAIT)
    async with watching(registry, service.name) as watch:
        with pytest.raises(RegistryError, match="HTTP 403"):
            await first(watch)
    file.write_text(f"{service.agent.acl_token}\n")
    async with watching(registry, service.name) as watch:
        await until(watch, of(1))


async def test_a_token_file_that_is_missing_is_an_error(service: Service, tmp_path: Path):
    async with service.watch(token_file=tmp_path / "token") as watch:
        with pytest.raises(RegistryError, match=f"the token file {tmp_path}/token cannot be read: .*No such file"):
            await first(watch)


async def test_the_environment_s_token_counts_for_nothing(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", str(uuid.uuid4()))
    async with service.watch(token=service.agent.acl_token) as watch:
        await until(watch, of(1))
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", service.agent.acl_token)
    async with service.watch() as watch:
        assert (await first(watch)).instances == ()


async def test_a_token_that_is_deleted_while_we_watch_is_an_error(service: Service):
    token = service.agent.call("PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]})
    async with watching(
        ConsulRegistry(service.agent.address, token=token["SecretID"], wait=0.05), service.name
    ) as watch:
        await until(watch, of(1))
        service.agent.call("DELETE", f"/v1/acl/token/{token['AccessorID']}")
        with pytest.raises(RegistryError, match="HTTP 403"):
            await until(watch, of())


async def test_to_register_needs_the_right_to_write(service: Service):
    rights = f'service "{service.name}" {{ policy = "write" }}'
    instance = Instance(service.id(9), "10.0.0.9", 80)
    reader = ConsulRegistrar(
        service.agent.address, token=new_token(service.agent, 'service_prefix "" { policy = "read" }')
    )
    with pytest.raises(RegistryError, match=r"HTTP 403: Permission denied.*grant service:write"):
        await reader.register(service.name, instance)
    writer = ConsulRegistrar(service.agent.address, token=new_token(service.agent, rights))
    lease = await writer.register(service.name, instance)
    await lease.renew()
    await lease.revoke()


async def test_the_token_file_is_read_for_each_renewal(service: Service, tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(f"{service.agent.acl_token}\n")
    registrar = ConsulRegistrar(service.agent.address, token_file=file)
    lease = await registrar.register(service.name, Instance(service.id(8), "10.0.0.8", 80))
    file.write_text(f"{uuid.uuid4()}\n")
    with pytest.raises(RegistryError, match="HTTP 403"):
        await lease.renew()
    file.write_text(f"{service.agent.acl_token}\n")
    await lease.renew()
    await lease.revoke()


async def test_services_are_listed_with_a_token(service: Service):
    listed = await ConsulRegistry(service.agent.address, token=service.agent.acl_token).services("")
    assert service.name in {one.name for one in listed}
    with pytest.raises(RegistryError, match=r"HTTP 403: ACL not found; .*grant service:read"):
        await ConsulRegistry(service.agent.address, token=str(uuid.uuid4())).services("")
