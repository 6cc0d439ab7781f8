"""What is registered stays so: in the embedded registry that goes over, and in one that the processes register in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from discovery.embedded.catalog import Catalog, Check
from discovery.embedded.definition import CheckDefinition
from discovery.embedded.server import RegistryServer
from discovery.registry import RegistryError
from tests.proxy.running import instance, until
from tests.proxy.takeover.taking import SOCKET, Stranger, configuration, living
from tests.proxy.takeover.test_takeover import HELLO, events
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Reader:
    """Asks a registry again and again, on a connection each, who is there; `seen` are all the answers."""

    def __init__(self, address: str, service: str) -> None:
        self._url = f"{address}/v1/health/service/{service}?passing"
        self.seen: list[int] = []

    async def run(self) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=10)
        ) as session:
            while True:
                async with session.get(self._url) as response:
                    assert response.status == 200
                    self.seen.append(len(await response.json()))
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def reading(address: str, service: str) -> AsyncIterator[Reader]:
    reader = Reader(address, service)
    task = asyncio.create_task(reader.run())
    try:
        await until(lambda: task.done() or 1 in reader.seen)
        reader.seen.clear()
        yield reader
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put(address: str, path: str, body: Any = None) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.put(f"{address}{path}", json=body)


async def test_the_embedded_registry_goes_over(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    async with living() as places:
        config = configuration(registry={"bind": f"127.0.0.1:{port}", "data_dir": str(tmp_path / "registry")})
        config["services"]["web"] = {"discovery": {"consul": {"address": address, "service": "api"}}}
        await places.start(tmp_path, config).begun()
        for name, ttl in (("api-1", "1h"), ("api-2", "30m")):
            check = {"TTL": ttl, "Status": "passing", "CheckID": f"check-{name}"}
            body = {"ID": name, "Name": "api", "Address": "127.0.0.1", "Port": 9, "Check": check}
            await put(address, "/v1/agent/service/register", body)
        await put(address, "/v1/agent/check/fail/check-api-2")
        async with reading(address, "api") as reader:
            for _ in range(3):
                old = places.all[-1].application
                assert old.registry is not None
                times = _times(old)
                new = (await places.start(tmp_path, config, takes_over=True).begun()).application
                assert (
                    times["check-api-1"][0] >= _times(new)["check-api-1"][0] > 3500
                )  # runs on, and does not begin anew
                assert _times(new)["check-api-2"][1] >= times["check-api-2"][1]
                assert len(new.services["web"].pool.endpoints) == 2
                await put(address, "/v1/agent/check/pass/check-api-1")  # the new one can be written to
                seen = len(reader.seen)
                await until(lambda seen=seen: len(reader.seen) > seen + 3)  # type: ignore[misc]
            assert set(reader.seen) == {1}
        assert [await one.life for one in places.all[:-1]] == [0, 0, 0]


def _times(application: Any) -> dict[str, tuple[float, float]]:
    times: dict[str, tuple[float, float]] = application.registry._server.times()
    return times


async def test_an_embedded_registry_that_nobody_took_over_goes_on(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    async with instance("a") as there, living() as places:
        folder = tmp_path / "registry"
        config = configuration(there, registry={"bind": f"127.0.0.1:{port}", "data_dir": str(folder)})
        old = (await places.start(tmp_path, config).begun()).application
        check = {"TTL": "1h", "Status": "passing", "CheckID": "check-api-1"}
        body = {"ID": "api-1", "Name": "api", "Address": "127.0.0.1", "Port": 9, "Check": check}
        await put(address, "/v1/agent/service/register", body)
        async with reading(address, "api") as reader:
            stranger = await Stranger(tmp_path / SOCKET).connect()
            await stranger.say(HELLO)
            await stranger.until_told("state")
            await stranger.say({"what": "ready", "takes": [0, 1, 2, 3], "registry": str(folder)})
            told = await stranger.until_told("yours")
            assert 3500 < told["times"]["check-api-1"][0] <= 3600
            holder = RegistryServer("127.0.0.1", 0, folder)  # the folder is free
            await holder.start()
            with pytest.raises(RegistryError):
                await RegistryServer("127.0.0.1", 0, folder).start()
            stranger.leave()  # it dies with the folder in its hands, and lets go of it only later
            await until(lambda: events(old) == ["takeover_failed"])
            await holder.stop()
            seen = len(reader.seen)
            await until(lambda: len(reader.seen) > seen + 3)
            assert set(reader.seen) == {1}
        assert _times(old)["check-api-1"][0] <= told["times"]["check-api-1"][0]
        await places.start(tmp_path, config, takes_over=True).begun()


async def test_what_the_processes_register_is_never_gone(tmp_path: Path) -> None:
    server = RegistryServer("127.0.0.1", 0, tmp_path / "registry")
    await server.start()
    try:
        async with instance("a") as there, living() as places:
            consul: dict[str, Any] = {
                "consul": {"address": server.address},
                "address": "127.0.0.1",
                "deregister_delay": "0s",
            }
            both = [
                {"service": name, "id": f"{name}-1", "probe": {"none": True}, **consul} for name in ("front", "gone")
            ]
            config = configuration(there, register=both)
            old = places.start(tmp_path, config)
            await old.begun()
            async with reading(server.address, "front") as front, reading(server.address, "gone") as gone:
                new = await places.start(tmp_path, {**config, "register": both[:1]}, takes_over=True).begun()
                assert await old.life == 0
                await until(lambda: gone.seen[-1] == 0)  # which the new one does not register
                assert set(front.seen) == {1}
            new.application.end()
            assert await new.life == 0
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{server.address}/v1/health/service/front") as response,
            ):
                assert await response.json() == []
    finally:
        await server.stop()


async def test_registrations_go_on_when_nobody_took_over(tmp_path: Path) -> None:
    server = RegistryServer("127.0.0.1", 0, tmp_path / "registry")
    await server.start()
    try:
        async with instance("a") as there, living() as places:
            wanted = {"service": "front", "id": "front-1", "probe": {"none": True}, "address": "127.0.0.1",
                      "consul": {"address": server.address}, "deregister_delay": "0s"}  # fmt: skip
            config = configuration(there, register=wanted)
            old = (await places.start(tmp_path, config).begun()).application
            keys = old.registrations.keys()
            async with reading(server.address, "front"):
                stranger = await Stranger(tmp_path / SOCKET).connect()
                await stranger.say(HELLO)
                await stranger.until_told("state")
                await stranger.say({"what": "ready", "takes": [0], "registers": keys})
                assert (await stranger.until_told("yours"))["registered"] == keys
            await put(server.address, "/v1/agent/service/deregister/front-1")  # as one that ends on the way would
            stranger.leave()
            async with reading(server.address, "front"):  # it is there again
                pass
    finally:
        await server.stop()


def test_times_give_no_check_more_than_it_would_have() -> None:
    def check(identity: str, **more: Any) -> Check:
        ttl = CheckDefinition.model_validate({"TTL": "60s", "CheckID": identity})
        return Check(identity, identity, "", "web-1", "ttl", ttl, "passing", "", 1, 1, **more)

    catalog = Catalog(1, (), [check("a", expires=160.0), check("b", expires=160.0), check("c", critical_since=100.0)])
    assert catalog.times(100.0) == {"a": (60.0, None), "b": (60.0, None), "c": (None, 0.0)}
    catalog.take_times({"a": (10.0, None), "b": (99.0, 5.0), "c": (7.0, 30.0), "nobody": (1.0, 1.0)}, 100.0)
    assert catalog.times(100.0) == {"a": (10.0, None), "b": (60.0, None), "c": (None, 30.0)}
