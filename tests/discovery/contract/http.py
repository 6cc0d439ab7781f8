"""A JSON document at a URL."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discovery.http import HttpRegistry
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry
    from tests.servers.document import DocumentServer

INTERVAL = 0.1  # seconds between two looks
TOKEN = "a token"


class HttpWorld(World):
    """A document that is replaced whole."""

    kind = "http"
    servers = Servers("document_server", "document_server")
    can = frozenset(Can)

    def __init__(self, server: DocumentServer) -> None:
        self._documents = server
        self._entries: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory()
        self._token_file = Path(self._folder.name) / "token"

    def close(self) -> None:
        self._folder.cleanup()

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        host, port = relay or self.server
        return HttpRegistry(f"http://{host}:{port}/targets.json", interval=INTERVAL), "web"

    def discovery(self) -> dict[str, object]:
        return {"http": {"url": self._documents.url, "interval": f"{INTERVAL}s"}}

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._documents.port

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        entry = {"id": name, "address": f"{address}:{port}", "weight": weight, "draining": draining}
        self._entries[name] = entry
        self._show()

    def remove(self, name: str) -> None:
        del self._entries[name]
        self._show()

    def put_malformed(self) -> None:
        self._entries["malformed"] = {"id": "malformed", "address": "no port"}
        self._show()

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        for change in changes:
            if isinstance(change, str):
                self._entries.pop(change, None)
                self._show()
            else:
                self.put(*change)

    def stop(self) -> None:
        self._documents.stop()

    def start(self) -> None:
        self._documents.start()

    def wipe(self) -> None:
        self._documents.stop()
        self._entries.clear()
        self._show()
        time.sleep(3 * INTERVAL)  # so that it is found to be away, and not only to have forgotten
        self._documents.start()

    def refused(self) -> tuple[Registry, str]:
        self._documents.token = TOKEN
        self._token_file.write_text("another one")
        return HttpRegistry(self._documents.url, interval=INTERVAL, token_file=self._token_file), "web"

    def allow(self) -> None:
        self._token_file.write_text(TOKEN)

    def _show(self) -> None:
        self._documents.document = list(self._entries.values())
