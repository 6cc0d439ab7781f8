"""The DNS: an SRV record an instance, and an address of its own for the target of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from discovery.dns import DnsRegistry
from tests.discovery.contract.consul import groups
from tests.discovery.contract.world import Can, Servers, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry
    from tests.servers.unbound import Unbound

TTL = 0.1  # seconds between two looks
BATCH = 100  # changes that are seen as one: the zone is loaded whole


class DnsWorld(World):
    """A zone. It is asked by UDP, which no relay of ours passes on, and asks nobody for credentials."""

    kind = "dns"
    servers = Servers("name_server", "name_server")
    can = frozenset({Can.WEIGH, Can.MALFORMED, Can.RESTART, Can.WIPE, Can.THOUSANDS})

    def __init__(self, server: Unbound) -> None:
        self._name_server = server
        self._addresses: dict[str, str] = {}
        self._targets: dict[str, str] = {}

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        servers = [self._name_server.address]
        return DnsRegistry("web.lan", type="srv", servers=servers, ttl_min=TTL, ttl_max=TTL), "web"

    def discovery(self) -> dict[str, object]:
        servers = [str(self._name_server.address)]
        ttl = f"{TTL}s"
        return {"dns": {"name": "web.lan", "type": "srv", "servers": servers, "ttl_min": ttl, "ttl_max": ttl}}

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        self._set(name, address, port, weight)
        self._serve()

    def remove(self, name: str) -> None:
        del self._targets[name]
        self._serve()

    def put_malformed(self) -> None:
        """Name a target that has no address."""
        self._targets["malformed"] = "web SRV 1 1 80 nowhere"
        self._serve()

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        for some in groups(changes, BATCH):
            for change in some:
                if isinstance(change, str):
                    del self._targets[change]
                else:
                    self._set(*change)
            self._serve()

    def stop(self) -> None:
        self._name_server.stop()

    def start(self) -> None:
        self._name_server.start()

    def wipe(self) -> None:
        self._name_server.stop()
        self._addresses.clear()
        self._targets.clear()
        self._name_server.prepare([])
        time.sleep(3 * TTL)  # so that it is found to be away, and not only to have forgotten
        self._name_server.start()

    def _serve(self) -> None:
        self._name_server.serve([*self._addresses.values(), *self._targets.values()])

    def _set(self, name: str, address: str, port: int, weight: int = 1) -> None:
        self._addresses[name] = f"{name} A {address}"  # it stays: a target may be looked up after it went
        self._targets[name] = f"web SRV 1 {weight} {port} {name}"
