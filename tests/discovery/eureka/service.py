"""An application of its own in a Eureka server, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.eureka import EurekaRegistry
from tests.discovery.watching import watching

if TYPE_CHECKING:
    from tests.servers.eureka import EurekaServer

INTERVAL = 0.05  # seconds


class Service:
    def __init__(self, server: EurekaServer) -> None:
        self.server = server
        self.app = f"WEB-{uuid.uuid4().hex[:8].upper()}"
        self._names: set[str] = set()

    def put(self, name: str, **fields: Any) -> None:
        self.server.register(self.app, name, **fields)
        self._names.add(name)

    def delete(self, name: str) -> None:
        self.server.deregister(self.app, name)
        self._names.discard(name)

    def clear(self) -> None:
        for name in tuple(self._names):
            self.delete(name)

    def registry(self, **options: Any) -> EurekaRegistry:
        return EurekaRegistry([self.server.address], **{"interval": INTERVAL, **options})

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.app)
