"""From a source in the configuration to the registry that is watched: one function a registry, and their table.

A registry is loaded when it is wanted: the clients of all of them take a quarter of a second and ten megabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.discovery import OWN
from config.frozen import thaw
from discovery import own
from discovery.instance import Instance
from discovery.login import BasicLogin
from discovery.static import StaticRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import SecretStr

    from config.discovery import Discovery
    from config.model import Catalog
    from config.registries.consul import Consul
    from config.registries.dns import Dns
    from config.registries.docker import Docker
    from config.registries.engine import OfEngine
    from config.registries.etcd import Etcd
    from config.registries.eureka import Eureka
    from config.registries.http import Http
    from config.registries.kubernetes import Kubernetes
    from config.registries.marathon import Marathon
    from config.registries.mesos import Mesos
    from config.registries.static import StaticInstance
    from config.registries.swarm import Swarm
    from config.registries.zookeeper import ZooKeeper
    from discovery.consul import ConsulCatalog, ConsulRegistry
    from discovery.engine.client import Engine
    from discovery.registry import Registry

# A registry, and the name that the service has in it.
Watched = tuple["Registry", str]


def make(service: str, source: Discovery) -> Watched:
    """Make the registry of a source of our `service`, and tell the service's name there."""
    kind = source.kind
    if kind in OWN:
        return own.make(kind, thaw(getattr(source, kind))), service
    return _MAKERS[kind](service, getattr(source, kind))


def make_catalog(wanted: Catalog) -> tuple[ConsulCatalog, Registry]:
    """Make a catalog's list of services, and the registry in which they are watched."""
    from discovery.consul import ConsulCatalog, ConsulRegistry

    consul = wanted.consul
    token = _secret(consul.token) or None
    listing = ConsulCatalog(
        consul.address,
        token=token,
        token_file=consul.token_file,
        datacenter=consul.datacenter,
        languages=wanted.tags,
    )
    registry = ConsulRegistry(
        consul.address,
        token=token,
        token_file=consul.token_file,
        datacenter=consul.datacenter,
        filter=consul.filter,
        cached=consul.cached,
        max_age=consul.max_age,
        connections=consul.connections,
    )
    return listing, registry


def _static(service: str, wanted: tuple[StaticInstance, ...]) -> Watched:
    instances = [
        Instance(
            id=one.identity,
            address=one.address.host,
            port=one.address.port,
            weight=one.weight,
            zone=one.zone,
            tags=one.tags,
            metadata=one.metadata,
        )
        for one in wanted
    ]
    return StaticRegistry(instances), service


def _file(service: str, wanted: Path) -> Watched:
    from discovery.file import FileRegistry

    return FileRegistry(wanted), service


def _consul(service: str, wanted: Consul) -> Watched:
    from discovery.consul import ConsulRegistry, Datacenters

    def registry(datacenter: str) -> ConsulRegistry:
        return ConsulRegistry(
            wanted.address,
            token=_secret(wanted.token) or None,
            token_file=wanted.token_file,
            datacenter=datacenter,
            tags=wanted.tags,
            filter=wanted.filter,
            cached=wanted.cached,
            max_age=wanted.max_age,
            connections=wanted.connections,
        )

    if wanted.datacenters:
        return Datacenters([(name, registry(name)) for name in wanted.datacenters]), wanted.service
    return registry(wanted.datacenter), wanted.service


def _etcd(service: str, wanted: Etcd) -> Watched:
    from discovery.etcd import EtcdRegistry

    registry = EtcdRegistry(
        wanted.endpoints,
        username=wanted.username or "",
        password=_secret(wanted.password),
        password_file=wanted.password_file,
        timeout=wanted.timeout,
    )
    return registry, wanted.prefix


def _kubernetes(service: str, wanted: Kubernetes) -> Watched:
    from discovery.kubernetes import KubernetesRegistry

    registry = KubernetesRegistry(
        namespace=wanted.namespace or "",
        port=wanted.port,
        kubeconfig=wanted.kubeconfig,
        context=wanted.context or "",
        family=wanted.family,
        zone=wanted.zone or "",
        timeout=wanted.timeout,
    )
    return registry, wanted.service


