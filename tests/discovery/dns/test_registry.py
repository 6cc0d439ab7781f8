"""The DNS registry against a real name server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import dns.asyncquery
import pytest
import uvloop

from config.units import Address
from discovery.dns import DnsRegistry
from discovery.keeper import Keeper
from discovery.registry import RegistryError
from tests.discovery.consul.service import Service, of
from tests.discovery.watching import eventually, first, has, ids, until, watching
from tests.servers.unbound import BROKEN, REFUSED, SILENT, Unbound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from discovery.instance import Snapshot
    from tests.servers.consul import ConsulAgent

TTL_MIN = 0.1  # seconds
CHANGES = 50
MANY = 300


def registry(*servers: Unbound | Address, name: str = "web.lan", **options: Any) -> DnsRegistry:
    addresses = [server.address if isinstance(server, Unbound) else server for server in servers]
    port = 0 if options.get("type") == "srv" else 80
    return DnsRegistry(name, **{"port": port, "servers": addresses, "ttl_min": TTL_MIN, "ttl_max": TTL_MIN, **options})


def noted(monkeypatch: pytest.MonkeyPatch, transport: str) -> list[str]:
    """Return a list that each question joins when it is asked by `udp` or `tcp`."""
    asked: list[str] = []
    ask = getattr(dns.asyncquery, transport)

    async def note(query: Any, *args: Any, **options: Any) -> Any:
        asked.append(query.question[0].to_text())
        return await ask(query, *args, **options)

    monkeypatch.setattr(dns.asyncquery, transport, note)
    return asked


@asynccontextmanager
async def keeping(registry: DnsRegistry, published: Callable[[Snapshot], None]) -> AsyncIterator[Keeper]:
    keeper = Keeper("web", registry, "web", published, hold=300, journal=lambda kind, text: None)
    task = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def second_server(unbound_program: Path, tmp_path: Path) -> Iterator[Unbound]:
    (tmp_path / "second").mkdir()
    server = Unbound(tmp_path / "second")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def generous_server(unbound_program: Path, tmp_path: Path) -> Iterator[Unbound]:
    """A server that puts the addresses of targets beside SRV records."""
    (tmp_path / "generous").mkdir()
    server = Unbound(tmp_path / "generous", addresses_come_along=True)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("both", {"10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"}),
        ("a", {"10.0.0.1:80", "10.0.0.2:80"}),
        ("aaaa", {"[fd00::1]:80"}),
    ],
)
async def test_addresses(name_server: Unbound, kind: str, found: set[str]):
    name_server.serve(["web A 10.0.0.1", "web A 10.0.0.2", "web AAAA fd00::1"])
    async with watching(registry(name_server, type=kind)) as watch:
        snapshot = await first(watch)
    assert ids(snapshot) == found
    assert all(instance.authority == instance.id for instance in snapshot.instances)
    assert not snapshot.continuous


@pytest.mark.parametrize("name", ["web.lan", "web.lan.", "WEB.lan", "alias.lan"])
async def test_names(name_server: Unbound, name: str):
    name_server.serve(["web A 10.0.0.1", "alias CNAME web"])
    async with watching(registry(name_server, name=name)) as watch:
        assert ids(await first(watch)) == {"10.0.0.1:80"}


async def test_instances_come_and_go(name_server: Unbound):
    name_server.serve(["web A 10.0.0.1"])
    async with watching(registry(name_server)) as watch:
        await until(watch, has("10.0.0.1:80"))
        name_server.serve(["web A 10.0.0.1", "web A 10.0.0.2"])
        await until(watch, has("10.0.0.1:80", "10.0.0.2:80"))
        name_server.serve(["web A 10.0.0.2"])
        await until(watch, has("10.0.0.2:80"))
        name_server.serve([])
        assert (await until(watch, has())).continuous


@pytest.mark.parametrize("records", [[], ["web TXT hello"], ["web.below A 10.0.0.9"]])
async def test_a_name_without_addresses_is_an_empty_set(name_server: Unbound, records: list[str]):
    """NXDOMAIN, and NODATA twice."""
    name_server.serve(records)
    async with watching(registry(name_server)) as watch:
        assert (await first(watch)).instances == ()


async def test_the_order_of_an_answer_says_nothing(name_server: Unbound):
    name_server.serve([f"web A 10.0.0.{number}" for number in range(1, 9)])
    published: list[Snapshot] = []
    async with keeping(registry(name_server), published.append) as keeper:
        await eventually(lambda: keeper.updates["unchanged"] >= 5)
    assert len(published) == 1
    assert keeper.updates["changed"] == 1


@pytest.mark.parametrize(
    ("ttl", "bounds", "apart"),
    [
        (1, {"ttl_min": 0.1, "ttl_max": 9.0}, 1.0),
        (0, {"ttl_min": 0.3, "ttl_max": 9.0}, 0.3),
        (60, {"ttl_max": 0.3}, 0.3),
    ],
)
async def test_looks_are_a_ttl_apart_within_bounds(
    name_server: Unbound, ttl: int, bounds: dict[str, Any], apart: float
):
    name_server.serve([f"web {ttl} A 10.0.0.1"], ttl=60)
    loop = asyncio.get_running_loop()
    async with watching(registry(name_server, type="a", **bounds)) as watch:
        await first(watch)
        began = loop.time()
        await first(watch)
        waited = loop.time() - began
        began = loop.time()
        await first(watch)
    assert waited >= apart - 0.01
    assert loop.time() - began < 9


async def test_the_zone_says_how_long_a_name_is_not_there(name_server: Unbound):
    name_server.serve([], ttl=1)
    async with watching(registry(name_server, ttl_max=60.0)) as watch:
        assert not (await first(watch)).instances
        name_server.serve(["web A 10.0.0.1"])
        await until(watch, has("10.0.0.1:80"))


async def test_an_answer_too_long_for_a_datagram_comes_whole(name_server: Unbound, monkeypatch: pytest.MonkeyPatch):
    by_tcp = noted(monkeypatch, "tcp")
    expected = [f"10.0.{number // 256}.{number % 256}" for number in range(MANY)]
    name_server.serve([f"web A {address}" for address in expected])
    async with watching(registry(name_server, type="a")) as watch:
        assert ids(await first(watch)) == {f"{address}:80" for address in expected}
        name_server.serve([f"web A {address}" for address in expected[1:]])
        await until(watch, has(*(f"{address}:80" for address in expected[1:])))
    assert len(by_tcp) >= 2


@pytest.mark.parametrize("kind", ["a", "srv"])
async def test_consul_does_not_say_that_an_answer_is_cut_short(consul: ConsulAgent, kind: str):
    service = Service(consul)
    for number in range(200):
        service.register(number)
    try:
        name = f"{service.name}.service.consul"
        async with watching(registry(Address("127.0.0.1", consul.dns_port), name=name, type=kind)) as watch:
            assert of(*range(200))(await first(watch))
    finally:
        for number in range(200):
            service.deregister(number)


SRV = ["a A 10.0.0.1", "b A 10.0.0.2", "b AAAA fd00::2", "c A 10.0.0.3"]


async def test_targets_with_their_ports_and_weights(name_server: Unbound):
    name_server.serve([*SRV, "_http._tcp.web SRV 10 3 8080 a", "_http._tcp.web SRV 10 0 8081 b"])
    async with watching(registry(name_server, name="_http._tcp.web.lan", type="srv")) as watch:
        found = {instance.id: instance for instance in (await first(watch)).instances}
    assert {key: instance.weight for key, instance in found.items()} == {
        "10.0.0.1:8080": 3,
        "10.0.0.2:8081": 1,
        "[fd00::2]:8081": 1,
    }
    assert found["10.0.0.1:8080"].metadata == {"target": "a.lan", "priority": "10"}


async def test_only_the_first_priority_with_an_address_is_used(name_server: Unbound):
    first_two = ["web SRV 10 1 80 a", "web SRV 20 1 80 c"]
    name_server.serve([*SRV, *first_two])
    async with watching(registry(name_server, type="srv")) as watch:
        await until(watch, has("10.0.0.1:80"))
        name_server.serve([*SRV, "web SRV 10 1 80 gone", *first_two[1:]])
        fallen = await until(watch, has("10.0.0.3:80"))
        name_server.serve(SRV)
        assert (await until(watch, has())).continuous
    assert fallen.unreadable == ("gone.lan:80: has no address",)


async def test_targets_that_make_no_sense_are_named(name_server: Unbound):
    name_server.serve([*SRV, "web SRV 1 1 80 a", "web SRV 1 1 80 gone", "web SRV 1 1 0 c"])
    async with watching(registry(name_server, type="srv")) as watch:
        snapshot = await first(watch)
    assert ids(snapshot) == {"10.0.0.1:80"}
    assert set(snapshot.unreadable) == {"gone.lan:80: has no address", "c.lan:0: has no port"}


async def test_a_service_that_says_it_is_not_there(name_server: Unbound):
    name_server.serve(["web SRV 0 0 0 ."])
    async with watching(registry(name_server, type="srv")) as watch:
        snapshot = await first(watch)
    assert (snapshot.instances, snapshot.unreadable) == ((), ())


async def test_a_target_that_cannot_be_resolved_at_present_is_an_error(name_server: Unbound):
    name_server.serve([*SRV, "web SRV 1 1 80 a", f"web SRV 1 1 80 x.{BROKEN}."])
    async with watching(registry(name_server, type="srv")) as watch:
        with pytest.raises(RegistryError, match=rf"x\.{BROKEN} A+: 127.*: SERVFAIL"):
            await first(watch)


@pytest.mark.parametrize("which", ["name_server", "generous_server"])
async def test_hundreds_of_targets(request: pytest.FixtureRequest, which: str, monkeypatch: pytest.MonkeyPatch):
    server: Unbound = request.getfixturevalue(which)
    asked = noted(monkeypatch, "udp")
    addresses = [f"10.0.{number // 256}.{number % 256}" for number in range(MANY)]
    records = [f"t{number} A {address}" for number, address in enumerate(addresses)]
    server.serve([*records, *(f"web SRV 1 1 80 t{number}" for number in range(MANY))], ttl=60)
    async with watching(registry(server, type="srv")) as watch:
        assert ids(await first(watch)) == {f"{address}:80" for address in addresses}
    assert len(asked) == (1 if which == "generous_server" else 1 + 2 * MANY)


@pytest.mark.parametrize(
    ("zone", "said"), [(BROKEN, "SERVFAIL"), (REFUSED, "REFUSED"), (SILENT, r"no answer within 0\.1 s")]
)
async def test_a_server_that_does_not_find_out_is_an_error(name_server: Unbound, zone: str, said: str):
    async with watching(registry(name_server, name=f"web.{zone}", timeout=0.1)) as watch:
        with pytest.raises(RegistryError, match=rf"^web\.{zone} A+: 127\.0\.0\.1:\d+: {said}$"):
            await first(watch)


async def test_a_server_that_is_frozen_is_given_up_until_it_thaws(name_server: Unbound):
    name_server.serve(["web A 10.0.0.1"])
    published: list[Snapshot] = []
    async with keeping(registry(name_server, timeout=0.1), published.append) as keeper:
        await eventually(lambda: bool(published))
        name_server.freeze()
        await eventually(lambda: "no answer within 0.1 s" in keeper.error)
        name_server.thaw()
        await eventually(lambda: not keeper.error)
    assert len(published) == 1


async def test_the_next_server_is_asked_when_one_is_gone(name_server: Unbound, second_server: Unbound):
    name_server.serve(["web A 10.0.0.1"])
    second_server.serve([])
    published: list[Snapshot] = []
    async with keeping(registry(name_server, second_server), published.append) as keeper:
        await eventually(lambda: bool(published))
        await asyncio.to_thread(name_server.stop)
        # The other one has no such name: that it answers at once is no sign that the instances were deregistered.
        await eventually(lambda: keeper.held_since is not None)
        second_server.serve(["web A 10.0.0.2"])
        await eventually(lambda: has("10.0.0.2:80")(published[-1]))
    assert len(published) == 2
    assert not keeper.updates["failed"]


def test_it_runs_on_the_loop_that_pointsman_runs_on(name_server: Unbound):
    name_server.serve([f"web A 10.0.{number // 256}.{number % 256}" for number in range(MANY)])  # TCP too

    async def look() -> tuple[Snapshot, str]:
        async with watching(registry(name_server)) as watch:
            found = await first(watch)
        await asyncio.to_thread(name_server.stop)
        async with watching(registry(name_server)) as watch:
            with pytest.raises(RegistryError) as caught:
                await first(watch)
        return found, str(caught.value)

    found, error = uvloop.run(look())
    assert len(found.instances) == MANY
    assert "Connection refused" in error
