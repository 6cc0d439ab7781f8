"""A service below a prefix of its own in an etcd server, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.etcd import EtcdRegistry
from tests.discovery.watching import watching

if TYPE_CHECKING:
    from tests.servers.etcd import EtcdServer


class Service:
    def __init__(self, server: EtcdServer) -> None:
        self.server = server
        self.prefix = f"/services/web-{uuid.uuid4().hex[:8]}/"

    def put(self, name: str, value: str | bytes | dict[str, Any] = "10.0.0.1:80", lease: str = "0") -> None:
        self.server.put(self.prefix + name, value, lease)

    def delete(self, name: str) -> None:
        self.server.delete(self.prefix + name)

    def registry(self, **options: Any) -> EtcdRegistry:
        return EtcdRegistry([self.server.address], **options)

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.prefix)
