"""What a pod finds, what a kubeconfig says, and what is wrong with it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from discovery.kubernetes import plugin
from discovery.kubernetes.access import KubernetesError, in_cluster
from discovery.kubernetes.kubeconfig import read_kubeconfig

HIDDEN = "hidden-one"
EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """What lies in a pod for its service account."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "token").write_text(f"{HIDDEN}\n")
    (tmp_path / "namespace").write_text("shop")
    return tmp_path


def kubeconfig(folder: Path, user: Any = None, cluster: Any = None, context: Any = None, **whole: Any) -> Path:
    config = {
        "current-context": "a",
        "contexts": [
            {"name": "a", "context": {"cluster": "k", "user": "u", **(context or {})}},
            {"name": "b", "context": {"cluster": "other", "namespace": "far"}},
        ],
        "clusters": [
            {"name": "k", "cluster": {"server": "https://k:6443/", **(cluster or {})}},
            {"name": "other", "cluster": {"server": "https://other/k8s/clusters/c-1"}},
        ],
        "users": [{"name": "u", "user": user or {}}],
        **whole,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pod_finds_its_api_server(pod: Path, host: str, server: str):
    access = in_cluster({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}, pod)
    assert (access.server, access.namespace, access.bearer()) == (server, "shop", HIDDEN)
    assert access.ssl.verify_mode is ssl.CERT_REQUIRED
    assert HIDDEN not in repr(access)
    (pod / "token").write_text("renewed")
    assert access.bearer() == "renewed"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("token", None, "the token file .*token cannot be read"),
        ("token", "", "must hold one token"),
        ("token", "a b", "must hold one token"),
        ("token", "a\r\nX-Evil: 1", "must hold one token"),
        ("namespace", None, "the namespace file .* cannot be read"),
        ("ca.crt", None, "the certificate file .* cannot be read"),
        ("ca.crt", "nonsense", "the certificate authority is no certificate in PEM"),
    ],
)
def test_a_pod_that_lacks_something(pod: Path, name: str, content: str | None, said: str):
    if content is None:
        (pod / name).unlink()
    else:
        (pod / name).write_text(content)
    with pytest.raises(KubernetesError, match=said):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, pod)


def test_what_is_no_pod(tmp_path: Path):
    with pytest.raises(KubernetesError, match=r"this is no pod of Kubernetes, .*; give kubeconfig"):
        in_cluster({}, tmp_path)


