"""Credentials that a program gives: the `exec` of a kubeconfig's user, as the clouds' command lines are asked for them.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.instance import first_line
from discovery.kubernetes.access import KubernetesError, checked_token

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 15.0  # seconds; they ask a cloud over the network
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, or a certificate with its key, in PEM."""

    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)


async def ask(wanted: Any, folder: Path) -> Credential:
    """Run the program, and return what it prints; raise KubernetesError, with its last words, when that is nothing.

    A command that is written as a relative path starts at `folder`. It is killed when it takes longer than DEADLINE.
    """
    command, environment = _command(wanted, folder)
    shown = first_line(command[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except (OSError, ValueError) as error:
        hint = first_line(wanted.get("installHint"))
        raise KubernetesError(f"exec: {shown} cannot be run: {error}{f'; {hint}' if hint else ''}") from error
    try:
        async with asyncio.timeout(DEADLINE):
            printed, complaint = await process.communicate()
    except TimeoutError as error:
        raise KubernetesError(f"exec: {shown} did not end within {DEADLINE:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = complaint.decode("utf-8", "replace").strip().splitlines()
        raise KubernetesError(f"exec: {shown} failed: {first_line(said[-1]) if said else 'it says nothing'}")
    try:
        return _read(printed)
    except KubernetesError as error:
        raise KubernetesError(f"exec: {shown}: {error}") from None


def _command(wanted: Any, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and its environment."""
    if not isinstance(wanted, dict) or not isinstance(wanted.get("command"), str) or not wanted["command"]:
        raise KubernetesError("exec must name a command")
    version, arguments, variables = wanted.get("apiVersion"), wanted.get("args") or [], wanted.get("env") or []
    if version not in VERSIONS:
        raise KubernetesError(f"exec must have an apiVersion of {' or '.join(VERSIONS)}, not {show(version)}")
    if wanted.get("interactiveMode") == "Always":
        raise KubernetesError("exec has interactiveMode Always, and there is nobody to be asked")
    if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
        raise KubernetesError("exec.args must be a list of texts")
    if not isinstance(variables, list) or not all(isinstance(one, dict) for one in variables):
        raise KubernetesError("exec.env must be a list of names and values")
    program = wanted["command"]
    if "/" in program:
        program = str(folder / program)
    request = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {str(one.get("name")): str(one.get("value")) for one in variables}
    return [program, *arguments], {**os.environ, **environment, "KUBERNETES_EXEC_INFO": json.dumps(request)}


def _read(printed: bytes) -> Credential:
    """Read an ExecCredential; what it holds is never shown."""
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        raise KubernetesError("what it prints is no JSON") from None
    status = answer.get("status") if isinstance(answer, dict) and answer.get("kind") == "ExecCredential" else None
    if not isinstance(status, dict):
        raise KubernetesError("what it prints is no ExecCredential with a status")
    texts = [status.get(key) or "" for key in ("token", "clientCertificateData", "clientKeyData")]
    if not all(isinstance(text, str) for text in texts) or not any(texts):
        raise KubernetesError("it gives neither a token nor a certificate")
    token, certificate, key = texts
    return Credential(checked_token(token, "the token") if token else "", certificate, key)
