"""From what is to be registered to the registrar that does it: one function a registry, and their table.

A registry is loaded when it is wanted, as in registries.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.registries.zookeeper import LONGEST_SESSION
from discovery.here import address_towards, is_loopback
from discovery.registration import LEAVING
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from config.register import ConsulAgent, EtcdKey, EurekaApp, Register, ZooKeeperNode
    from discovery.registrar import Registrar


@dataclass(frozen=True, slots=True)
class Target:
    """A registrar, and what the instance has to know of the registry.

    `service` is the service's name there. `places` are where the registry listens, host and port each: this machine's
    address is the one that leads there. `told` asks a registry on this machine for an address that others know.
    `leaving` is how many seconds it may take to take an instance out, until nobody is told of it any more.
    """

    registrar: Registrar
    service: str
    places: tuple[tuple[str, int], ...]
    told: Callable[[], Awaitable[str]] | None = None
    leaving: float = LEAVING

    async def own_address(self) -> str:
        """Find the address that others reach this machine at. Raises RegistryError."""
        complaints = []
        for host, port in self.places:
            try:
                found = await address_towards(host, port)
            except RegistryError as error:
                complaints.append(str(error))
                continue
            return await self._beyond_loopback(found)
        raise RegistryError("; ".join(complaints))

    async def _beyond_loopback(self, found: str) -> str:
        if self.told is None or not is_loopback(found):
            return found
        try:
            return await self.told()
        except RegistryError as error:
            raise RegistryError(f"{error}; or give the address to register") from error


def make(wanted: Register) -> Target:
    """Make the registrar of what is to be registered."""
    return _MAKERS[wanted.kind](wanted, getattr(wanted, wanted.kind))


def _consul(wanted: Register, keys: ConsulAgent) -> Target:
    from discovery.consul import ConsulRegistrar

    registrar = ConsulRegistrar(
        keys.address,
        token=_secret(keys.token),
        token_file=keys.token_file,
        ttl=wanted.ttl,
        deregister_after=keys.deregister_after,
    )
    return Target(registrar, wanted.service, _places(keys.address), registrar.own_address)


def _etcd(wanted: Register, keys: EtcdKey) -> Target:
    from discovery.etcd import EtcdRegistrar

    registrar = EtcdRegistrar(
        keys.endpoints,
        username=keys.username or "",
        password=_secret(keys.password),
        password_file=keys.password_file,
        ttl=wanted.ttl,
        timeout=keys.timeout,
    )
    return Target(registrar, keys.prefix or f"/services/{wanted.service}/", _places(*keys.endpoints))


def _eureka(wanted: Register, keys: EurekaApp) -> Target:
    from discovery.eureka import EurekaRegistrar

    registrar = EurekaRegistrar(
        keys.urls,
        username=keys.username or "",
        password=_secret(keys.password),
        password_file=keys.password_file,
        ttl=wanted.ttl,
        timeout=keys.timeout,
    )
    return Target(registrar, wanted.service, _places(*keys.urls), leaving=60.0)


def _zookeeper(wanted: Register, keys: ZooKeeperNode) -> Target:
    from discovery.zookeeper import ZooKeeperRegistrar

    registrar = ZooKeeperRegistrar(
        map(str, keys.hosts),
        layout=keys.layout,
        endpoint=keys.endpoint or "",
        username=keys.username or "",
        password=_secret(keys.password),
        password_file=keys.password_file,
        session_timeout=min(wanted.ttl, LONGEST_SESSION),
        timeout=keys.timeout,
    )
    places = tuple((host.host, host.port) for host in keys.hosts)
    return Target(registrar, keys.path or f"/services/{wanted.service}", places)


def _places(*urls: str) -> tuple[tuple[str, int], ...]:
    from yarl import URL

    parsed = map(URL, urls)
    return tuple((url.host or "", url.port or 0) for url in parsed)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


_MAKERS: dict[str, Callable[[Register, Any], Target]] = {
    "consul": _consul,
    "etcd": _etcd,
    "eureka": _eureka,
    "zookeeper": _zookeeper,
}
