"""Where the API server is and who we are: what a context of a kubeconfig file says.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from config.units import show
from discovery.instance import first_line
from discovery.kubernetes import plugin
from discovery.kubernetes.access import Access, KubernetesError, checked_token, read_text, trusting

if TYPE_CHECKING:
    from collections.abc import Mapping

# What we cannot do; passed over in silence, we would ask as somebody else, or not by the way that was meant.
UNSUPPORTED_CLUSTER = ("proxy-url",)
UNSUPPORTED_USER = ("username", "password", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra")


async def read_kubeconfig(path: Path, context: str = "") -> Access:
    """Return the access that a context gives, by default the current one; raise KubernetesError, which names the file.

    A program that the user's `exec` names is run for the credentials.
    """
    try:
        found = await asyncio.to_thread(_Context, path, context)
        given = await plugin.ask(found.plugin, path.parent) if found.plugin else plugin.Credential()
        return await asyncio.to_thread(found.access, given)
    except KubernetesError as error:
        raise KubernetesError(f"kubeconfig {path}: {error}") from error


class _Context:
    """One context of the file, with its cluster and its user."""

    def __init__(self, path: Path, wanted: str) -> None:
        self._folder = path.parent  # relative paths start there
        try:
            whole = yaml.safe_load(read_text(path, "the file"))
        except (yaml.YAMLError, RecursionError) as error:
            raise KubernetesError(f"it is no YAML: {' '.join(str(error).split())[:200]}") from error
        if not isinstance(whole, dict):
            raise KubernetesError(f"it must hold a mapping, not {show(whole)}")
        name = wanted or _text(whole, "current-context")
        if not name:
            raise KubernetesError("it names no current-context; set the key context")
        context = _named(whole, "contexts", "context", name)
        self._namespace = _text(context, "namespace") or "default"
        self._cluster = _named(whole, "clusters", "cluster", _text(context, "cluster"))
        user = _text(context, "user")
        self._user = _named(whole, "users", "user", user) if user else {}
        for holder, unsupported in ((self._cluster, UNSUPPORTED_CLUSTER), (self._user, UNSUPPORTED_USER)):
            if strange := [key for key in unsupported if holder.get(key)]:
                raise KubernetesError(f"the context {show(name)} has {' and '.join(strange)}, which we do not support")
        self.plugin = self._user.get("exec")

    def access(self, given: plugin.Credential) -> Access:
        """Return the access, with what a plugin gave in place of what the file has."""
        server = _text(self._cluster, "server")
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise KubernetesError("server must be the URL of an API server such as https://10.0.0.1:6443")
        is_insecure = self._cluster.get("insecure-skip-tls-verify") is True
        context = trusting(self._data(self._cluster, "certificate-authority"), is_insecure=is_insecure)
        certificate = given.certificate or self._data(self._user, "client-certificate")
        key = given.key or self._data(self._user, "client-key")
        if certificate and key:
            _show_certificate(context, certificate, key)
        elif certificate or key:
            raise KubernetesError("client-certificate and client-key come together, and one is missing")
        token = given.token or _text(self._user, "token")
        token_file = _text(self._user, "tokenFile") if not given.token else ""
        return Access(
            server=server.rstrip("/"),
            namespace=self._namespace,
            ssl=context,
            server_name=_text(self._cluster, "tls-server-name"),
            token=checked_token(token, "token") if token else "",
            token_file=self._folder / token_file if token_file else None,  # which goes before the token, as in kubectl
        )

    def _data(self, holder: Mapping[str, Any], key: str) -> str | None:
        """Return what stands in the file itself, in base64 under the name with `-data`, or else in the file named."""
        if encoded := _text(holder, f"{key}-data"):
            try:
                return base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, ValueError):
                raise KubernetesError(f"{key}-data must be base64 of a text in PEM") from None
        path = _text(holder, key)
        return read_text(self._folder / path, f"the file of {key},") if path else None


def _show_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have the context show our certificate. Python takes it from a file only."""
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:  # which nobody else may enter
        path = Path(folder) / "client.pem"
        path.write_text(f"{certificate}\n{key}\n")
        try:
            context.load_cert_chain(path, password="")
        except (ssl.SSLError, ValueError, OSError) as error:
            raise KubernetesError(f"the client certificate and its key cannot be used: {error}") from error


def _named(whole: Mapping[str, Any], plural: str, singular: str, name: str) -> dict[str, Any]:
    """Return the entry of one of the file's three lists; the first one with the name counts."""
    entries = whole.get(plural)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(singular)
            if isinstance(found, dict):
                return found
            if found is None:
                return {}
    raise KubernetesError(f"it has no {singular} {show(name)}")


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise KubernetesError(f"{first_line(key)} must be a text")  # which is not shown: it may be a secret
    return value
