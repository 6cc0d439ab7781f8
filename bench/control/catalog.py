"""What is in Consul: a few instances that come and go one by one, or thousands, some of which change all the time.

Each has a check that passes, as in practice, and as Traefik's watch needs: it follows Consul's list of services and
their tags, and its list of checks, neither of which is another one for an instance without a check.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.control.wire import Wire, request
from tests.servers.consul import ConsulAgent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = "bench"  # not the agent's own: an agent takes out what is said of its own node and it has not been told
_AT_ONCE = 64  # operations that Consul takes in one transaction


@contextmanager
def consul(folder: Path) -> Iterator[ConsulAgent]:
    """Run an agent while the block lasts."""
    agent = ConsulAgent(folder)
    agent.start()
    try:
        yield agent
    finally:
        agent.kill()  # it has nothing to keep, and stopping takes seconds


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where instances listen: a port of several addresses of this machine's own network.

    Not several ports of one address: Consul's DNS then tells them apart by the port alone, and HAProxy 2.6 does not.
    """

    port: int
    count: int

    def __getitem__(self, number: int) -> str:
        assert 0 <= number < self.count
        return f"127.0.1.{number + 1}"

    @property
    def all(self) -> list[str]:
        return [self[number] for number in range(self.count)]


class Registrations:
    """Registers instances of one service with the agent; the answer is left on the wire, for `done` to read."""

    def __init__(self, wire: Wire, service: str, port: int) -> None:
        self._wire = wire
        self._service = service
        self._port = port

    def register(self, address: str) -> None:
        """Send the registration of the instance at this address."""
        check = {"TTL": "2h", "Status": "passing"}
        definition = {"Name": self._service, "ID": address, "Address": address, "Port": self._port, "Check": check}
        self._wire.send(request("/v1/agent/service/register", method="PUT"), json.dumps(definition).encode())

    def deregister(self, address: str) -> None:
        """Send the end of a registration."""
        self._wire.send(request(f"/v1/agent/service/deregister/{address}", method="PUT"))

    def done(self) -> None:
        """Read the answer. Raises AssertionError when Consul refused."""
        answer = self._wire.receive()
        assert answer.status == 200, f"Consul answered {answer.status}: {answer.body!r}"


class Crowd:
    """Many services with as many instances each, at addresses that all of them share."""

    def __init__(self, services: int, instances: int, addresses: Addresses) -> None:
        """One address more than a service has instances, so that one can move."""
        assert addresses.count > instances
        self.services = [f"svc-{number}" for number in range(services)]
        self._instances = instances
        self._addresses = addresses
        self._made = 0  # instances that moved so far
        self._at = {name: list(range(instances)) for name in self.services}  # the address of each instance
        self._free = dict.fromkeys(self.services, instances)

    def enter(self, agent: ConsulAgent) -> None:
        """Register all of them."""
        agent.call("PUT", "/v1/catalog/register", {"Node": NODE, "Address": "127.0.0.1"})
        every = [
            operation
            for name in self.services
            for place in range(self._instances)
            for operation in self._operations(name, place)
        ]
        for begin in range(0, len(every), _AT_ONCE):
            agent.call("PUT", "/v1/txn", every[begin : begin + _AT_ONCE])

    def changes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield paths and bodies of changes without end: an instance leaves, then it is back at another address."""
        while True:
            # Steps that are prime to the number of services lead to each of them.
            name = self.services[self._made * 7919 % len(self.services)]
            place = self._made // len(self.services) % self._instances
            self._made += 1
            yield "/v1/catalog/deregister", {"Node": NODE, "ServiceID": f"{name}-{place}"}
            at = self._at[name]
            at[place], self._free[name] = self._free[name], at[place]
            moved = {"Service": self._service(name, place), "Check": self._check(name, place)}
            yield "/v1/catalog/register", {"Node": NODE, "Address": "127.0.0.1", **moved}

    def _operations(self, name: str, place: int) -> list[dict[str, Any]]:
        return [
            {"Service": {"Verb": "set", "Node": NODE, "Service": self._service(name, place)}},
            {"Check": {"Verb": "set", "Check": self._check(name, place)}},
        ]

    def _service(self, name: str, place: int) -> dict[str, Any]:
        address = self._addresses[self._at[name][place]]
        return {"ID": f"{name}-{place}", "Service": name, "Address": address, "Port": self._addresses.port}

    def _check(self, name: str, place: int) -> dict[str, Any]:
        identity = f"{name}-{place}"
        return {"Node": NODE, "CheckID": identity, "Name": "alive", "Status": "passing", "ServiceID": identity}


def make_changes(wire: Wire, changes: Iterator[tuple[str, dict[str, Any]]], rate: float, seconds: float) -> int:
    """Make changes at this rate, and return how many were made in this time; fewer where Consul does not keep up."""
    begun = time.monotonic()
    for number, (path, body) in enumerate(changes):
        due, passed = number / rate, time.monotonic() - begun
        if max(due, passed) >= seconds:
            return number
        if due > passed:
            time.sleep(due - passed)
        answer = wire.ask(request(path, method="PUT"), json.dumps(body).encode())
        assert answer.status == 200, f"Consul answered {answer.status}: {answer.body!r}"
    raise AssertionError("there are always more changes")
