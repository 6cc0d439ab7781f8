"""The fixtures that more than one folder of tests uses: real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import consul as consul_server
from tests.servers.fetch import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def consul_program(request: pytest.FixtureRequest) -> Path:
    """The Consul program; skips what needs it when it cannot be had."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # the first run downloads, and says so
            return consul_server.program()
    except UnavailableError as error:
        pytest.skip(f"no Consul: {error}")


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
