"""ZooKeeper, in Curator's layout: a node an instance."""

from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discovery.zookeeper import ZooKeeperRegistry
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry
    from tests.servers.zookeeper import ZooKeeperServer

TIMEOUT = 2.0  # seconds; that the server is away is known so soon


class ZooKeeperWorld(World):
    """A path of its own."""

    kind = "zookeeper"
    servers = Servers("zookeeper", "own_zookeeper", login="zookeeper")
    can = frozenset(Can)

    def __init__(self, server: ZooKeeperServer) -> None:
        self._zookeeper = server
        self._path = f"/worlds/{uuid.uuid4().hex[:8]}"
        self._folder = tempfile.TemporaryDirectory()
        self._password_file = Path(self._folder.name) / "password"

    def close(self) -> None:
        self._zookeeper.client.delete(self._path, recursive=True)
        self._folder.cleanup()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        return ZooKeeperRegistry([f"{host}:{port}"], timeout=TIMEOUT), self._path

    def discovery(self) -> dict[str, object]:
        return {"zookeeper": {"path": self._path, "hosts": [self._zookeeper.address]}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._zookeeper.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        value: dict[str, Any] = {"name": "web", "id": name, "address": address, "port": port, "enabled": not draining}
        self._zookeeper.put(f"{self._path}/{name}", {**value, "payload": {"weight": weight}})

    def remove(self, name: str) -> None:
        self._zookeeper.delete(f"{self._path}/{name}")

    def put_malformed(self) -> None:
        self._zookeeper.put(f"{self._path}/malformed", '{"address": ')

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        self._zookeeper.change_many(
            self._path, ((one, None) if isinstance(one, str) else (one[0], _data(*one[1:])) for one in changes)
        )

    def stop(self) -> None:
        self._zookeeper.stop()

    def start(self) -> None:
        self._zookeeper.start()

    def wipe(self) -> None:
        self._zookeeper.kill()
        self._zookeeper.wipe()
        self._zookeeper.start()

    def refused(self) -> tuple[Registry, str]:
        self._zookeeper.protect(self._path, "reader", "reader's")
        self._password_file.write_text("wrong")
        registry = ZooKeeperRegistry(
            [self._zookeeper.address], username="reader", password_file=self._password_file, timeout=TIMEOUT
        )
        return registry, self._path

    def allow(self) -> None:
        self._password_file.write_text("reader's")


def _data(address: str, port: int) -> bytes:
    return json.dumps({"address": address, "port": port}).encode()
