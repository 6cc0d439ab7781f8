"""The fixtures that more than one folder of tests uses: real servers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.servers import consul as consul_server
from tests.servers import docker as docker_server
from tests.servers import etcd as etcd_server
from tests.servers import unbound
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A busy machine is no fault of the code under test; what hangs is ended by pytest's own time-out.
settings.register_profile("pointsman", deadline=None)
settings.load_profile("pointsman")


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
def docker_programs(request: pytest.FixtureRequest) -> Path:
    """Docker's programs; skips what needs them when they cannot be had or not be run."""
    return had_or_skipped(request.config, "Docker Engine", docker_server.installed)


@pytest.fixture(scope="session")
def docker(
    docker_programs: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[docker_server.DockerEngine]:
    """One Docker Engine for all tests: each runs containers with labels of its own, and leaves the engine alone."""
    with _opened(request, docker_server.DockerEngine(tmp_path_factory.mktemp("docker"))) as engine:
        yield engine


@pytest.fixture
def own_docker(
    docker_programs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[docker_server.DockerEngine]:
    """A Docker Engine for one test, which may kill it, freeze it and start it again; its containers go on meanwhile."""
    with _opened(request, docker_server.DockerEngine(tmp_path, live_restore=True)) as engine:
        yield engine


@pytest.fixture(scope="session")
def swarm(docker: docker_server.DockerEngine) -> docker_server.DockerEngine:
    """The same engine for all tests, now the manager of a Swarm: each makes services of its own."""
    docker.make_swarm()
    return docker


@pytest.fixture
def own_swarm(
    docker_programs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[docker_server.DockerEngine]:
    """A manager for one test, which may do with it what it likes."""
    with _opened(request, docker_server.DockerEngine(tmp_path)) as engine:
        engine.make_swarm()
        yield engine


@contextmanager
def _opened(request: pytest.FixtureRequest, engine: docker_server.DockerEngine) -> Iterator[docker_server.DockerEngine]:
    had_or_skipped(request.config, "Docker Engine", engine.open)
    try:
        yield engine
    finally:
        engine.close()
