"""Who we are to a real API server: service accounts, certificates, plugins; and what is refused to us."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from discovery.kubernetes import KubernetesRegistry
from discovery.registry import RegistryError
from tests.discovery.kubernetes.service import Service
from tests.discovery.watching import first, has, until, watching
from tests.servers.kubernetes import TOKEN
from tests.servers.program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesServer


@pytest.fixture
def service(kubernetes: KubernetesServer, tmp_path: Path) -> Service:
    service = Service(kubernetes, tmp_path)
    service.put("10.0.0.1")
    return service


async def may_read(registry: KubernetesRegistry) -> bool:
    """Tell whether the API server, which watches the roles itself, lets the registry's account read by now."""
    async with watching(registry) as watch:
        try:
            return bool((await first(watch)).instances)
        except RegistryError:
            return False


async def test_a_pod_whose_service_account_may_not_read_until_it_may(service: Service):
    service.server.add_account(service.namespace, "reader")
    registry = service.pod("reader")
    async with watching(registry) as watch:
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert 'HTTP 403: endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:' in str(caught.value)
    assert str(caught.value).endswith(
        "; a Role must grant the verbs list and watch on endpointslices of the group discovery.k8s.io"
    )
    service.server.let_read(service.namespace, "reader")
    while not await may_read(registry):
        pass
    async with watching(registry) as watch:
        await first(watch)
        service.put("10.0.0.1", "10.0.0.2")
        await until(watch, has("10.0.0.1:80", "10.0.0.2:80"))


async def test_the_manifest_of_the_documentation_grants_what_is_needed(service: Service):
    server = service.server
    page = (ROOT / "docs/registries/kubernetes.md").read_text()
    (manifest,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: List" in block)
    for item in yaml.safe_load(manifest.replace("namespace: shop", f"namespace: {service.namespace}"))["items"]:
        group = item["apiVersion"] if "/" in item["apiVersion"] else ""
        root = f"/apis/{group}" if group else "/api/v1"
        server.call("POST", f"{root}/namespaces/{service.namespace}/{item['kind'].lower()}s", item)
    registry = service.pod("pointsman")
    while not await may_read(registry):
        pass
    async with watching(registry) as watch:
        assert has("10.0.0.1:80")(await first(watch))
        service.put("10.0.0.2")
        await until(watch, has("10.0.0.2:80"))


async def test_a_token_that_is_wrong_is_an_error_until_its_file_holds_the_right_one(service: Service):
    service.server.add_account(service.namespace, "reader")
    service.server.let_read(service.namespace, "reader")
    service.token_file.write_text("wrong")
    registry = service.pod("reader")
    async with watching(registry) as watch:
        with pytest.raises(RegistryError, match=r"HTTP 401: Unauthorized; .* neither our token nor our certificate"):
            await first(watch)
    service.token_file.write_text(service.server.token(service.namespace, "reader") + "\n")
    async with watching(registry) as watch:
        assert has("10.0.0.1:80")(await first(watch))


async def test_the_token_is_read_whenever_a_watch_goes_on(service: Service):
    service.server.add_account(service.namespace, "reader")
    service.server.let_read(service.namespace, "reader")
    async with watching(service.pod("reader", watch=1)) as watch:
        await first(watch)
        service.token_file.write_text("wrong")
        with pytest.raises(RegistryError, match="HTTP 401"):
            await until(watch, has("never"))


async def test_a_server_that_is_vouched_for_by_nobody(service: Service, tmp_path: Path):
    kubeconfig = service.server.kubeconfig(tmp_path / "other", **{"certificate-authority": None})
    async with watching(KubernetesRegistry(kubeconfig=kubeconfig)) as watch:
        with pytest.raises(RegistryError, match="certificate verify failed"):
            await first(watch)


@pytest.mark.parametrize("kind", ["files", "data", "insecure", "name", "token file", "plugin", "plugin's certificate"])
async def test_what_a_kubeconfig_may_say(service: Service, tmp_path: Path, kind: str):
    issued = service.server.ca.issue_cert("someone.test", common_name="someone", organization_name="system:masters")
    certificate, key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    (tmp_path / "client.crt").write_bytes(certificate)
    (tmp_path / "client.key").write_bytes(key)
    (tmp_path / "admin-token").write_text(TOKEN)
    status = {"token": TOKEN}
    if kind == "plugin's certificate":
        status = {"clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", 'test -n "$KUBERNETES_EXEC_INFO" && cat "$ANSWER"'],
        "env": [{"name": "ANSWER", "value": str(tmp_path / "answer.json")}],
        "interactiveMode": "Never",
    }
    by_files = {"client-certificate": "client.crt", "client-key": "client.key"}
    by_data = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "files": (by_files, {}),
        "data": (
            by_data,
            {
                "certificate-authority": None,
                "certificate-authority-data": base64.b64encode(service.server.ca.cert_pem.bytes()).decode(),
            },
        ),
        "insecure": ({"token": TOKEN}, {"certificate-authority": None, "insecure-skip-tls-verify": True}),
        "name": ({"token": TOKEN}, {"tls-server-name": "localhost"}),
        "token file": ({"tokenFile": "admin-token"}, {}),
        "plugin": ({"exec": plugin}, {}),
        "plugin's certificate": ({"exec": plugin}, {}),
    }
    user, cluster = kinds[kind]
    kubeconfig = service.server.kubeconfig(tmp_path / "kubeconfig", user, **cluster)
    async with watching(KubernetesRegistry(kubeconfig=kubeconfig, namespace=service.namespace)) as watch:
        assert has("10.0.0.1:80")(await first(watch))


async def test_the_zone_of_our_node(service: Service):
    server = service.server
    labels = {"topology.kubernetes.io/zone": "eu-1b"}
    node = f"node-{service.namespace}"
    server.call("POST", "/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
    server.add_account(service.namespace, "reader")
    server.let_read(service.namespace, "reader")
    for_zone = {"hints": {"forZones": [{"name": "eu-1a"}]}}, {"hints": {"forZones": [{"name": "eu-1b"}]}}
    service.put(*({"addresses": [f"10.0.0.{number}"], **hint} for number, hint in enumerate(for_zone, 1)))
    pod = service.pod("reader", zone="auto", environ={"NODE_NAME": node})
    async with watching(pod) as watch:
        with pytest.raises(RegistryError, match="; a ClusterRole must grant the verb get on nodes, or zone be named"):
            await first(watch)
    service.server.kubeconfig(service.folder / "kubeconfig")
    async with service.watch(zone="auto", environ={"NODE_NAME": node}) as watch:
        snapshot = await first(watch)
    assert [(one.address, one.priority) for one in snapshot.instances] == [("10.0.0.1", 1), ("10.0.0.2", 0)]
    async with service.watch(zone="auto", environ={}) as watch:
        with pytest.raises(RegistryError, match="NODE_NAME does not name our node"):
            await first(watch)
    server.call("POST", "/api/v1/nodes", {"metadata": {"name": f"{node}-2"}})
    async with service.watch(zone="auto", environ={"NODE_NAME": f"{node}-2"}) as watch:
        with pytest.raises(RegistryError, match=r"has no label topology\.kubernetes\.io/zone; name the zone"):
            await first(watch)
    async with service.watch(zone="auto", environ={"NODE_NAME": "nobody"}) as watch:
        with pytest.raises(RegistryError, match='HTTP 404: nodes "nobody" not found'):
            await first(watch)
