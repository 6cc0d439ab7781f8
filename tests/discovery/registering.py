"""Registries in which the tests register: one class a kind, which says what the tests need of it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import aiohttp

from discovery.consul import ConsulRegistrar, ConsulRegistry
from discovery.etcd import EtcdRegistrar, EtcdRegistry
from discovery.eureka import EurekaRegistrar, EurekaRegistry
from discovery.zookeeper import ZooKeeperRegistrar, ZooKeeperRegistry
from tests.discovery.watching import watching
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from discovery.registrar import Registrar
    from tests.servers.etcd import EtcdServer
    from tests.servers.eureka import EurekaServer
    from tests.servers.zookeeper import ZooKeeperServer


class Place:
    """A service of its own name in a registry; what is left there when the test ends disturbs nobody."""

    lapsed_is_gone = True  # an instance that is not renewed is gone; else it is there, and down
    lapses = True  # else the client library keeps it there, whether it is renewed or not

    service: str

    def registrar(self, **options: Any) -> Registrar:
        raise NotImplementedError

    def watch(self) -> Any:
        raise NotImplementedError

    def name_of(self, identity: str) -> str:
        """Return the identity that the registry's readers see."""
        return identity

    async def forget(self, identity: str) -> None:
        """Take an instance out behind the back of whoever registered it."""
        raise NotImplementedError

    def nobody(self) -> Registrar:
        """Return a registrar of a registry that is away."""
        raise NotImplementedError


class InConsul(Place):
    """In an agent of Consul's, or in the embedded registry."""

    lapsed_is_gone = False

    def __init__(self, address: str, node: str = "") -> None:
        self.service = f"web-{uuid.uuid4().hex[:8]}"
        self.address = address

    def registrar(self, **options: Any) -> Registrar:
        return ConsulRegistrar(self.address, **options)

    def watch(self) -> Any:
        return watching(ConsulRegistry(self.address, wait=2.0), self.service)

    def name_of(self, identity: str) -> str:
        return identity.rpartition("/")[2]

    async def forget(self, identity: str) -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.put(f"{self.address}/v1/agent/service/deregister/{identity}")

    def nobody(self) -> Registrar:
        return ConsulRegistrar(f"http://127.0.0.1:{free_port()}")


class InEtcd(Place):
    def __init__(self, server: EtcdServer) -> None:
        self.server = server
        self.service = f"/services/web-{uuid.uuid4().hex[:8]}/"

    def registrar(self, **options: Any) -> Registrar:
        return EtcdRegistrar([self.server.address], **options)

    def watch(self) -> Any:
        return watching(EtcdRegistry([self.server.address]), self.service)

    async def forget(self, identity: str) -> None:
        self.server.delete(self.service + identity)

    def nobody(self) -> Registrar:
        return EtcdRegistrar([f"http://127.0.0.1:{free_port()}"])


class InZooKeeper(Place):
    lapses = False

    def __init__(self, server: ZooKeeperServer) -> None:
        self.server = server
        self.service = f"/services/web-{uuid.uuid4().hex[:8]}"

    def registrar(self, **options: Any) -> Registrar:
        return ZooKeeperRegistrar([self.server.address], session_timeout=options.get("ttl", 10.0))

    def watch(self) -> Any:
        return watching(ZooKeeperRegistry([self.server.address]), self.service)

    async def forget(self, identity: str) -> None:
        self.server.delete(f"{self.service}/{identity}")

    def nobody(self) -> Registrar:
        return ZooKeeperRegistrar([f"127.0.0.1:{free_port()}"], timeout=0.2)


class InEureka(Place):
    def __init__(self, server: EurekaServer) -> None:
        self.server = server
        self.service = f"WEB-{uuid.uuid4().hex[:8].upper()}"

    def registrar(self, **options: Any) -> Registrar:
        return EurekaRegistrar([self.server.address], **options)

    def watch(self) -> Any:
        return watching(EurekaRegistry([self.server.address], interval=0.05), self.service)

    async def forget(self, identity: str) -> None:
        self.server.deregister(self.service, identity)

    def nobody(self) -> Registrar:
        return EurekaRegistrar([f"http://127.0.0.1:{free_port()}/eureka"])
