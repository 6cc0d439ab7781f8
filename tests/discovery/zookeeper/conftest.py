from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.discovery.zookeeper.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.zookeeper import ZooKeeperServer


@pytest.fixture
def service(zookeeper: ZooKeeperServer) -> Iterator[Service]:
    service = Service(zookeeper)
    yield service
    zookeeper.client.delete(service.path, recursive=True)
