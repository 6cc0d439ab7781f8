"""The admin API, over HTTP, on a whole pointsman."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import aiohttp

from config.model import Config
from proxy import serving, sockets
from proxy.application import Application
from tests.proxy.running import instance, running, until

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from config.units import Bind


async def test_it_is_alive_and_ready() -> None:
    async with instance("a") as a, running({"services": {"web": {"discovery": {"static": [a]}}}}) as pointsman:
        assert await pointsman.admin("/livez") == (200, {"status": "alive"})
        await until(lambda: not pointsman.application.unready())
        assert await pointsman.admin("/readyz") == (200, {"status": "ready"})


async def test_it_is_not_ready_before_every_service_has_its_first_snapshot(tmp_path: Path) -> None:
    services = {
        "web": {"discovery": {"static": ["127.0.0.1:9"]}},
        "shop": {"discovery": {"file": "missing.yaml"}},
    }
    async with running({"services": services}, tmp_path) as pointsman:
        keeper = pointsman.application.services["shop"].sources[0].keeper
        await until(lambda: keeper.error)
        status, body = await pointsman.admin("/readyz")
        assert status == 503
        assert body["status"] == "not ready"
        assert len(body["reasons"]) == 1
        assert body["reasons"][0].startswith("service shop: no snapshot from file yet: ")
        (tmp_path / "missing.yaml").write_text("[127.0.0.1:9]")
        await until(lambda: not pointsman.application.unready())
        assert (await pointsman.admin("/readyz"))[0] == 200


async def test_it_is_not_ready_before_its_listeners_accept_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    may_bind = threading.Event()

    def late(bind: Bind, mode: int | None, beside: Sequence[socket.socket]) -> list[socket.socket]:
        assert may_bind.wait(20)
        return sockets.listen(bind, mode, beside)

    async def readiness(pointsman: Application) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{pointsman.admin_port}/readyz"
        async with aiohttp.request("GET", url) as response:
            return response.status, await response.json()

    monkeypatch.setattr(serving, "listen", late)
    whole = {
        "listeners": [{"bind": "127.0.0.1:0"}],
        "routes": [{"service": "web"}],
        "services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}},
        "admin": {"bind": "127.0.0.1:0"},
    }
    pointsman = Application(Config.model_validate(whole))
    starting = asyncio.create_task(pointsman.start())
    try:
        await until(lambda: pointsman.admin_port and not pointsman.services["web"].unready())
        reasons = ["listener 127.0.0.1:0: nobody is accepted yet"]
        assert await readiness(pointsman) == (503, {"status": "not ready", "reasons": reasons})
        may_bind.set()
        await starting
        assert await readiness(pointsman) == (200, {"status": "ready"})
    finally:
        may_bind.set()
        await starting
        await pointsman.stop()


async def test_it_is_not_ready_while_draining() -> None:
    async with running({"services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}}}}) as pointsman:
        await until(lambda: not pointsman.application.unready())
        await pointsman.application.drain()
        assert await pointsman.admin("/readyz") == (503, {"status": "not ready", "reasons": ["draining"]})


async def test_services_show_every_endpoint_with_its_state_and_the_reason_for_it() -> None:
    async with instance("a") as a, instance("b", health=lambda: 500) as b:
        probe = {"http": "/healthz", "interval": "20ms", "timeout": "1s", "fall": 2}
        discovery = {
            "static": [{"address": a, "weight": 3, "zone": "eu-1"}, b, {"address": "127.0.0.1:9", "weight": 0}]
        }
        services = {"web": {"discovery": discovery, "balancer": "random", "health": {"probe": probe}}}
        async with running({"services": services}) as pointsman:
            await until(lambda: not pointsman.application.unready())
            pool = pointsman.application.services["web"].pool
            health = next(one.health for one in pool.endpoints if one.instance.authority == b)
            await until(lambda: health.state == "ejected")
            assert (await pointsman.get())[1] == "a"
            status, body = await pointsman.admin("/api/v1/services")
            assert status == 200
            [web] = body["services"]
            assert (web["name"], web["balancer"], web["panic"]) == ("web", "random", False)
            assert web["registry"]["kind"] == "static"
            assert web["registry"]["updates"] == {"changed": 1, "unchanged": 0, "held": 0, "failed": 0}
            shown = {endpoint["id"]: endpoint for endpoint in web["endpoints"]}
            assert (shown[a]["state"], shown[a]["takes_traffic"], shown[a]["zone"]) == ("healthy", True, "eu-1")
            assert shown[a]["requests"] == 1
            assert shown[a]["connections"] == {"open": 1, "idle": 1}
            assert (shown[b]["state"], shown[b]["takes_traffic"]) == ("ejected", False)
            assert shown[b]["reason"] == "2 probes in a row failed, the last one: HTTP 500: b is unwell"
            assert (shown["127.0.0.1:9"]["state"], shown["127.0.0.1:9"]["reason"]) == ("draining", "its weight is 0")
            assert (await pointsman.admin("/api/v1/services/web"))[1]["name"] == "web"
            assert await pointsman.admin("/api/v1/services/shop") == (404, {"error": "there is no service 'shop'"})


async def test_events_tell_what_happened_in_order(tmp_path: Path) -> None:
    file = tmp_path / "instances.yaml"
    file.write_text("[127.0.0.1:9001]")
    async with running({"services": {"web": {"discovery": {"file": "instances.yaml"}}}}, tmp_path) as pointsman:
        pool = pointsman.application.services["web"].pool
        await until(lambda: len(pool.endpoints) == 1)
        file.write_text("[127.0.0.1:9001, 127.0.0.1:9002]")
        await until(lambda: len(pool.endpoints) == 2)
        file.write_text("[127.0.0.1:9002]")
        await until(lambda: len(pool.endpoints) == 1)
        events = (await pointsman.admin("/api/v1/events"))[1]["events"]
        told = [(event["number"], event["kind"], event["endpoint"]) for event in events]
        assert told == [(1, "joined", "127.0.0.1:9001"), (2, "joined", "127.0.0.1:9002"), (3, "left", "127.0.0.1:9001")]
        assert all(event["service"] == "web" and event["time"].endswith("Z") for event in events)
        assert [e["number"] for e in (await pointsman.admin("/api/v1/events?since=2"))[1]["events"]] == [3]
        assert [e["number"] for e in (await pointsman.admin("/api/v1/events?limit=1"))[1]["events"]] == [3]
        assert (await pointsman.admin("/api/v1/events?service=shop"))[1]["events"] == []
        status, body = await pointsman.admin("/api/v1/events?since=last")
        assert (status, body) == (400, {"error": "since must be a whole number, not 'last'"})


async def test_a_request_before_the_first_snapshot_is_told_so(tmp_path: Path) -> None:
    async with running({"services": {"web": {"discovery": {"file": "missing.yaml"}}}}, tmp_path) as pointsman:
        status, text = await pointsman.get()
        assert status == 503
        assert "its registry has not answered yet" in text


async def test_a_file_that_was_mended_is_read_again_within_a_second(tmp_path: Path) -> None:
    services = {"web": {"discovery": {"file": "broken.yaml"}}, "shop": {"discovery": {"consul": {"service": "shop"}}}}
    async with running({"services": services}, tmp_path) as pointsman:
        waits = {
            name: max(service.sources[0].keeper._backoff.next() for _ in range(20))
            for name, service in pointsman.application.services.items()
        }
    assert waits["web"] <= 1.0 < waits["shop"] <= 10.0