def _eureka(service: str, wanted: Eureka) -> Watched:
    from discovery.eureka import EurekaRegistry

    registry = EurekaRegistry(
        wanted.urls,
        by="app" if wanted.app else "vip",
        secure=wanted.secure,
        address=wanted.address,
        username=wanted.username or "",
        password=_secret(wanted.password),
        password_file=wanted.password_file,
        interval=wanted.interval,
        timeout=wanted.timeout,
    )
    return registry, wanted.app or wanted.vip or ""


def _dns(service: str, wanted: Dns) -> Watched:
    from discovery.dns import DnsRegistry

    registry = DnsRegistry(
        wanted.name,
        type=wanted.type,
        port=wanted.port or 0,
        servers=wanted.servers,
        ttl_min=wanted.ttl_min,
        ttl_max=wanted.ttl_max,
        timeout=wanted.timeout,
    )
    return registry, wanted.name


def _http(service: str, wanted: Http) -> Watched:
    from discovery.http import HttpRegistry

    registry = HttpRegistry(
        wanted.url,
        interval=wanted.interval,
        timeout=wanted.timeout,
        headers={name: value.get_secret_value() for name, value in wanted.headers.items()},
        token=_secret(wanted.token) or None,
        token_file=wanted.token_file,
    )
    return registry, service


def _zookeeper(service: str, wanted: ZooKeeper) -> Watched:
    from discovery.zookeeper import ZooKeeperRegistry

    registry = ZooKeeperRegistry(
        map(str, wanted.hosts),
        layout=wanted.layout,
        endpoint=wanted.endpoint or "",
        username=wanted.username or "",
        password=_secret(wanted.password),
        password_file=wanted.password_file,
        session_timeout=wanted.session_timeout,
        timeout=wanted.timeout,
    )
    return registry, wanted.path


def _mesos(service: str, wanted: Mesos) -> Watched:
    from discovery.mesos import MesosRegistry
    from discovery.mesos.tasks import Wanted as WantedTasks

    tasks = WantedTasks(
        wanted.task,
        framework=wanted.framework,
        port=wanted.port_name or wanted.port_index,
        in_container=wanted.address == "container",
    )
    registry = MesosRegistry(wanted.masters, tasks, login=_login(wanted), timeout=wanted.timeout)
    return registry, wanted.task


def _marathon(service: str, wanted: Marathon) -> Watched:
    from discovery.marathon import MarathonRegistry
    from discovery.marathon.apps import Wanted as WantedApp

    app = WantedApp(wanted.port_name or wanted.port_index, in_container=wanted.address == "container")
    registry = MarathonRegistry(
        wanted.urls, app, login=_login(wanted), timeout=wanted.timeout, interval=wanted.interval
    )
    return registry, wanted.app


def _login(wanted: Mesos | Marathon) -> BasicLogin | None:
    if wanted.username is None:
        return None
    return BasicLogin(wanted.username, _secret(wanted.password), wanted.password_file)


def _docker(service: str, wanted: Docker) -> Watched:
    from discovery.docker import DockerRegistry

    registry = DockerRegistry(
        _engine(wanted),
        labels=wanted.labels,
        by_name=wanted.service is not None,
        prefix=wanted.prefix,
        address=wanted.address,
        network=wanted.network,
        port=wanted.port,
        host=wanted.host or "",
    )
    return registry, _name_or_labels(wanted)


def _swarm(service: str, wanted: Swarm) -> Watched:
    from discovery.swarm import SwarmRegistry

    registry = SwarmRegistry(
        _engine(wanted),
        labels=wanted.labels,
        by_name=wanted.service is not None,
        mode=wanted.mode,
        network=wanted.network,
        port=wanted.port,
        prefix=wanted.prefix,
        interval=wanted.interval,
    )
    return registry, _name_or_labels(wanted)


def _engine(wanted: OfEngine) -> Engine:
    from discovery.engine.client import Engine

    return Engine(wanted.engine, wanted.ca_file, wanted.cert_file, wanted.key_file, wanted.timeout)


def _name_or_labels(wanted: OfEngine) -> str:
    return wanted.service or ", ".join(f"{key}={value}" if value else key for key, value in wanted.labels.items())


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


_MAKERS: dict[str, Callable[[str, Any], Watched]] = {
    "static": _static,
    "file": _file,
    "consul": _consul,
    "etcd": _etcd,
    "kubernetes": _kubernetes,
    "eureka": _eureka,
    "dns": _dns,
    "http": _http,
    "mesos": _mesos,
    "marathon": _marathon,
    "zookeeper": _zookeeper,
    "docker": _docker,
    "swarm": _swarm,
}
