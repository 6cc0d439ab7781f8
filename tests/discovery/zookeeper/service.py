"""A service below a path of its own in a ZooKeeper server, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.zookeeper import ZooKeeperRegistry
from tests.discovery.contract import kept
from tests.discovery.watching import ids, watching

if TYPE_CHECKING:
    from tests.servers.zookeeper import ZooKeeperServer


class Service:
    def __init__(self, server: ZooKeeperServer) -> None:
        self.server = server
        self.path = f"/services/web-{uuid.uuid4().hex[:8]}"

    def put(self, name: str, value: dict[str, Any] | bytes | str | None = None, **options: Any) -> str:
        """Write a node of Curator's layout, at 10.0.0.1:80 unless it is said otherwise."""
        value = {"address": "10.0.0.1", "port": 80} if value is None else value
        return self.server.put(f"{self.path}/{name}", value, **options)

    def delete(self, name: str = "") -> None:
        self.server.delete(f"{self.path}/{name}" if name else self.path)

    def registry(self, **options: Any) -> ZooKeeperRegistry:
        return ZooKeeperRegistry([self.server.address], **options)

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.path)


class Kept(kept.Kept):
    """A service that a keeper keeps, while a `with` block lasts."""

    def __init__(self, service: Service, **options: Any) -> None:
        super().__init__((service.registry(**options), service.path))

    def shows(self, *names: str) -> bool:
        return bool(self.published) and ids(self.published[-1]) == set(names)
