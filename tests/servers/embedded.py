"""Our own registry in a process of its own: `pointsman registry`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.servers.consul import ConsulApi
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class EmbeddedRegistry(ConsulApi):
    """One on a port of its own. After `kill` or `stop`, `start` brings it back; after a `wipe`, without its data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / "registry"
        command = [COMMAND, "registry", "--bind", f"127.0.0.1:{self.port}", "--data-dir", str(self._data)]
        self._process = ServerProcess(command, folder / "registry.log", self._is_ready)
        self.start = self._process.start
        self.stop = self._process.stop
        self.kill = self._process.kill

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def wipe(self) -> None:
        """Drop its data, while it does not run."""
        shutil.rmtree(self._data)

    def _is_ready(self) -> bool:
        return self.services() is not None
