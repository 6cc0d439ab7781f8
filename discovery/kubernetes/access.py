"""Where the API server is and who we are: for a program in a pod, what Kubernetes lays there for it.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubernetesError(Exception):
    """The API server is away, refuses, or answers nonsense, or cannot be asked. The text says what to look at."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to ask an API server.

    `server` is its URL, which may have a path; `namespace` the one that is used unless another is asked for. The
    content of `token_file` is shown in place of `token`. `server_name` is the name in the server's certificate, where
    that is not the host of the URL; `ssl` also holds our own certificate, if we have one.
    """

    server: str
    namespace: str
    ssl: ssl.SSLContext
    server_name: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def bearer(self) -> str:
        """Return the token to show now; empty if there is none. Reads the file each time: Kubernetes renews it."""
        if self.token_file is None:
            return self.token
        return checked_token(read_text(self.token_file, "the token file").strip(), f"the token file {self.token_file}")


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access:
    """Return the access that a pod has: `environ` names the server, `folder` holds what the service account is given.

    Raises KubernetesError when this is no pod.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubernetesError("this is no pod of Kubernetes, for KUBERNETES_SERVICE_HOST is not set; give kubeconfig")
    access = Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=read_text(folder / "namespace", "the namespace file").strip() or "default",
        ssl=trusting(read_text(folder / "ca.crt", "the certificate file")),
        token_file=folder / "token",
    )
    access.bearer()  # what is missing is told before anybody is asked
    return access


def trusting(authorities: str | None, *, is_insecure: bool = False) -> ssl.SSLContext:
    """Return a context that trusts these authorities, in PEM, or the system's; raise KubernetesError for nonsense."""
    try:
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise KubernetesError(f"the certificate authority is no certificate in PEM: {error}") from error
    # On from Python 3.13, and met by few clusters: kubeadm's certificates do not name the key of their authority.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def read_text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise KubernetesError(f"{what} {path} cannot be read: {error}") from error


def checked_token(token: str, what: str) -> str:
    """Return a token that can stand in a header; raise KubernetesError, which does not show it, if it cannot."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise KubernetesError(f"{what} must hold one token, without spaces and special characters")
    return token
