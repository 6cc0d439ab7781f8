"""What both a real Consul and the embedded registry do over time: blocking queries, checks that turn, py-consul."""

from __future__ import annotations

import asyncio
import time
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import consul
import consul.aio
import pytest
from aiohttp import web
from yarl import URL

from tests.discovery.embedded.client import eventually
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.discovery.embedded.client import Answer, Client


@asynccontextmanager
async def py_consul(registry: Client) -> AsyncIterator[Any]:
    url = URL(registry.address)
    with warnings.catch_warnings():
        # py-consul 1.8 hands aiohttp an argument that it will lose in version 4
        warnings.filterwarnings("ignore", "ssl_context is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "verify_ssl is deprecated", DeprecationWarning)
        client = consul.aio.Consul(host=url.host, port=url.port)
    yield client
    await client.close()


async def settled(registry: Client, name: str) -> int:
    """Return the service's index once nothing moves it any more."""
    last = 0
    while (index := (await registry.health(name)).index) != last:
        last = index
        await asyncio.sleep(0.1)
    return last


@asynccontextmanager
async def blocked(registry: Client, path: str) -> AsyncIterator[asyncio.Task[Answer]]:
    """Ask a blocking query, and go on when it blocks."""
    task = asyncio.create_task(registry.get(path))
    await asyncio.sleep(0.2)
    assert not task.done(), f"{path} did not block"
    try:
        yield task
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()


async def test_py_consul_registers_and_reads(registry: Client):
    name = registry.name("web")
    async with py_consul(registry) as client:
        assert await client.agent.service.register(
            name, service_id=f"{name}-1", address="10.0.0.1", port=80, tags=["a"], meta={"zone": "a"},
            weights={"Passing": 3, "Warning": 1}, check=consul.Check.ttl("1m"),
        )  # fmt: skip
        assert await client.agent.check.ttl_pass(f"service:{name}-1", notes="well")

        async def passing() -> list[str]:
            _, entries = await client.health.service(name, passing=True, tag="a")
            return [entry["Service"]["ID"] for entry in entries]

        await eventually(passing, [f"{name}-1"])
        index, entries = await client.health.service(name)
        assert int(index) >= 1
        assert entries[0]["Service"]["Weights"] == {"Passing": 3, "Warning": 1}
        assert (await client.agent.services())[f"{name}-1"]["Port"] == 80
        assert (await client.catalog.services())[1][name] == ["a"]
        assert await client.agent.service.maintenance(f"{name}-1", True, reason="disk")
        await eventually(passing, [])
        assert await client.agent.service.deregister(f"{name}-1")
        assert f"{name}-1" not in await client.agent.services()
        assert await client.status.leader()
        assert (await client.agent.self())["Config"]["Datacenter"] == "dc1"


@pytest.mark.parametrize(
    "check",
    [consul.Check.ttl("30s"), consul.Check.tcp("127.0.0.1", 1, "1h", timeout="1s"),
     consul.Check.http("http://127.0.0.1:1/", "1h", timeout="1s", deregister="2h", header={"X-A": ["b"]})],
    ids=["ttl", "tcp", "http"],
)  # fmt: skip
async def test_py_consul_registers_checks(registry: Client, check: dict[str, Any]):
    name = registry.name("web")
    async with py_consul(registry) as client:
        assert await client.agent.service.register(name, check=check)
        assert f"service:{name}" in await client.agent.checks()


async def test_a_query_blocks_until_its_service_changes(registry: Client):
    name = registry.name("web")
    await registry.register(name)
    index = await settled(registry, name)
    async with blocked(registry, f"/v1/health/service/{name}?index={index}&wait=30s") as query:
        await registry.register(name, Port=81)
    answer = query.result()
    assert answer.index > index
    assert answer.json[0]["Service"]["Port"] == 81


@pytest.mark.parametrize("change", ["service", "deregister", "status", "maintenance", "node maintenance", "check"])
async def test_what_wakes_a_query(registry: Client, change: str):
    name = registry.name("web")
    await registry.register(name, Check={"TTL": "1m", "Status": "passing"})
    index = await settled(registry, name)
    path, body = {
        "service": ("service/register", {"Name": name, "Tags": ["new"]}),
        "deregister": (f"service/deregister/{name}", None),
        "status": (f"check/warn/service:{name}", None),
        "maintenance": (f"service/maintenance/{name}?enable=true", None),
        "node maintenance": ("maintenance?enable=true", None),
        "check": ("check/register", {"Name": registry.name("c"), "ServiceID": name, "TTL": "1m"}),
    }[change]
    async with blocked(registry, f"/v1/health/service/{name}?index={index}&wait=30s") as query:
        assert (await registry.put(f"/v1/agent/{path}", body)).status == 200
    assert query.result().index > index
    await registry.put("/v1/agent/maintenance?enable=false")


async def test_a_query_ends_with_the_same_index_when_nothing_changes(registry: Client):
    name = registry.name("web")
    await registry.register(name)
    index = await settled(registry, name)
    began = time.monotonic()
    answer = await registry.health(name, f"index={index}&wait=400ms")
    assert 0.4 <= time.monotonic() - began < 5
    assert answer.index == index
    assert len(answer.json) == 1


async def test_an_index_from_the_future_waits_and_gets_the_present_one(registry: Client):
    name = registry.name("web")
    await registry.register(name)
    index = await settled(registry, name)
    began = time.monotonic()
    answer = await registry.health(name, f"index={index + 1_000_000}&wait=300ms")
    assert time.monotonic() - began >= 0.3
    assert answer.index == index


async def test_a_query_waits_for_a_service_that_is_not_there_yet(registry: Client):
    name = registry.name("web")
    answer = await registry.health(name)
    assert (answer.json, answer.index >= 1) == ([], True)
    async with blocked(registry, f"/v1/health/service/{name}?index={answer.index}&wait=30s") as query:
        await registry.register(name)
    assert [entry["Service"]["ID"] for entry in query.result().json] == [name]


async def test_an_old_index_is_answered_at_once(registry: Client):
    name = registry.name("web")
    await registry.register(name)
    await eventually(lambda: registry.ids(name, "index=1&wait=10s"), [name], deadline=3)


async def test_a_renewed_ttl_wakes_nobody(registry: Client):
    name = registry.name("web")
    await registry.register(name, Check={"TTL": "1m"})
    await registry.put(f"/v1/agent/check/pass/service:{name}?note=well")
    index = await settled(registry, name)
    async with blocked(registry, f"/v1/health/service/{name}?index={index}&wait=500ms") as query:
        await registry.put(f"/v1/agent/check/pass/service:{name}?note=well")
    assert query.result().index == index


async def test_another_service_changes_nothing_in_the_answer(registry: Client):
    name = registry.name("web")
    await registry.register(name)
    index = await settled(registry, name)
    before = (await registry.health(name)).json
    async with blocked(registry, f"/v1/health/service/{name}?index={index}&wait=500ms") as query:
        await registry.register(registry.name("other"))
    assert query.result().json == before


async def test_the_list_of_services_blocks_until_it_changes(registry: Client):
    await registry.register(registry.name("web"))
    name = registry.name("later")

    async def woken() -> bool:
        index = (await registry.get("/v1/catalog/services")).index
        answer = asyncio.create_task(registry.get(f"/v1/catalog/services?index={index}&wait=5s"))
        await asyncio.sleep(0.1)
        await registry.register(name, Tags=["x"])
        return bool((await answer).json.get(name) == ["x"])

    await eventually(woken, True)


async def test_the_list_of_checks_blocks_until_one_changes(registry: Client):
    name = registry.name("web")
    await registry.register(name, Check={"CheckID": f"{name}-ttl", "TTL": "1m", "Status": "passing"})

    async def state() -> str | None:
        checks = {check["CheckID"]: check for check in (await registry.get("/v1/health/state/any")).json}
        return checks[f"{name}-ttl"]["Status"] if f"{name}-ttl" in checks else None

    await eventually(state, "passing")

    async def woken() -> bool:
        index = (await registry.get("/v1/health/state/any")).index
        answer = asyncio.create_task(registry.get(f"/v1/health/state/any?index={index}&wait=5s"))
        await asyncio.sleep(0.1)
        await registry.put(f"/v1/agent/check/{'warn' if await state() == 'passing' else 'pass'}/{name}-ttl")
        return f"{name}-ttl" in {check["CheckID"] for check in (await answer).json}

    await eventually(woken, True)


async def test_a_check_of_each_status(registry: Client):
    name = registry.name("web")
    await registry.register(name, Checks=[{"TTL": "1m", "Status": "passing"}, {"TTL": "1m", "Status": "passing"}])
    await eventually(lambda: registry.ids(name, "passing"), [name])
    await registry.put(f"/v1/agent/check/warn/service:{name}:2")
    await eventually(lambda: registry.ids(name, "passing"), [])
    assert list((await registry.statuses(name)).values()) == ["passing", "warning"]
    assert await registry.ids(name) == [name]


async def test_a_ttl_check_from_registration_to_its_end(registry: Client):
    name = registry.name("web")
    await registry.register(name, Check={"TTL": "1s"})
    await eventually(lambda: registry.statuses(name), {f"service:{name}": "critical"})
    for status in ("pass", "warn", "pass"):
        await registry.put(f"/v1/agent/check/{status}/service:{name}")
        word = {"pass": "passing", "warn": "warning"}[status]
        await eventually(lambda: registry.statuses(name), {f"service:{name}": word})
    await eventually(lambda: registry.statuses(name), {f"service:{name}": "critical"})


async def test_a_renewed_ttl_does_not_run_out(registry: Client):
    name = registry.name("web")
    await registry.register(name, Check={"TTL": "1s"})
    until = time.monotonic() + 1.8
    while time.monotonic() < until:
        await registry.put(f"/v1/agent/check/pass/service:{name}")
        await asyncio.sleep(0.1)
    assert await registry.statuses(name) == {f"service:{name}": "passing"}


@asynccontextmanager
async def answering(statuses: list[int], port: int = 0) -> AsyncIterator[int]:
    """Serve the last of `statuses`, and yield the port."""

    async def handler(request: web.Request) -> web.Response:
        if request.headers.get("X-Probe") != "yes":
            return web.Response(status=400)
        return web.Response(status=statuses[-1], text="said")

    application = web.Application()
    application.router.add_get("/health", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_an_http_check_turns_with_what_it_finds(registry: Client):
    name = registry.name("web")
    statuses = [200]
    async with answering(statuses) as port:
        url = f"http://127.0.0.1:{port}/health"
        check = {"HTTP": url, "Interval": "1s", "Timeout": "1s", "Header": {"X-Probe": ["yes"]}}
        await registry.register(name, Check=check)
        for status, word in ((200, "passing"), (503, "critical"), (429, "warning"), (204, "passing")):
            statuses.append(status)
            await eventually(lambda: registry.statuses(name), {f"service:{name}": word})
    await eventually(lambda: registry.statuses(name), {f"service:{name}": "critical"})


async def test_a_tcp_check_turns_with_what_it_finds(registry: Client):
    name = registry.name("web")
    port = free_port()
    await registry.register(name, Check={"TCP": f"127.0.0.1:{port}", "Interval": "1s", "Status": "passing"})
    await eventually(lambda: registry.statuses(name), {f"service:{name}": "critical"})
    async with answering([200], port):
        await eventually(lambda: registry.statuses(name), {f"service:{name}": "passing"})


async def test_some_failures_in_a_row_are_forgiven(registry: Client):
    name = registry.name("web")
    async with answering([200]) as port:
        check = {"TCP": f"127.0.0.1:{port}", "Interval": "1s", "FailuresBeforeCritical": 3}
        await registry.register(name, Check=check)
        await eventually(lambda: registry.statuses(name), {f"service:{name}": "passing"})
    away = time.monotonic()
    await eventually(lambda: registry.statuses(name), {f"service:{name}": "critical"})
    assert time.monotonic() - away > 1.5


async def test_a_probed_check_stops_with_its_service(registry: Client):
    name = registry.name("web")
    async with answering([200]) as port:
        check = {"TCP": f"127.0.0.1:{port}", "Interval": "1s"}
        await registry.register(name, Check=check)
        await eventually(lambda: registry.statuses(name), {f"service:{name}": "passing"})
        await registry.put(f"/v1/agent/service/deregister/{name}")
    await eventually(lambda: registry.ids(name), [])
    checks = (await registry.get("/v1/agent/checks")).json
    assert f"service:{name}" not in checks
