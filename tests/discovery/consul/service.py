"""A service in a Consul agent, for the tests that watch one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from discovery.consul import ConsulRegistry
from tests.discovery.watching import watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.instance import Snapshot
    from tests.servers.consul import ConsulAgent

WAIT = 2.0  # seconds


class Service:
    """A service of its own name in a Consul agent."""

    def __init__(self, agent: ConsulAgent) -> None:
        self.agent = agent
        self.name = f"web-{uuid.uuid4().hex[:8]}"
        self.registered: set[str] = set()

    def register(self, number: int, **definition: Any) -> None:
        fields = {"Name": self.name, "ID": self.id(number), "Address": f"10.0.0.{number}", "Port": 80, **definition}
        self.agent.register(fields)
        self.registered.add(self.id(number))

    def deregister(self, number: int) -> None:
        self.agent.deregister(self.id(number))
        self.registered.discard(self.id(number))

    def id(self, number: int) -> str:
        return f"{self.name}-{number}"

    def watch(self, **options: Any) -> Any:
        return watching(ConsulRegistry(self.agent.address, wait=WAIT, **options), self.name)


def of(*numbers: int) -> Callable[[Snapshot], bool]:
    """Make the condition that a snapshot holds these instances and no others."""
    hosts = {f"10.0.0.{number}" for number in numbers}
    return lambda snapshot: {instance.address for instance in snapshot.instances} == hosts
