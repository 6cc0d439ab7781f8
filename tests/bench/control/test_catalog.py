from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING

import pytest

from bench.control.catalog import Addresses, Crowd, Registrations, make_changes
from bench.control.wire import Answer, Wire, request

if TYPE_CHECKING:
    from tests.servers.consul import ConsulAgent


class FakeWire(Wire):
    """Answers at once, and remembers what it was asked."""

    def __init__(self, status: int = 200):
        super().__init__(0)
        self.asked: list[tuple[bytes, object]] = []
        self._status = status

    def ask(self, head: bytes, body: bytes = b"") -> Answer:
        self.asked.append((head.split()[1], json.loads(body)))
        return Answer(self._status, b"true")


def test_a_service_has_one_address_to_spare():
    with pytest.raises(AssertionError):
        Crowd(3, 4, Addresses(80, 4))


def test_instances_leave_and_are_back_at_another_address():
    crowd = Crowd(3, 2, Addresses(80, 3))
    some = list(itertools.islice(crowd.changes(), 24))
    assert [path for path, _ in some] == ["/v1/catalog/deregister", "/v1/catalog/register"] * 12
    for (_, gone), (_, back) in zip(some[::2], some[1::2], strict=True):
        assert gone["ServiceID"] == back["Service"]["ID"] == back["Check"]["ServiceID"]
    backs = [body["Service"] for path, body in some if path.endswith("/register")]
    assert {one["Service"] for one in backs[:3]} == {"svc-0", "svc-1", "svc-2"}
    seen: dict[str, str] = {}
    for one in backs:
        assert seen.get(one["ID"]) != one["Address"]
        seen[one["ID"]] = one["Address"]


def test_changes_are_made_at_the_rate_asked_for():
    wire = FakeWire()
    crowd = Crowd(5, 2, Addresses(80, 3))
    begun = time.monotonic()
    made = make_changes(wire, crowd.changes(), 100, 0.2)
    assert 0 < made <= 20  # fewer where the machine holds us up
    assert len(wire.asked) == made
    assert time.monotonic() - begun >= 0.19
    assert wire.asked[0] == (b"/v1/catalog/deregister", {"Node": "bench", "ServiceID": "svc-0-0"})


def test_a_refusal_of_consul_ends_the_run():
    with pytest.raises(AssertionError, match="Consul answered 500"):
        make_changes(FakeWire(500), Crowd(5, 2, Addresses(80, 3)).changes(), 100, 0.2)


def healthy(agent: ConsulAgent, service: str) -> dict[str, str]:
    found = agent.call("GET", f"/v1/health/service/{service}", passing="1")
    return {one["Service"]["ID"]: one["Service"]["Address"] for one in found}


def test_consul_takes_the_crowd_and_its_changes(own_consul: ConsulAgent):
    crowd = Crowd(10, 5, Addresses(80, 6))
    crowd.enter(own_consul)
    assert set(crowd.services) < set(own_consul.call("GET", "/v1/catalog/services"))
    everywhere = {f"svc-3-{place}": f"127.0.1.{place + 1}" for place in range(5)}
    assert healthy(own_consul, "svc-3") == everywhere
    with Wire(own_consul.port) as wire:
        for path, body in itertools.islice(crowd.changes(), 20):
            assert wire.ask(request(path, method="PUT"), json.dumps(body).encode()).status == 200
    moved = [healthy(own_consul, name) for name in crowd.services]
    assert all(len(one) == 5 and "127.0.1.6" in one.values() for one in moved)


def test_consul_takes_registrations_one_by_one(own_consul: ConsulAgent):
    with Wire(own_consul.port) as wire:
        registrations = Registrations(wire, "web", 80)
        for address in ("127.0.1.1", "127.0.1.2"):
            registrations.register(address)
            registrations.done()
        assert set(own_consul.services()) == {"127.0.1.1", "127.0.1.2"}
        registrations.deregister("127.0.1.1")
        registrations.done()
        assert set(own_consul.services()) == {"127.0.1.2"}
        nameless = Registrations(wire, "", 80)
        nameless.register("127.0.1.7")
        with pytest.raises(AssertionError, match="Consul answered 400: b'Missing service name"):
            nameless.done()
