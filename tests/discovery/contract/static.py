"""Instances written down, which never change: what is registered before the watch is all there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.instance import Instance
from discovery.static import StaticRegistry
from tests.discovery.contract.world import Servers, World

if TYPE_CHECKING:
    from pathlib import Path

    from discovery.registry import Registry


class StaticWorld(World):
    """It has no server."""

    kind = "static"
    servers = Servers("tmp_path")

    def __init__(self, server: Path) -> None:
        self._instances: list[Instance] = []

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        return StaticRegistry(self._instances), "web"

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        self._instances.append(Instance(name, address, port))