async def test_the_contexts_of_a_kubeconfig(tmp_path: Path):
    path = kubeconfig(tmp_path, {"token": HIDDEN}, context={"namespace": "shop"})
    access = await read_kubeconfig(path)
    assert (access.server, access.namespace, access.bearer()) == ("https://k:6443", "shop", HIDDEN)
    other = await read_kubeconfig(path, "b")
    assert (other.server, other.namespace, other.bearer()) == ("https://other/k8s/clusters/c-1", "far", "")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"current-context": ""}, "it names no current-context; set the key context"),
        ({"current-context": "c"}, "it has no context 'c'"),
        ({"contexts": None}, "it has no context 'a'"),
        ({"clusters": [5]}, "it has no cluster 'k'"),
        ({"users": []}, "it has no user 'u'"),
        ({"cluster": {"server": "k:6443"}}, "server must be the URL of an API server"),
        ({"cluster": {"server": "https://me:pw@k"}}, "server must be the URL of an API server"),
        ({"cluster": {"server": 5}}, "server must be a text"),
        ({"cluster": {"proxy-url": "http://proxy"}}, "the context 'a' has proxy-url, which we do not support"),
        (
            {"cluster": {"certificate-authority": "ca.pem"}},
            "the file of certificate-authority, .*ca.pem cannot",
        ),
        ({"cluster": {"certificate-authority-data": "%"}}, "certificate-authority-data must be base64"),
        ({"cluster": {"certificate-authority-data": "YQ=="}}, "the certificate authority is no certificate in PEM"),
        ({"user": {"client-certificate-data": "YQ=="}}, "client-certificate and client-key come together"),
        ({"user": {"client-certificate-data": "YQ==", "client-key-data": "YQ=="}}, "its key cannot be used"),
        (
            {"user": {"username": "me", "password": HIDDEN}},
            "'a' has username and password, which we",
        ),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "the context 'a' has auth-provider, which"),
        ({"user": {"as": "root"}}, "the context 'a' has as, which"),
        ({"user": {"token": f"{HIDDEN}\nx"}}, "token must hold one token"),
        ({"user": {"token": 5}}, "token must be a text"),
        ({"user": {"exec": "aws"}}, "exec must name a command"),
        ({"user": {"exec": {"command": "sh"}}}, "exec must have an apiVersion of client.authentication.k8s.io/v1 or"),
        ({"user": {"exec": {**EXEC, "interactiveMode": "Always"}}}, "there is nobody to be asked"),
        ({"user": {"exec": {**EXEC, "args": "x"}}}, "exec.args must be a list of texts"),
        ({"user": {"exec": {**EXEC, "env": ["x"]}}}, "exec.env must be a list of names and values"),
        ({"user": {"exec": {**EXEC, "command": "no-such", "installHint": "Get it."}}}, "cannot be run: .*; Get it."),
        ({"user": {"exec": {**EXEC, "command": "./no-such"}}}, "exec: .*/no-such cannot be run"),
        ({"user": {"exec": {**EXEC, "args": ["-c", "echo a >&2; echo b >&2; exit 1"]}}}, "exec: sh failed: b"),
        ({"user": {"exec": {**EXEC, "args": ["-c", "exit 1"]}}}, "exec: sh failed: it says nothing"),
        ({"user": {"exec": {**EXEC, "args": ["-c", f"echo {HIDDEN}"]}}}, "exec: sh: what it prints is no JSON"),
        ({"user": {"exec": {**EXEC, "args": ["-c", "echo '{}'"]}}}, "is no ExecCredential with a status"),
        (
            {"user": {"exec": {**EXEC, "args": ["-c", 'echo \'{"kind": "ExecCredential", "status": {}}\'']}}},
            "it gives neither a token nor a certificate",
        ),
    ],
)
async def test_a_kubeconfig_that_makes_no_sense(tmp_path: Path, parts: dict[str, Any], said: str):
    path = kubeconfig(tmp_path, **parts)
    with pytest.raises(KubernetesError, match=said) as caught:
        await read_kubeconfig(path)
    assert str(caught.value).startswith(f"kubeconfig {path}: ")
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("[", "it is no YAML"), ("[]", "it must hold a mapping, not a list")],
)
async def test_what_is_no_kubeconfig(tmp_path: Path, content: str | None, said: str):
    if content is not None:
        (tmp_path / "config").write_text(content)
    with pytest.raises(KubernetesError, match=said):
        await read_kubeconfig(tmp_path / "config")


async def test_a_plugin_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plugin, "DEADLINE", 0.2)
    mark = tmp_path / "pid"
    wanted = {**EXEC, "args": ["-c", f"echo $$ > {mark}; exec sleep 60"]}
    with pytest.raises(KubernetesError, match=r"exec: sh did not end within 0\.2 s"):
        await read_kubeconfig(kubeconfig(tmp_path, {"exec": wanted}))
    assert not (Path("/proc") / mark.read_text().strip()).exists()


async def test_a_plugin_is_killed_when_nobody_waits_for_it_any_more(tmp_path: Path):
    mark = tmp_path / "pid"
    wanted = {**EXEC, "args": ["-c", f"echo $$ > {mark}; exec sleep 60"]}
    task = asyncio.create_task(read_kubeconfig(kubeconfig(tmp_path, {"exec": wanted})))
    async with asyncio.timeout(15):
        while not mark.exists() or not mark.read_text():  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not (Path("/proc") / mark.read_text().strip()).exists()
