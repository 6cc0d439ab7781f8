"""etcd: a key an instance."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discovery.etcd import EtcdRegistry
from tests.discovery.contract.consul import groups
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry
    from tests.servers.etcd import EtcdServer

TRANSACTION = 100  # operations; etcd takes 128


class EtcdWorld(World):
    """A prefix of its own."""

    kind = "etcd"
    servers = Servers("etcd", "own_etcd")
    can = frozenset(Can)

    def __init__(self, server: EtcdServer) -> None:
        self._etcd = server
        self._prefix = f"/worlds/{uuid.uuid4().hex[:8]}/"
        self._folder = tempfile.TemporaryDirectory()
        self._password_file = Path(self._folder.name) / "password"

    def close(self) -> None:
        self._etcd.delete_below(self._prefix)
        self._folder.cleanup()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        return EtcdRegistry([f"http://{host}:{port}"]), self._prefix

    def discovery(self) -> dict[str, object]:
        return {"etcd": {"prefix": self._prefix, "endpoints": [self._etcd.address]}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._etcd.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        value: dict[str, Any] = {"address": address, "port": port, "weight": weight, "draining": draining}
        self._etcd.put(self._prefix + name, value)

    def remove(self, name: str) -> None:
        self._etcd.delete(self._prefix + name)

    def put_malformed(self) -> None:
        self._etcd.put(self._prefix + "malformed", '{"address": ')

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        for some in groups(changes, TRANSACTION):
            puts = [(f"{self._prefix}{one[0]}", f"{one[1]}:{one[2]}") for one in some if not isinstance(one, str)]
            self._etcd.transaction(puts, [self._prefix + one for one in some if isinstance(one, str)])

    def stop(self) -> None:
        self._etcd.stop()

    def start(self) -> None:
        self._etcd.start()

    def wipe(self) -> None:
        self._etcd.kill()
        self._etcd.wipe()
        self._etcd.start()

    def refused(self) -> tuple[Registry, str]:
        self._etcd.add_user("reader", "reader's")
        self._etcd.let_read("reader", self._prefix)
        self._etcd.enable_authentication()
        self._password_file.write_text("wrong")
        return EtcdRegistry([self._etcd.address], username="reader", password_file=self._password_file), self._prefix

    def allow(self) -> None:
        self._password_file.write_text("reader's")
