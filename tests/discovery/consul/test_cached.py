"""A service read from the cache of a real client agent, which is then cut off from its server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from discovery.consul import ConsulRegistry
from discovery.consul import cached as cached_module
from discovery.keeper import Keeper
from tests.discovery.consul.service import WAIT, Service, of
from tests.discovery.consul.test_answers import answer, scripted
from tests.discovery.watching import eventually, first, ids, until
from tests.servers.consul import ConsulAgent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from discovery.instance import Snapshot


@pytest.fixture
def cluster(consul_program: Path, tmp_path: Path) -> Iterator[tuple[ConsulAgent, ConsulAgent]]:
    """A server, and a client agent of it."""
    for name in ("server", "client"):
        (tmp_path / name).mkdir()
    server = ConsulAgent(tmp_path / "server")
    server.start()
    client = ConsulAgent(tmp_path / "client", server=server)
    try:
        client.start()
        yield server, client
    finally:
        client.kill()
        server.stop()


async def test_a_cache_that_is_cut_off_grows_old_and_then_counts_as_a_failure(
    cluster: tuple[ConsulAgent, ConsulAgent], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cached_module, "PAUSE", 0.1)
    server, client = cluster
    service = Service(server)
    service.register(1)
    published: list[Snapshot] = []

    def keeper(max_age: float) -> Keeper:
        registry = ConsulRegistry(client.address, cached=True, max_age=max_age, wait=WAIT)
        return Keeper("web", registry, service.name, published.append, hold=300, journal=lambda *_: None)

    patient, strict = keeper(0), keeper(1.5)
    tasks = [asyncio.create_task(one.run()) for one in (patient, strict)]
    try:
        await eventually(lambda: len(published) == 2)
        service.register(2)
        await eventually(lambda: of(1, 2)(published[-1]) and len(published) == 4)
        await asyncio.to_thread(server.kill)
        await eventually(lambda: "s, max_age is 1.5 s (Consul at" in strict.error)
        assert "its cache has been cut off for " in strict.error
        await eventually(lambda: patient.last_answer is not None and time.monotonic() - patient.last_answer >= 2)
        assert patient.error == ""
        assert len(published) == 4
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_change_arrives_as_soon_as_without_the_cache(consul: ConsulAgent):
    service = Service(consul)
    try:
        async with service.watch(cached=True) as watch:
            assert (await first(watch)).instances == ()
            service.register(1)
            assert (await until(watch, of(1))).age == 0
            service.deregister(1)
            assert (await until(watch, of())).continuous
    finally:
        for service_id in service.registered:
            consul.deregister(service_id)


async def test_what_is_waited_for_and_what_is_asked():
    """An answer that was waited for has no Age; when it brought nothing new, the age is asked for."""
    options: dict[str, Any] = {"cached": True, "max_age": 8.0, "datacenter": "dc2"}
    async with scripted(
        answer(7, "a", Age="0"), answer(8, "b"), answer(8, "b"), answer(8, "b", Age="3"), **options
    ) as (script, watch):
        snapshots = [await first(watch) for _ in range(3)]
    assert [dict(request.query) for request in script.requests] == [
        {"dc": "dc2", "cached": ""},
        {"dc": "dc2", "cached": "", "index": "7", "wait": "4000ms"},
        {"dc": "dc2", "cached": "", "index": "8", "wait": "4000ms"},
        {"dc": "dc2", "cached": ""},
    ]
    assert [(ids(snapshot), snapshot.age, snapshot.continuous) for snapshot in snapshots] == [
        ({"n1/a"}, 0, False), ({"n1/b"}, 0, True), ({"n1/b"}, 3, True),
    ]  # fmt: skip


async def test_an_empty_set_after_the_cache_was_cut_off_is_not_continuous():
    async with scripted(
        answer(7, "a", Age="0"), answer(7, "a"), answer(7, "a", Age="3"), answer(8), answer(8), answer(8, Age="0"),
        answer(9, "b"), cached=True,
    ) as (_, watch):  # fmt: skip
        snapshots = [await first(watch) for _ in range(5)]
    assert [(ids(snapshot), snapshot.continuous) for snapshot in snapshots] == [
        ({"n1/a"}, False), ({"n1/a"}, True), (set(), False), (set(), True), ({"n1/b"}, True),
    ]  # fmt: skip
