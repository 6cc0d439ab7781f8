"""The fixtures that more than one folder of tests uses: real servers."""

from __future__ import annotations

import logging
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.discovery.contract import worlds
from tests.servers import consul as consul_server
from tests.servers import docker as docker_server
from tests.servers import etcd as etcd_server
from tests.servers import eureka as eureka_server
from tests.servers import kubernetes as kubernetes_server
from tests.servers import unbound
from tests.servers import zookeeper as zookeeper_server
from tests.servers.document import DocumentServer
from tests.servers.embedded import EmbeddedRegistry
from tests.servers.wanted import had_or_skipped
from tests.workers import Scheduling, longest_first, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

    from tests.discovery.contract.world import World

LOGGERS_SET_UP = ("asyncio", "aiohttp.access", "watchfiles")  # by proxy.logs, besides the root

# A busy machine is no fault of the code under test; what hangs is ended by pytest's own time-out.
settings.register_profile("pointsman", deadline=None)
settings.load_profile("pointsman")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return workers(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=longest_first)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that is run in the tests' own process sets the log up as a user wants it, for that test alone."""
    loggers = [logging.getLogger(name) for name in (None, *LOGGERS_SET_UP)]
    levels, handlers = [logger.level for logger in loggers], loggers[0].handlers.copy()
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    loggers[0].handlers[:] = handlers


@pytest.fixture(scope="session")
def consul_program(request: pytest.FixtureRequest) -> Path:
    """The Consul program; skips what needs it when it cannot be had."""
    return had_or_skipped(request.config, "Consul", consul_server.program)


@pytest.fixture(scope="session")
def consul(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[consul_server.ConsulAgent]:
    """One Consul agent for all tests: each registers services under names of its own, and leaves the agent alone."""
    agent = consul_server.ConsulAgent(tmp_path_factory.mktemp("consul"))
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture
def own_consul(consul_program: Path, tmp_path: Path) -> Iterator[consul_server.ConsulAgent]:
    """A Consul agent for one test, which may kill it, freeze it and start it again."""
    agent = consul_server.ConsulAgent(tmp_path)
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="session")
def acl_consul(consul_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[consul_server.ConsulAgent]:
    """A Consul agent that lets nobody read or write without a token; it has the one that may do all."""
    agent = consul_server.ConsulAgent(tmp_path_factory.mktemp("consul-acl"), acl_token=str(uuid.uuid4()))
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="session")
def embedded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    """Our own registry for all tests: each registers services under names of its own, and leaves the server alone."""
    registry = EmbeddedRegistry(tmp_path_factory.mktemp("registry"))
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture
def own_embedded_registry(tmp_path: Path) -> Iterator[EmbeddedRegistry]:
    """Our own registry for one test, which may kill it, wipe it and start it again."""
    registry = EmbeddedRegistry(tmp_path)
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def etcd_program(request: pytest.FixtureRequest) -> Path:
    """The etcd program; skips what needs it when it cannot be had."""
    return had_or_skipped(request.config, "etcd", etcd_server.program)


