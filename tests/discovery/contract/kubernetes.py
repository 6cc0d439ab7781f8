"""Kubernetes: a slice an instance, since the port is the slice's."""

from __future__ import annotations

import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from discovery.kubernetes import KubernetesRegistry
from tests.discovery.contract.world import Can, Servers, World
from tests.servers.kubernetes import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry
    from tests.servers.kubernetes import KubernetesServer

LANES = 4
SERVICE = "web"


class KubernetesWorld(World):
    """A namespace of its own."""

    kind = "kubernetes"
    servers = Servers("kubernetes", "own_kubernetes", "kubernetes")
    can = frozenset(Can) - {Can.WEIGH}
    changes: ClassVar[int] = 2000  # each is a request of its own

    def __init__(self, server: KubernetesServer) -> None:
        self._kubernetes = server
        self._namespace = f"world-{uuid.uuid4().hex[:8]}"
        self._folder = tempfile.TemporaryDirectory()
        self._token_file = self._file("token")
        server.add_namespace(self._namespace)

    def close(self) -> None:
        self._folder.cleanup()  # the namespace stays: what would empty it is a controller, and there is none

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        path = self._file(f"kubeconfig-{port}")
        kubeconfig = self._kubernetes.kubeconfig(path, {"token": TOKEN}, server=f"https://{host}:{port}")
        return KubernetesRegistry(kubeconfig=kubeconfig, namespace=self._namespace), SERVICE

    def discovery(self) -> dict[str, object]:
        kubeconfig = self._kubernetes.kubeconfig(self._file("kubeconfig"))
        return {"kubernetes": {"service": SERVICE, "namespace": self._namespace, "kubeconfig": str(kubeconfig)}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._kubernetes.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        conditions = {"ready": not draining, "serving": True, "terminating": draining}
        endpoints = [{"addresses": [address], "conditions": conditions}]
        body = {"addressType": "IPv4", "ports": [{"port": port}], "endpoints": endpoints}
        if address.startswith("127."):
            self._kubernetes.plant_slice(self._namespace, SERVICE, name, body)
        else:
            self._kubernetes.put_slice(self._namespace, SERVICE, name, body)

    def remove(self, name: str) -> None:
        self._kubernetes.delete_slice(self._namespace, name)

    def put_malformed(self) -> None:
        body = {"addressType": "FQDN", "endpoints": [{"addresses": ["example.com"]}]}
        self._kubernetes.put_slice(self._namespace, SERVICE, "malformed", body)

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        """Change many at once, and each of them in its order."""
        lanes: list[list[tuple[str, str, int] | str]] = [[] for _ in range(LANES)]
        for change in changes:
            name = change if isinstance(change, str) else change[0]
            lanes[hash(name) % LANES].append(change)
        with ThreadPoolExecutor(LANES) as threads:
            list(threads.map(super().change_many, lanes))

    def stop(self) -> None:
        self._kubernetes.stop()

    def start(self) -> None:
        self._kubernetes.start()

    def wipe(self) -> None:
        self._kubernetes.kill()
        self._kubernetes.wipe()
        self._kubernetes.start()
        self._kubernetes.add_namespace(self._namespace)

    def refused(self) -> tuple[Registry, str]:
        self._kubernetes.add_account(self._namespace, "reader")
        self._kubernetes.let_read(self._namespace, "reader")
        self._token_file.write_text("wrong")
        kubeconfig = self._kubernetes.kubeconfig(self._file("kubeconfig"), {"tokenFile": str(self._token_file)})
        return KubernetesRegistry(kubeconfig=kubeconfig, namespace=self._namespace), SERVICE

    def allow(self) -> None:
        self._token_file.write_text(self._kubernetes.token(self._namespace, "reader"))

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / name
