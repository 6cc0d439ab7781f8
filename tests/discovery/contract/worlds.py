"""The registries that the contract suite is run with."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.discovery.contract.consul import ConsulWorld, EmbeddedWorld
from tests.discovery.contract.dns import DnsWorld
from tests.discovery.contract.docker import DockerWorld
from tests.discovery.contract.etcd import EtcdWorld
from tests.discovery.contract.eureka import EurekaWorld
from tests.discovery.contract.file import FileWorld
from tests.discovery.contract.http import HttpWorld
from tests.discovery.contract.kubernetes import KubernetesWorld
from tests.discovery.contract.static import StaticWorld
from tests.discovery.contract.world import Can, World
from tests.discovery.contract.zookeeper import ZooKeeperWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

WORLDS: tuple[type[World], ...] = (
    ConsulWorld,
    EmbeddedWorld,
    EtcdWorld,
    ZooKeeperWorld,
    EurekaWorld,
    KubernetesWorld,
    DnsWorld,
    HttpWorld,
    FileWorld,
    DockerWorld,
)
NEVER_CHANGES: tuple[type[World], ...] = (StaticWorld,)


def worlds(*needed: Can, steady: bool = False) -> pytest.MarkDecorator:
    """Run a test in each world that can do what it needs; with `steady` also in those in which nothing changes.

    The test gets it as `world`. A server that may be stopped or wiped is the test's own.
    """
    found = [world for world in (*WORLDS, *NEVER_CHANGES * steady) if world.can.issuperset(needed)]
    given = [pytest.param((world, _server(world, needed)), id=world.kind) for world in found]
    return pytest.mark.parametrize("world", given, indirect=True)


def made(request: pytest.FixtureRequest) -> Iterator[World]:
    """The fixture `world`."""
    world, server = request.param
    with closing(world(request.getfixturevalue(server))) as one:
        yield one


def _server(world: type[World], needed: tuple[Can, ...]) -> str:
    shared, own, login = world.servers
    if Can.LOGIN in needed:
        return login or own
    return own if {Can.RESTART, Can.WIPE} & set(needed) else shared
