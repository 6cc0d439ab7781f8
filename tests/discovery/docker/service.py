"""Containers of a service of its own in a Docker Engine, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.docker import DockerRegistry
from discovery.engine.client import Engine
from tests.discovery.watching import watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.docker import DockerEngine


class Service:
    """`close` removes what was run. The containers' names begin with that of the service."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine
        self.name = f"web-{uuid.uuid4().hex[:8]}"
        self._names: set[str] = set()

    def run(self, name: str, labels: Mapping[str, str] | None = None, **options: Any) -> str:
        """Run a container, on port 80 if the labels do not say so, and return its identity."""
        labels = {"pointsman.service": self.name, "pointsman.port": "80", **(labels or {})}
        self._names.add(self.full(name))
        return self.engine.run(self.full(name), labels, **options)

    def full(self, name: str) -> str:
        return f"{self.name}-{name}"

    def act(self, what: str, name: str, **query: str) -> None:
        self.engine.act(what, self.full(name), **query)

    def remove(self, name: str) -> None:
        self._names.discard(self.full(name))
        self.engine.remove(self.full(name))

    def registry(self, **options: Any) -> DockerRegistry:
        return DockerRegistry(Engine(self.engine.address, timeout=options.pop("timeout", 5.0)), **options)

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.name)

    def close(self) -> None:
        for name in self._names:
            self.engine.remove(name)
