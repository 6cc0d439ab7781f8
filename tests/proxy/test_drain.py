"""An operator drains endpoints by the admin API of a whole pointsman."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.proxy.running import Running, instance, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def say(pointsman: Running, what: str, endpoint: str, service: str = "web", **more: Any) -> tuple[int, Any]:
    url = f"{pointsman.admin_url}/api/v1/services/{service}/endpoints/{endpoint}/{what}"
    async with pointsman.session.post(url, **more) as response:
        return response.status, await response.json()


async def shown(pointsman: Running, endpoint: str) -> Any:
    return (await pointsman.admin(f"/api/v1/services/web/endpoints/{endpoint}"))[1]


def write(folder: Path, *instances: str) -> None:
    """Write instances `ID=ADDRESS` into the file of the service."""
    pairs = [one.split("=") for one in instances]
    (folder / "web.yaml").write_text(
        "\n".join(f"- {{id: {name}, address: '{address}'}}" for name, address in pairs) or "[]"
    )


@asynccontextmanager
async def following(folder: Path, *instances: str, **more: Any) -> AsyncIterator[Running]:
    write(folder, *instances)
    service = {"discovery": {"file": "web.yaml"}, "guard": {"hold": "0s"}, **more}
    async with running({"services": {"web": service}}, folder) as pointsman:
        await until(lambda: not pointsman.application.unready())
        yield pointsman


async def test_drained_and_undrained(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b, following(tmp_path, f"n/a={a}", f"n/b={b}") as pointsman:
        status, body = await say(pointsman, "drain", "n/a", json={"reason": "new kernel"})
        assert (status, body["id"], body["state"], body["takes_traffic"], body["drained"]) == (
            200, "n/a", "draining", False, True
        )  # fmt: skip
        reason = body["reason"]
        assert reason.startswith("drained by an operator since 20")
        assert reason.endswith("Z: new kernel")
        assert (await say(pointsman, "drain", "n%2Fa"))[1]["reason"] == reason  # again: nothing new
        assert {(await pointsman.get())[1] for _ in range(6)} == {"b"}
        _, metrics = await pointsman.admin("/metrics")
        assert f'pointsman_endpoint_drained{{address="{a}",endpoint="n/a",service="web"}} 1.0' in metrics
        assert f'pointsman_endpoint_drained{{address="{b}"' not in metrics
        assert f'pointsman_endpoint_healthy{{address="{a}",endpoint="n/a",service="web"}} 0.0' in metrics
        status, body = await say(pointsman, "undrain", a)  # by its address
        assert (status, body["state"], body["drained"]) == (200, "healthy", False)
        assert {(await pointsman.get())[1] for _ in range(6)} == {"a", "b"}
        _, body = await pointsman.admin("/api/v1/events")
        told = [(event["kind"], event["endpoint"], event["reason"]) for event in body["events"]]
        assert told[-2:] == [("drained", "n/a", reason), ("undrained", "n/a", "by an operator")]


async def test_it_outlives_what_the_registry_says(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b, following(tmp_path, f"1={a}", f"2={b}") as pointsman:
        pool = pointsman.application.services["web"].pool
        await say(pointsman, "drain", "1")
        write(tmp_path, f"2={b}")
        await until(lambda: len(pool.endpoints) == 1)
        away = await shown(pointsman, "1")
        assert (away["state"], away["address"], away["drained"], away["in_flight"]) == ("left", a, True, 0)
        _, service = await pointsman.admin("/api/v1/services/web")
        assert service["drained_away"] == {"1": away["reason"]}
        assert (await say(pointsman, "drain", "1"))[1] == away
        write(tmp_path, f"1={a}", f"2={b}")
        await until(lambda: len(pool.endpoints) == 2)
        assert (await shown(pointsman, "1"))["reason"] == away["reason"]
        assert {(await pointsman.get())[1] for _ in range(4)} == {"b"}
        write(tmp_path, f"2={b}")
        await until(lambda: len(pool.endpoints) == 1)
        assert (await say(pointsman, "undrain", "1"))[1]["drained"] is False
        assert (await say(pointsman, "undrain", "1"))[0] == 404


async def test_what_is_in_flight_finishes_and_the_rest_is_closed(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await go_on.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, following(tmp_path, f"1=127.0.0.1:{server.port}") as pointsman:
        [endpoint] = pointsman.application.services["web"].pool.endpoints
        connections = pointsman.application.services["web"].connections[endpoint]
        slow = asyncio.create_task(pointsman.get("/slow"))
        await until(lambda: endpoint.in_flight == 1)
        assert await pointsman.get() == (200, "whole")
        assert connections.idle == 1
        _, body = await say(pointsman, "drain", "1")
        assert (body["in_flight"], connections.idle) == (1, 0)
        status, text = await pointsman.get()
        assert status == 503
        assert f"its only instance is {body['reason']}" in text
        go_on.set()
        assert await slow == (200, "whole")
        await until(lambda: endpoint.in_flight == 0)
        await until(lambda: connections.open == 0)
        assert (await shown(pointsman, "1"))["in_flight"] == 0


@pytest.mark.parametrize("what", ["drain 1", "undrain 2"])
async def test_who_waits_for_a_place_is_told_or_served_at_once(tmp_path: Path, what: str) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(text="a")

    app = web.Application()
    app.router.add_route("*", "/", answer)
    limits = {"in_flight_per_endpoint": 1, "queue": 1}
    timeouts = {"queue": "1m"}
    async with (
        TestServer(app) as server,
        instance("b") as b,
        following(tmp_path, f"1=127.0.0.1:{server.port}", f"2={b}", limits=limits, timeouts=timeouts) as pointsman,
    ):
        service = pointsman.application.services["web"]
        await say(pointsman, "drain", "2")
        first = asyncio.create_task(pointsman.get())
        await until(lambda: service.traffic.in_flight == 1)
        second = asyncio.create_task(pointsman.get())
        await until(lambda: service.places is not None and service.places.waiting == 1)
        await say(pointsman, *what.split())
        status, text = await second
        if what == "undrain 2":
            assert (status, text) == (200, "b")
        else:
            assert status == 503
            assert "all of its 2 instances are drained" in text
        go_on.set()
        assert await first == (200, "a")


@pytest.mark.parametrize("what", ["drain", "undrain"])
async def test_who_may_not(tmp_path: Path, what: str) -> None:
    async with following(tmp_path, "1=127.0.0.1:9", "2=127.0.0.1:9") as pointsman:
        assert await say(pointsman, what, "3") == (404, {"error": "there is no endpoint '3' of service 'web'"})
        assert await say(pointsman, what, "1", "shop") == (404, {"error": "there is no service 'shop'"})
        status, body = await say(pointsman, what, "127.0.0.1:9")
        assert (status, body["error"]) == (
            404, "2 endpoints of service 'web' are at '127.0.0.1:9': name one by its id"
        )  # fmt: skip
        status, body = await say(pointsman, what, "1", headers={"Origin": "http://elsewhere.test"})
        assert (status, body) == (403, {"error": "pages of a browser may not do this"})
        assert (await shown(pointsman, "1"))["drained"] is False


@pytest.mark.parametrize("body", ["[]", "{", '{"reason": 1}', '{"why": "x"}', '{"reason": "a\\nb"}', "[" * 9000])
async def test_what_makes_no_sense(tmp_path: Path, body: str) -> None:
    async with following(tmp_path, "1=127.0.0.1:9") as pointsman:
        assert (await say(pointsman, "drain", "1", data=body))[0] == 400
        assert (await shown(pointsman, "1"))["drained"] is False


async def weigh(pointsman: Running, endpoint: str, **more: Any) -> tuple[int, Any]:
    url = f"{pointsman.admin_url}/api/v1/services/web/endpoints/{endpoint}"
    async with pointsman.session.patch(url, **more) as response:
        return response.status, await response.json()


async def test_a_weight_by_hand_outlives_what_the_registry_says(tmp_path: Path) -> None:
    async with following(tmp_path, "1=127.0.0.1:9", "2=127.0.0.1:10") as pointsman:
        pool = pointsman.application.services["web"].pool
        status, body = await weigh(pointsman, "1", json={"weight": 3})
        assert (status, body["weight"], body["weight_in_force"], body["weight_by_hand"]) == (200, 3, 3, 3)
        write(tmp_path, "2=127.0.0.1:10")
        await until(lambda: len(pool.endpoints) == 1)
        write(tmp_path, "1=127.0.0.1:9", "2=127.0.0.1:11")
        await until(lambda: len(pool.endpoints) == 2)
        assert {one.instance.id: one.weight for one in pool.endpoints} == {"1": 3, "2": 1}
        assert (await weigh(pointsman, "1", json={"weight": 0}))[1]["state"] == "draining"
        assert [one.instance.id for one in pool.candidates] == ["2"]
        status, body = await weigh(pointsman, "127.0.0.1:9", json={"weight": None})
        assert (status, body["weight"], body["weight_by_hand"], body["state"]) == (200, 1, None, "healthy")
        _, body = await pointsman.admin("/api/v1/events")
        told = [(one["endpoint"], one["reason"]) for one in body["events"] if one["kind"] == "reweighed"]
        assert told == [
            ("1", "its weight was set to 3, by an operator"),
            ("1", "its weight was set to 0, by an operator"),
            ("1", "its weight is its registry's again, by an operator"),
        ]


async def test_what_is_no_weight(tmp_path: Path) -> None:
    async with following(tmp_path, "1=127.0.0.1:9") as pointsman:
        for body in ("", "3", "{}", '{"weight": -1}', '{"weight": 65536}', '{"weight": true}', '{"weight": 1, "a": 1}'):
            assert (await weigh(pointsman, "1", data=body))[0] == 400, body
        assert (await weigh(pointsman, "2", json={"weight": 1}))[0] == 404
        assert (await weigh(pointsman, "1", json={"weight": 1}, headers={"Origin": "http://elsewhere.test"}))[0] == 403
        service = pointsman.application.services["web"]
        assert not service.weights
        service.weights = dict.fromkeys(map(str, range(2, 1002)), 1)
        status, body = await weigh(pointsman, "1", json={"weight": 1})
        assert (status, body) == (400, {"error": "1000 weights are set by hand, and no more may be"})
        assert (await weigh(pointsman, "1", json={"weight": None}))[0] == 200
