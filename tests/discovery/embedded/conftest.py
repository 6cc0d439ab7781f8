"""A real Consul and the embedded registry, to be asked the same questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from discovery.embedded.server import RegistryServer
from tests.discovery.embedded.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers.consul import ConsulAgent


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RegistryServer]:
    server = RegistryServer("127.0.0.1", 0, tmp_path / "registry")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def embedded(server: RegistryServer, session: aiohttp.ClientSession) -> Client:
    return Client(server.address, session)


@pytest.fixture
async def real(consul: ConsulAgent, session: aiohttp.ClientSession) -> Client:
    return Client(consul.address, session)


@pytest.fixture(params=["real", "embedded"])
def registry(request: pytest.FixtureRequest) -> Client:
    """Each of the two, for tests that say what both do."""
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.fixture
async def both(real: Client, embedded: Client) -> tuple[Client, Client]:
    """The two side by side, for tests that compare what they answer."""
    real.prefix = embedded.prefix
    return real, embedded
