"""Consul, and our own registry, which is spoken to as one."""

from __future__ import annotations

import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from discovery.consul import ConsulRegistry
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from discovery.registry import Registry
    from tests.servers.consul import ConsulAgent, ConsulApi
    from tests.servers.embedded import EmbeddedRegistry

TRANSACTION = 64  # operations that Consul takes in one
LANES = 8
WAIT = 5.0  # seconds; so that a test need not wait for a minute for a sign of life


class _Consul(World):
    """What the two have in common: what an agent is told, and what a watch reads."""

    def __init__(self, server: ConsulApi) -> None:
        self._api = server
        self._name = f"world-{uuid.uuid4().hex[:8]}"
        self._draining: dict[str, bool] = {}

    def close(self) -> None:
        for service_id in self._draining:
            self._api.deregister(service_id)

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        return ConsulRegistry(f"http://{host}:{port}", token=self._api.acl_token or None, wait=WAIT), self._name

    def discovery(self) -> dict[str, object]:
        return {"consul": {"service": self._name, "address": self._api.address}}

    @property
    def server(self) -> tuple[str, int]:
        parts = urlsplit(self._api.address)
        return parts.hostname or "", parts.port or 0

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        service_id = self._id(name)
        definition = {"Name": self._name, "ID": service_id, "Address": address, "Port": port}
        self._api.register({**definition, "Weights": {"Passing": weight, "Warning": 1}})
        if draining is not self._draining.get(service_id, False):
            self._api.maintenance(service_id, draining)
        self._draining[service_id] = draining

    def remove(self, name: str) -> None:
        self._api.deregister(self._id(name))
        del self._draining[self._id(name)]

    def put_malformed(self) -> None:
        """Register an instance without a port, which Consul lets do."""
        self._api.register({"Name": self._name, "ID": self._id("malformed"), "Address": "10.0.0.1"})
        self._draining[self._id("malformed")] = False

    def _id(self, name: str) -> str:
        return f"{self._name}-{name}"


class ConsulWorld(_Consul):
    """A Consul agent in dev mode, which forgets everything when it stops."""

    kind = "consul"
    servers = Servers("consul", "own_consul", "acl_consul")
    can = frozenset(Can)

    def __init__(self, server: ConsulAgent) -> None:
        super().__init__(server)
        self._agent = server
        self._node = f"{self._name}-node"  # no agent's, so that none takes from it what it was not told of
        self._has_node = False
        self._folder = tempfile.TemporaryDirectory()
        self._token_file = Path(self._folder.name) / "token"

    def close(self) -> None:
        super().close()
        if self._has_node:
            self._agent.call("PUT", "/v1/catalog/deregister", {"Node": self._node})
        self._folder.cleanup()

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        """Change the catalog itself, whose transactions spare a question for each."""
        if not self._has_node:
            self._agent.call("PUT", "/v1/catalog/register", {"Node": self._node, "Address": "10.0.0.1"})
            self._has_node = True
        for some in groups(changes, TRANSACTION):
            self._agent.call("PUT", "/v1/txn", [{"Service": self._operation(change)} for change in some])

    def _operation(self, change: tuple[str, str, int] | str) -> dict[str, object]:
        if isinstance(change, str):
            return {"Verb": "delete", "Node": self._node, "Service": {"ID": self._id(change), "Service": self._name}}
        name, address, port = change
        service = {"Service": self._name, "ID": self._id(name), "Address": address, "Port": port}
        return {"Verb": "set", "Node": self._node, "Service": service}

    def stop(self) -> None:
        self._agent.stop()

    def start(self) -> None:
        self._agent.start()
        self._draining.clear()

    def wipe(self) -> None:
        self._agent.kill()
        self.start()

    def refused(self) -> tuple[Registry, str]:
        self._token_file.write_text(str(uuid.uuid4()))
        return ConsulRegistry(self._agent.address, token_file=self._token_file, wait=WAIT), self._name

    def allow(self) -> None:
        self._token_file.write_text(self._agent.acl_token)


class EmbeddedWorld(_Consul):
    """Our own registry, in a process of its own: it keeps all on disk, and knows no transactions and no tokens."""

    kind = "embedded"
    servers = Servers("embedded_registry", "own_embedded_registry")
    can = frozenset(Can) - {Can.LOGIN}
    changes: ClassVar[int] = 2000  # each is a request of its own

    def __init__(self, server: EmbeddedRegistry) -> None:
        super().__init__(server)
        self._registry = server

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        """Change many at once, and each of them in its order."""
        lanes: list[list[tuple[str, str, int] | str]] = [[] for _ in range(LANES)]
        for change in changes:
            name = change if isinstance(change, str) else change[0]
            lanes[hash(name) % LANES].append(change)
        with ThreadPoolExecutor(LANES) as threads:
            list(threads.map(super().change_many, lanes))

    def stop(self) -> None:
        self._registry.stop()

    def start(self) -> None:
        self._registry.start()

    def wipe(self) -> None:
        self._registry.kill()
        self._registry.wipe()
        self._registry.start()
        self._draining.clear()


def groups(changes: Iterable[tuple[str, str, int] | str], most: int) -> Iterator[list[tuple[str, str, int] | str]]:
    """Divide changes, in their order, into transactions that change nothing twice."""
    group: list[tuple[str, str, int] | str] = []
    names: set[str] = set()
    for change in changes:
        name = change if isinstance(change, str) else change[0]
        if name in names or len(group) == most:
            yield group
            group, names = [], set()
        group.append(change)
        names.add(name)
    if group:
        yield group
