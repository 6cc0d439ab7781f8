"""Nothing that was acknowledged is lost, whenever the process dies."""

from __future__ import annotations

import asyncio
import random
import sys
import urllib.request
from typing import TYPE_CHECKING

import aiohttp

from discovery.embedded.server import RegistryServer
from discovery.embedded.store import Store, StoreError
from tests.discovery.embedded.client import Client, eventually
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SERVE = """
import asyncio, sys
from discovery.embedded.server import RegistryServer

async def serve():
    await RegistryServer("127.0.0.1", int(sys.argv[1]), sys.argv[2]).start()
    await asyncio.Event().wait()

asyncio.run(serve())
"""


def registry_process(tmp_path: Path) -> tuple[ServerProcess, str]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        with urllib.request.urlopen(f"{address}/v1/status/leader", timeout=5) as response:
            return bool(response.status == 200)

    command = [sys.executable, "-c", SERVE, str(port), str(tmp_path / "registry")]
    return ServerProcess(command, tmp_path / "registry.log", ready), address


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, session: aiohttp.ClientSession):
    process, address = registry_process(tmp_path)
    client = Client(address, session)
    there: set[str] = set()
    gone: set[str] = set()
    index = 0

    async def work(worker: int, turn: int) -> None:
        """Register and deregister until the registry dies; an operation it did not answer may have happened or not."""
        for number in range(1_000_000):
            name = f"{turn}-{worker}-{number}"
            try:
                await client.register(name, Check={"TTL": "1h", "Status": "passing"})
                there.add(name)
                if number % 3 == 0:
                    there.discard(name)
                    await client.put(f"/v1/agent/service/deregister/{name}")
                    gone.add(name)
            except aiohttp.ClientError:
                return

    try:
        for turn in range(5):
            await asyncio.to_thread(process.start)
            workers = [asyncio.create_task(work(number, turn)) for number in range(4)]
            await asyncio.sleep(random.uniform(0.1, 0.5))
            index = (await client.get("/v1/catalog/services")).index
            process.kill()
            await asyncio.gather(*workers)
            await asyncio.to_thread(process.start)
            kept = set((await client.get("/v1/agent/services")).json)
            assert there - kept == set()
            assert kept & gone == set()
            checks = (await client.get("/v1/agent/checks")).json
            assert {check["ServiceID"] for check in checks.values()} == kept
            assert (await client.get("/v1/catalog/services")).index >= index
            process.kill()
    finally:
        process.kill()
    assert len(there) > 20


async def test_a_restart_keeps_statuses_maintenance_and_order(tmp_path: Path, session: aiohttp.ClientSession):
    server = RegistryServer("127.0.0.1", 0, tmp_path)
    await server.start()
    client = Client(server.address, session)
    await client.register("web", Checks=[{"TTL": "1h"}, {"TCP": "127.0.0.1:1", "Interval": "1h", "Status": "warning"}])
    await client.put("/v1/agent/check/pass/service:web:1?note=well")
    await client.put("/v1/agent/service/maintenance/web?enable=true&reason=disk")
    await client.register("gone")
    await client.put("/v1/agent/service/deregister/gone")
    before = await client.health("web")
    await server.stop()

    server = RegistryServer("127.0.0.1", 0, tmp_path)
    await server.start()
    client = Client(server.address, session)
    after = await client.health("web")
    assert after.json == before.json
    assert after.index >= before.index
    assert (await client.health("gone")).index >= before.index
    await server.stop()


async def test_a_ttl_has_all_of_its_time_again_after_a_restart(tmp_path: Path, session: aiohttp.ClientSession):
    server = RegistryServer("127.0.0.1", 0, tmp_path)
    await server.start()
    await Client(server.address, session).register("web", Check={"TTL": "2s", "Status": "passing"})
    await asyncio.sleep(1.2)
    await server.stop()
    server = RegistryServer("127.0.0.1", 0, tmp_path)
    await server.start()
    client = Client(server.address, session)
    await asyncio.sleep(1.2)
    assert await client.statuses("web") == {"service:web": "passing"}
    await eventually(lambda: client.statuses("web"), {"service:web": "critical"})
    await server.stop()


async def test_what_cannot_be_kept_is_refused_and_not_seen(
    server: RegistryServer, embedded: Client, monkeypatch: pytest.MonkeyPatch
):
    await embedded.register("kept")
    index = (await embedded.health("kept")).index

    async def full(*_: object) -> None:
        raise StoreError("registry.sqlite: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        answer = await embedded.put("/v1/agent/service/register", {"Name": "lost"})
        assert (answer.status, "disk is full" in answer.text) == (500, True)
    assert await embedded.ids("lost") == []
    assert (await embedded.health("kept")).index == index
    await embedded.register("later")
    assert await embedded.ids("later") == ["later"]
