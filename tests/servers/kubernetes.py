"""A Kubernetes API server: the genuine kube-apiserver, which keeps its objects in an etcd of its own.

There is nothing else of Kubernetes: no controllers, no nodes, no pods. Whoever tests makes the EndpointSlices.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import shutil
import ssl
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import trustme
import yaml

from tests.servers.etcd import EtcdServer
from tests.servers.fetch import UnavailableError
from tests.servers.golang import Build
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM_FROM_USER = "POINTSMAN_TEST_KUBE_APISERVER"
VERSION = "1.34.4"
BUILD = Build(
    "kube-apiserver",
    VERSION,
    "k8s.io/kubernetes/cmd/kube-apiserver",
    Path(__file__).with_name("kube_apiserver"),
    1950,
    ("-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion=v{VERSION}"),
)

TOKEN = "the-admin's"
DISCOVERY = "/apis/discovery.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@functools.cache
def program() -> Path:
    """Return the path of the program, which is built beforehand; UnavailableError when it is not there.

    The environment variable POINTSMAN_TEST_KUBE_APISERVER names another.
    """
    named = os.environ.get(PROGRAM_FROM_USER)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UnavailableError(f"{PROGRAM_FROM_USER}={named} is not a program")
        return Path(found)
    return BUILD.had()


class KubernetesServer:
    """An API server with its etcd. After `stop` or `kill`, `start` brings both back; after a `wipe`, without objects.

    The calls are made as an administrator, and block for a few milliseconds each.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.etcd = EtcdServer(folder)
        self.ca = trustme.CA()
        self.ca_file = folder / "ca.crt"
        self.ca.cert_pem.write_to_path(self.ca_file)
        certificate = self.ca.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(folder / "tls.key")
        certificate.cert_chain_pems[0].write_to_path(folder / "tls.crt")
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
        self._ssl = ssl.create_default_context(cafile=str(self.ca_file))
        self._connections: dict[int, http.client.HTTPSConnection] = {}  # by thread
        command = [
            str(program()), "--etcd-servers", self.etcd.address, "--bind-address", "127.0.0.1",
            "--advertise-address", "127.0.0.1", "--secure-port", str(self.port), "--cert-dir", str(folder),
            "--tls-cert-file", str(folder / "tls.crt"), "--tls-private-key-file", str(folder / "tls.key"),
            "--client-ca-file", str(self.ca_file), "--token-auth-file", str(folder / "tokens.csv"),
            "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
            "--service-account-issuer", "https://test", "--service-account-key-file", str(folder / "tls.key"),
            "--service-account-signing-key-file", str(folder / "tls.key"), "--endpoint-reconciler-type", "none",
            "--enable-priority-and-fairness=false", "--profiling=false", "--etcd-compaction-interval", "0",
        ]  # fmt: skip
        # A machine with two cores that does other things too may take a while; alone, it takes two seconds.
        self._process = ServerProcess(command, folder / "kube-apiserver.log", self._is_ready, deadline=90)
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw
        self.output = self._process.output

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.etcd.start()
        self._process.start()

    def stop(self) -> None:
        self._hang_up()
        self._process.stop(1.0)  # it would wait for connections that are kept
        self.etcd.stop()

    def kill(self) -> None:
        self._hang_up()
        self._process.kill()
        self.etcd.kill()

    def wipe(self) -> None:
        """Drop all objects, while it does not run."""
        self.etcd.wipe()

    def bring_back(self) -> None:
        """Let it run, whatever was done to it."""
        if self._process.is_running:
            self.thaw()
        else:
            self.kill()
            self.start()

    def restart_alone(self) -> None:
        """Start the API server anew, over the etcd that runs on: its cache of what happened is gone."""
        self._process.kill()
        self._process.start()

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Send one request, on a connection that is kept, and return the object of the answer."""
        status, answer = self._send(method, f"{path}?{urlencode(query)}", body)
        if status >= 300:
            raise AssertionError(f"{method} {path}: HTTP {status}: {answer.decode('utf-8', 'replace')}")
        return json.loads(answer)

    def put(self, path: str, name: str, body: Mapping[str, Any]) -> None:
        """Make an object, or replace it whole."""
        status, answer = self._send("PUT", f"{path}/{name}", body)
        if status == 404:
            self.call("POST", path, body)
        elif status >= 300:
            raise AssertionError(f"PUT {path}/{name}: HTTP {status}: {answer.decode('utf-8', 'replace')}")

    def put_slice(self, namespace: str, service: str, name: str, body: Mapping[str, Any]) -> None:
        """Make an EndpointSlice of a service, or replace it: `{"addressType": "IPv4", "endpoints": [...], ...}`."""
        metadata = _metadata(namespace, service, name)
        slices = f"{DISCOVERY}/namespaces/{namespace}/endpointslices"
        self.put(slices, name, {"metadata": metadata, **body})

    def plant_slice(self, namespace: str, service: str, name: str, body: Mapping[str, Any]) -> None:
        """Do the same behind the back of the API server, which lets nobody write addresses of 127.0.0.0/8.

        It tells of it as of any other: what it knows is what is in etcd.
        """
        metadata = {**_metadata(namespace, service, name), "uid": str(uuid.uuid4())}
        whole = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, **body}
        self.etcd.put(f"/registry/endpointslices/{namespace}/{name}", whole)

    def delete_slice(self, namespace: str, name: str) -> None:
        self.call("DELETE", f"{DISCOVERY}/namespaces/{namespace}/endpointslices/{name}")

    def add_namespace(self, name: str) -> None:
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def add_account(self, namespace: str, name: str) -> None:
        """Make a service account, which may do nothing yet."""
        self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})

    def token(self, namespace: str, account: str) -> str:
        """Return a new token of the account, as the kubelet asks for it on behalf of a pod."""
        request = {"spec": {"expirationSeconds": 3600}}
        answer = self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
        token: str = answer["status"]["token"]
        return token

    def let_read(self, namespace: str, account: str) -> None:
        """Grant the account what pointsman's documentation says that it needs."""
        rule = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
        self.put(f"{RBAC}/namespaces/{namespace}/roles", account, {"metadata": {"name": account}, "rules": [rule]})
        binding = {
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }
        self.put(f"{RBAC}/namespaces/{namespace}/rolebindings", account, binding)

    def kubeconfig(self, path: Path, user: Mapping[str, Any] | None = None, **cluster: Any) -> Path:
        """Write a kubeconfig for this server; the user is the administrator unless another one is given."""
        cluster = {"server": self.address, "certificate-authority": str(self.ca_file), **cluster}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": TOKEN} if user is None else dict(user)}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def _send(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        """Send one request on the thread's own connection, on a new one if the server has closed that meanwhile."""
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection = self._connections.pop(threading.get_ident(), None)
        for kept in (connection, None):
            connection = kept or http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._ssl)
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                answer = response.status, response.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                if kept is None:
                    raise
            else:
                self._connections[threading.get_ident()] = connection
                return answer
        raise AssertionError("unreachable")

    def _hang_up(self) -> None:
        while self._connections:
            self._connections.popitem()[1].close()

    def _is_ready(self) -> bool:
        """Ready when its own hooks have run, which make the roles and the namespace `default`."""
        try:
            return all(self._send("GET", path, None)[0] == 200 for path in ("/readyz", "/api/v1/namespaces/default"))
        except http.client.HTTPException:
            return False


def _metadata(namespace: str, service: str, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}}


if __name__ == "__main__":
    try:
        print(BUILD.make())
    except UnavailableError as error:
        sys.exit(str(error))