@pytest.fixture(scope="session")
def etcd(etcd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[etcd_server.EtcdServer]:
    """One etcd for all tests: each writes below a prefix of its own, and leaves the server alone."""
    server = etcd_server.EtcdServer(tmp_path_factory.mktemp("etcd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_etcd(etcd_program: Path, tmp_path: Path) -> Iterator[etcd_server.EtcdServer]:
    """An etcd for one test, which may kill it, freeze it, wipe it and start it again."""
    server = etcd_server.EtcdServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kubernetes_program(request: pytest.FixtureRequest, etcd_program: Path) -> Path:
    """The API server's program; skips what needs it when it, or the etcd below it, cannot be had."""
    return had_or_skipped(request.config, "Kubernetes", kubernetes_server.program)


@pytest.fixture(scope="session")
def kubernetes(
    kubernetes_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[kubernetes_server.KubernetesServer]:
    """One API server for all tests: each works in a namespace of its own, and leaves the server alone."""
    server = kubernetes_server.KubernetesServer(tmp_path_factory.mktemp("kubernetes"))
    server.start()
    yield server
    server.kill()  # it would take its time


@pytest.fixture
def own_kubernetes(kubernetes: kubernetes_server.KubernetesServer) -> Iterator[kubernetes_server.KubernetesServer]:
    """The same API server, for one test that may stop it, freeze it, wipe it and start it again.

    A start takes seconds, and no test needs what another one wrote.
    """
    yield kubernetes
    kubernetes.bring_back()


@pytest.fixture(scope="session")
def eureka_program(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Java and the jars of Eureka; skips what needs them when they cannot be had."""
    return had_or_skipped(request.config, "Eureka", eureka_server.program)


@pytest.fixture(scope="session")
def eureka(
    eureka_program: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[eureka_server.EurekaServer]:
    """One Eureka for all tests: each registers applications of its own, and leaves the server alone."""
    server = eureka_server.EurekaServer(tmp_path_factory.mktemp("eureka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_eureka(eureka_program: tuple[str, Path], tmp_path: Path) -> Iterator[eureka_server.EurekaServer]:
    """An Eureka for one test, which may kill it, freeze it and start it again."""
    server = eureka_server.EurekaServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def strict_eureka(
    eureka_program: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[eureka_server.EurekaServer]:
    """An Eureka that answers nobody but `me`, whose password is `secret`, and that tells no deltas."""
    folder = tmp_path_factory.mktemp("strict-eureka")
    server = eureka_server.EurekaServer(folder, login=("me", "secret"), disableDelta="true")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def unbound_program(request: pytest.FixtureRequest) -> Path:
    """The name server's program; skips what needs it when it cannot be had."""
    return had_or_skipped(request.config, "Unbound", unbound.installed)


@pytest.fixture
def name_server(unbound_program: Path, tmp_path: Path) -> Iterator[unbound.Unbound]:
    """A name server for one test, which may do with it what it likes."""
    server = unbound.Unbound(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def zookeeper_command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What runs ZooKeeper; skips what needs it when it cannot be had."""
    return had_or_skipped(request.config, "ZooKeeper", zookeeper_server.command)


@pytest.fixture(scope="session")
def zookeeper(
    zookeeper_command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[zookeeper_server.ZooKeeperServer]:
    """One ZooKeeper for all tests: each writes below a path of its own, and leaves the server alone."""
    server = zookeeper_server.ZooKeeperServer(tmp_path_factory.mktemp("zookeeper"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_zookeeper(zookeeper_command: tuple[str, ...], tmp_path: Path) -> Iterator[zookeeper_server.ZooKeeperServer]:
    """A ZooKeeper for one test, which may stop it, freeze it, wipe it and start it again."""
    server = zookeeper_server.ZooKeeperServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def document_server() -> Iterator[DocumentServer]:
    """A web server with one JSON document, for one test."""
    server = DocumentServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A service in a registry: see tests.discovery.contract."""
    yield from worlds.made(request)


@pytest.fixture(scope="session")
def docker_programs(request: pytest.FixtureRequest) -> Path:
    """Docker's programs; skips what needs them when they cannot be had or not be run."""
    return had_or_skipped(request.config, "Docker Engine", docker_server.installed)


@pytest.fixture(scope="session")
def docker(docker_programs: Path, request: pytest.FixtureRequest) -> Iterator[docker_server.DockerEngine]:
    """One Docker Engine for all tests: each runs containers with labels of its own, and leaves the engine alone."""
    with short_folder() as folder, _opened(request, docker_server.DockerEngine(folder)) as engine:
        yield engine


@pytest.fixture
def own_docker(docker_programs: Path, request: pytest.FixtureRequest) -> Iterator[docker_server.DockerEngine]:
    """A Docker Engine for one test, which may kill it, freeze it and start it again; its containers go on meanwhile."""
    with short_folder() as folder, _opened(request, docker_server.DockerEngine(folder, live_restore=True)) as engine:
        yield engine


@pytest.fixture(scope="session")
def swarm(docker: docker_server.DockerEngine) -> docker_server.DockerEngine:
    """The same engine for all tests, now the manager of a Swarm: each makes services of its own."""
    docker.make_swarm()
    return docker


@pytest.fixture
def own_swarm(docker_programs: Path, request: pytest.FixtureRequest) -> Iterator[docker_server.DockerEngine]:
    """A manager for one test, which may do with it what it likes."""
    with short_folder() as folder, _opened(request, docker_server.DockerEngine(folder)) as engine:
        engine.make_swarm()
        yield engine


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short path: containerd's sockets lie deep below it, and a path of theirs may have 106 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(request: pytest.FixtureRequest, engine: docker_server.DockerEngine) -> Iterator[docker_server.DockerEngine]:
    had_or_skipped(request.config, "Docker Engine", engine.open)
    try:
        yield engine
    finally:
        engine.close()
