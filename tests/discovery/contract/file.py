"""A file of instances, which is replaced whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from discovery.file import FileRegistry
from tests.discovery.contract.consul import groups
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from discovery.registry import Registry

BATCH = 20  # changes that are written at once


class FileWorld(World):
    """It has no server: the folder is one."""

    kind = "file"
    servers = Servers("tmp_path")
    can = frozenset({Can.WEIGH, Can.DRAIN, Can.MALFORMED, Can.THOUSANDS})

    def __init__(self, server: Path) -> None:
        self._file = server / "instances.json"
        self._entries: dict[str, Any] = {}
        self._write()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        return FileRegistry(self._file), "web"

    def discovery(self) -> dict[str, object]:
        return {"file": str(self._file)}

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        entry = {"id": name, "address": f"{address}:{port}", "weight": weight, "draining": draining}
        self._entries[name] = entry
        self._write()

    def remove(self, name: str) -> None:
        del self._entries[name]
        self._write()

    def put_malformed(self) -> None:
        self._entries["malformed"] = {"id": "malformed", "address": "no port"}
        self._write()

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        for some in groups(changes, BATCH):
            for change in some:
                if isinstance(change, str):
                    del self._entries[change]
                else:
                    self._entries[change[0]] = {"id": change[0], "address": f"{change[1]}:{change[2]}"}
            self._write()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(list(self._entries.values())))
        new.rename(self._file)
