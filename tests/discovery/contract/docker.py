"""A Docker Engine: a container an instance. What its labels say cannot be changed, so a change is another container.

There is no such world for a Swarm: nobody can choose the address of a task.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from discovery.docker import DockerRegistry
from discovery.engine.client import Engine
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from discovery.registry import Registry
    from tests.servers.docker import DockerEngine, Door


class DockerWorld(World):
    """Containers with a label of their own."""

    kind = "docker"
    servers = Servers("docker", "own_docker")
    can = frozenset({Can.DRAIN, Can.MALFORMED, Can.RELAY, Can.RESTART, Can.WIPE, Can.LOGIN})

    def __init__(self, server: DockerEngine) -> None:
        self._engine = server
        self._name = f"world-{uuid.uuid4().hex[:8]}"
        self._running: dict[str, tuple[str, int, bool]] = {}
        self._folder = tempfile.TemporaryDirectory()
        self._certificate, self._key = (Path(self._folder.name) / name for name in ("cert.pem", "key.pem"))
        self._stack = contextlib.ExitStack()
        self._opened: Door | None = None

    def close(self) -> None:
        self._stack.close()
        for name in list(self._running):
            self.remove(name)
        self._folder.cleanup()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        if relay is None:
            return DockerRegistry(Engine(self._engine.address)), self._name
        engine = self._engine
        return self._by_tls(f"https://{relay[0]}:{relay[1]}", engine.certificate, engine.key), self._name

    def discovery(self) -> dict[str, object]:
        return {"docker": {"service": self._name, "engine": self._engine.address}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._door.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        wanted = (address, port, draining)
        if self._running.get(name) == wanted and self._engine.runs(self._full(name)):
            return
        if self._running.get(name) != (address, port, False):
            self._engine.remove(self._full(name))
            labels = {"pointsman.service": self._name, "pointsman.port": str(port)}
            if address == "127.0.0.1":
                self._engine.run(self._full(name), labels, network="host")
            else:
                self._engine.run(self._full(name), labels, address=address)
        if draining:
            self._engine.act("kill", self._full(name), signal="TERM")  # which it does not heed
        self._running[name] = wanted

    def remove(self, name: str) -> None:
        self._running.pop(name, None)
        self._engine.remove(self._full(name))

    def put_malformed(self) -> None:
        self._running["malformed"] = ("", 0, False)
        labels = {"pointsman.service": self._name, "pointsman.port": "http"}
        self._engine.run(self._full("malformed"), labels, network="host")

    def stop(self) -> None:
        """End the engine; its containers go on."""
        self._engine.kill()

    def start(self) -> None:
        self._engine.start()

    def wipe(self) -> None:
        self._engine.close()
        self._running.clear()
        self._engine.open()

    def refused(self) -> tuple[Registry, str]:
        """By the certificate of a stranger."""
        stranger = trustme.CA().issue_cert("pointsman")
        stranger.cert_chain_pems[0].write_to_path(self._certificate)
        stranger.private_key_pem.write_to_path(self._key)
        return self._by_tls(f"https://127.0.0.1:{self._door.port}", self._certificate, self._key), self._name

    def allow(self) -> None:
        self._certificate.write_bytes(self._engine.certificate.read_bytes())
        self._key.write_bytes(self._engine.key.read_bytes())

    @property
    def _door(self) -> Door:
        if self._opened is None:
            self._opened = self._stack.enter_context(contextlib.closing(self._engine.door()))
        return self._opened

    def _by_tls(self, address: str, certificate: Path, key: Path) -> Registry:
        return DockerRegistry(Engine(address, self._engine.authority, certificate, key))

    def _full(self, name: str) -> str:
        return f"{self._name}-{name}"
