"""The embedded registry will do for a catalog too, and for services that share connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from discovery.consul import ConsulRegistry
from tests.discovery.watching import eventually, first, until, watching
from tests.proxy.running import instance, running
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


async def test_services_and_routes_from_the_embedded_registry(tmp_path: Path):
    port = free_port()
    bind, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    config = {
        "services": {},
        "registry": {"bind": bind, "data_dir": "registry"},
        "catalogs": [{"consul": {"address": url, "connections": 0}}],
    }
    async with instance("one") as one, running(config, tmp_path) as pointsman:

        async def put(path: str, body: object) -> None:
            async with pointsman.session.put(f"{url}/v1/agent{path}", json=body) as answer:
                assert answer.status == 200, await answer.text()

        host, _, instance_port = one.rpartition(":")
        place = {"Name": "web", "Address": host, "Port": int(instance_port), "Tags": ["urlprefix-/"]}
        check = {"CheckID": "ttl", "TTL": "1m", "Status": "passing"}
        async with watching(ConsulRegistry(url, connections=0, wait=5.0), "web") as watch:
            assert (await first(watch)).instances == ()
            await put("/service/register", {**place, "Check": check})
            await until(watch, lambda snapshot: len(snapshot.instances) == 1)
            await put("/check/update/ttl", {"Status": "critical"})
            await until(watch, lambda snapshot: snapshot.instances[0].availability.value == "down")
            await put("/check/update/ttl", {"Status": "passing"})
        await eventually(lambda: "web@consul" in pointsman.application.services)
        async with asyncio.timeout(10):
            while await pointsman.get() != (200, "one"):
                pass
