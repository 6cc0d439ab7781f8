"""Eureka: an application, and an instance of it."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discovery.eureka import EurekaRegistry
from tests.discovery.contract.world import Can, Servers, World
from tests.servers.eureka import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from discovery.registry import Registry
    from tests.servers.eureka import EurekaServer

INTERVAL = 0.05  # seconds
BATCH = 100  # changes that are told in one request, as peers do
DEADLINE = 10.0  # seconds for the server's cache to know


class EurekaWorld(World):
    """An application of its own. What is put is there when the server's answers say so, which are from a cache."""

    kind = "eureka"
    servers = Servers("eureka", "own_eureka", "strict_eureka")
    can = frozenset(Can)

    def __init__(self, server: EurekaServer) -> None:
        self._eureka = server
        self._app = f"WORLD-{uuid.uuid4().hex[:8].upper()}"
        self._folder = tempfile.TemporaryDirectory()
        self._password_file = Path(self._folder.name) / "password"
        self._known: set[str] = set()
        self._draining: set[str] = set()

    def close(self) -> None:
        self._eureka.register_many([(self._app, name) for name in self._known])
        self._folder.cleanup()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        return EurekaRegistry([f"http://{host}:{port}/eureka/v2"], interval=INTERVAL), self._app

    def discovery(self) -> dict[str, object]:
        return {"eureka": {"app": self._app, "urls": [self._eureka.address], "interval": "100ms"}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._eureka.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        told: dict[str, Any] = {"ipAddr": address, "port": {"$": port, "@enabled": "true"}}
        self._eureka.register(self._app, name, **told, metadata={"weight": str(weight)})
        self._known.add(name)
        if draining:
            self._eureka.override(self._app, name, "OUT_OF_SERVICE")
            self._draining.add(name)
        elif name in self._draining:
            self._eureka.end_override(self._app, name)
            self._draining.discard(name)
        status = "OUT_OF_SERVICE" if draining else "UP"
        self._wait(lambda one: one is not None and _is(one, address, port, weight, status), name)

    def remove(self, name: str) -> None:
        self._eureka.deregister(self._app, name)
        self._known.discard(name)
        self._draining.discard(name)
        self._wait(lambda one: one is None, name)

    def put_malformed(self) -> None:
        """Register an instance without an address, which Eureka lets do."""
        self._eureka.register(self._app, "malformed", ipAddr="no address")
        self._known.add("malformed")

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        batch: list[dict[str, object] | tuple[str, str]] = []
        for change in changes:
            if isinstance(change, str):
                batch.append((self._app, change))
                self._known.discard(change)
            else:
                name, address, port = change
                batch.append(described(self._app, name, ipAddr=address, port={"$": port, "@enabled": "true"}))
                self._known.add(name)
            if len(batch) == BATCH:
                self._eureka.register_many(batch)
                batch = []
        self._eureka.register_many(batch)

    def stop(self) -> None:
        self._eureka.stop()
        self._known.clear()
        self._draining.clear()

    def start(self) -> None:
        self._eureka.start()

    def wipe(self) -> None:
        self._eureka.kill()
        self._known.clear()
        self._eureka.start()

    def refused(self) -> tuple[Registry, str]:
        self._password_file.write_text("wrong")
        registry = EurekaRegistry(
            [self._eureka.address], interval=INTERVAL, username="me", password_file=self._password_file
        )
        return registry, self._app

    def allow(self) -> None:
        self._password_file.write_text("secret")

    def _wait(self, condition: Callable[[dict[str, Any] | None], bool], name: str) -> None:
        """Wait until the condition holds of an instance in whatever readers are told; it is None where it is not."""
        give_up = time.monotonic() + DEADLINE
        while not all(condition(told.get(name)) for told in self._eureka.told(self._app)):
            assert time.monotonic() < give_up, f"not within {DEADLINE:g} s, of {name}"
            time.sleep(0.003)


def _is(told: dict[str, Any], address: str, port: int, weight: int, status: str) -> bool:
    place = (told["ipAddr"], told["port"]["$"], told["metadata"].get("weight"), told["status"])
    return place == (address, port, str(weight), status)
