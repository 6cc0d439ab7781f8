"""Real instances of a service, in processes of their own; what they answer is told in tests.servers.instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.ports import free_ports
from tests.servers.program import Program, ask, is_well, python

if TYPE_CHECKING:
    from pathlib import Path


class Instances(Program):
    """One process with an instance for each name; those that are killed one by one need a process each."""

    module = "tests.servers.instance"  # which serves them

    def __init__(self, folder: Path, *names: str) -> None:
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        arguments = [f"{name}:{port}" for name, port in self.ports.items()]
        last = self.ports[names[-1]]
        super().__init__(python(self.module, *arguments), folder / f"{names[0]}.log", is_well(last, "/healthz"))

    @property
    def port(self) -> int:
        """The port of the only one."""
        (port,) = self.ports.values()
        return port

    def addresses(self) -> list[dict[str, object]]:
        """The instances as a configuration's `static` list."""
        return [{"id": name, "address": f"127.0.0.1:{port}"} for name, port in self.ports.items()]

    def asked(self, name: str) -> int:
        """How many requests have reached one of them, probes aside."""
        counts: dict[str, int] = ask(self.ports[name], "/asked").json
        return sum(counts.values()) - counts["most"]

    def most(self, name: str) -> int:
        """How many of them were under way at a time, at the most."""
        return int(ask(self.ports[name], "/asked").json["most"])

    def registration(self, service: str, name: str, weight: int = 1) -> dict[str, Any]:
        """What Consul is told of one of them."""
        return {
            "Name": service,
            "ID": name,
            "Address": "127.0.0.1",
            "Port": self.ports[name],
            "Weights": {"Passing": weight, "Warning": 1},
        }


class Site(Instances):
    """Instances that all serve the same site: see tests.servers.site."""

    module = "tests.servers.site"
