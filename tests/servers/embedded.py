"""The embedded registry as a process of its own: `pointsman registry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port
from tests.servers.program import Program, is_well

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddedRegistry(Program):
    """One registry on a port of its own, its data in the folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [COMMAND, "registry", "--bind", f"127.0.0.1:{self.port}", "--data-dir", str(folder / "registry")]
        super().__init__(command, folder / "registry.log", is_well(self.port, "/v1/agent/self"))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"
