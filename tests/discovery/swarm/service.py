"""A service of its own in a Swarm, for the tests that watch one."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from discovery.engine.client import Engine
from discovery.swarm import SwarmRegistry
from tests.discovery.watching import watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.docker import DockerEngine

DEADLINE = 20.0  # seconds


class Service:
    """`close` removes it."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine
        self.name = f"web-{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []

    def make(self, labels: Mapping[str, str] | None = None, *, suffix: str = "", **options: Any) -> None:
        """Create it, with port 80 if the labels do not say so."""
        self._made.append(self.name + suffix)
        self.engine.serve(self.name + suffix, {"pointsman.port": "80", **(labels or {})}, **options)

    def remove(self) -> None:
        for name in self._made:
            self.engine.call("DELETE", f"/services/{name}")
        self._made.clear()

    def tasks(self) -> list[dict[str, Any]]:
        query = {"filters": json.dumps({"service": [self.name]})}
        found: list[dict[str, Any]] = self.engine.call("GET", "/tasks", None, query) or []
        return found

    def running(self) -> set[str]:
        """The names of the tasks that run and are to run on."""
        return {
            f"{self.name}.{task['Slot']}.{task['ID']}"
            for task in self.tasks()
            if task["Status"]["State"] == task["DesiredState"] == "running"
        }

    def wait(self, count: int) -> set[str]:
        """Return the names of the tasks when so many run."""
        until = time.monotonic() + DEADLINE
        while len(names := self.running()) != count:
            assert time.monotonic() < until, self.tasks()
            time.sleep(0.05)
        return names

    def registry(self, **options: Any) -> SwarmRegistry:
        return SwarmRegistry(Engine(self.engine.address, timeout=options.pop("timeout", 5.0)), **options)

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.name)

    def close(self) -> None:
        self.remove()
