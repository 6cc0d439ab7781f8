"""A service in a namespace of its own of an API server, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.kubernetes import KubernetesRegistry
from tests.discovery.watching import watching
from tests.servers.kubernetes import DISCOVERY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesServer


def endpoint(address: str, **fields: Any) -> dict[str, Any]:
    """Make an endpoint of a slice: ready, unless its conditions say otherwise."""
    return {"addresses": [address], "conditions": {"ready": True}, **fields}


def slice_of(*endpoints: str | dict[str, Any], family: str = "IPv4", **fields: Any) -> dict[str, Any]:
    """Make what a slice says, its port called http; an endpoint may be an address and no more."""
    entries = [endpoint(one) if isinstance(one, str) else one for one in endpoints]
    return {"addressType": family, "ports": [{"name": "http", "port": 80}], "endpoints": entries, **fields}


class Service:
    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        self.server = server
        self.name = "web"
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        server.add_namespace(self.namespace)

    def put(self, *endpoints: str | dict[str, Any], name: str = "web-1", **fields: Any) -> None:
        """Make the slice of this name, or replace it."""
        self.server.put_slice(self.namespace, self.name, name, slice_of(*endpoints, **fields))

    def delete(self, name: str = "web-1") -> None:
        self.server.delete_slice(self.namespace, name)

    def registry(self, user: dict[str, Any] | None = None, **options: Any) -> KubernetesRegistry:
        """Return a registry that asks as an administrator, or as another user."""
        kubeconfig = self.server.kubeconfig(self.folder / "kubeconfig", user)
        return KubernetesRegistry(kubeconfig=kubeconfig, namespace=self.namespace, **options)

    def pod(self, account: str, **options: Any) -> KubernetesRegistry:
        """Return a registry that finds what a pod with this service account does; its token is `self.token_file`."""
        (self.folder / "namespace").write_text(self.namespace)
        (self.folder / "ca.crt").write_text(self.server.ca_file.read_text())
        if not self.token_file.exists():
            self.token_file.write_text(self.server.token(self.namespace, account))
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.server.port)}
        environ |= options.pop("environ", {})
        return KubernetesRegistry(environ=environ, service_account=self.folder, **options)

    @property
    def path(self) -> str:
        """Where the slices of the namespace are."""
        return f"{DISCOVERY}/namespaces/{self.namespace}/endpointslices"

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    def watch(self, **options: Any) -> Any:
        return watching(self.registry(**options), self.name)
