"""Services and routes that come from the tags in a real Consul."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.proxy.running import Running, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.servers.consul import ConsulAgent

CHANGES = int(os.environ.get("POINTSMAN_TEST_CHANGES", "8"))  # whose speed is measured; the documentation has 50
PAUSE = 0.1  # seconds between two of them


class Tagged:
    """Services with tags in a Consul that other tests use too; their hosts are their own."""

    def __init__(self, agent: ConsulAgent) -> None:
        self.agent = agent
        self.host = f"{uuid.uuid4().hex[:8]}.example"
        self.mine = f"m-{uuid.uuid4().hex[:8]}"
        self.registered: set[str] = set()

    def put(self, service: str, name: str, address: str, *tags: str, **more: Any) -> None:
        host, _, port = address.rpartition(":")
        name = f"{self.mine}-{name}"
        self.agent.register(
            {"Name": service, "ID": name, "Address": host, "Port": int(port), "Tags": [*tags], "Meta": {"t": self.mine},
             **more}
        )  # fmt: skip
        self.registered.add(name)

    def remove(self, name: str) -> None:
        self.agent.deregister(f"{self.mine}-{name}")
        self.registered.discard(f"{self.mine}-{name}")

    def service(self, name: str) -> str:
        return f"{self.mine}-{name}"

    def catalog(self, **more: Any) -> dict[str, Any]:
        return {"consul": {"address": self.agent.address, "filter": f'Service.Meta.t == "{self.mine}"'}, **more}


@pytest.fixture
def tagged(consul: ConsulAgent) -> Iterator[Tagged]:
    tagged = Tagged(consul)
    yield tagged
    for name in tagged.registered:
        consul.deregister(name)


@contextlib.asynccontextmanager
async def echo(name: str) -> AsyncIterator[str]:
    """Run an instance that answers with its name and the path asked for; one of /slow waits for a word."""

    async def answer(request: web.Request) -> web.Response:
        if "slow" in request.path:
            await request.read()
        return web.Response(text=f"{name} {request.path_qs}")

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}"


async def get(pointsman: Running, url: str) -> str:
    """Ask for host/path; return the body, or the status of a failure."""
    host, slash, path = url.partition("/")
    status, text = await pointsman.get(slash + path, headers={"Host": host})
    return text if status == 200 else str(status)


async def eventually(pointsman: Running, url: str, expected: str) -> None:
    async with asyncio.timeout(10):
        while (found := await get(pointsman, url)) != expected:
            await asyncio.sleep(0.01)
            assert found is not None


async def test_services_and_routes_come_and_go(tagged: Tagged):
    web_, api = tagged.service("web"), tagged.service("api")
    async with echo("one") as one, echo("two") as two, running({"services": {}, "catalogs": [tagged.catalog()]}) as it:
        await until(lambda: not it.application.unready())
        assert await get(it, f"{tagged.host}/") == "404"
        tagged.put(web_, "one", one, f"urlprefix-{tagged.host}/")
        await eventually(it, f"{tagged.host}/x", "one /x")
        router = "traefik.http.routers.r"
        rule = f"Host(`{tagged.host}`) && PathPrefix(`/api`)"
        tags = ("traefik.enable=true", f"{router}.rule={rule}", f"{router}.middlewares=m",
                "traefik.http.middlewares.m.stripprefix.prefixes=/api")  # fmt: skip
        tagged.put(api, "two", two, *tags)
        await eventually(it, f"{tagged.host}/api/v1?a=b", "one /api/v1?a=b")  # fabio's routes with a host come first
        tagged.put(web_, "one", one, f"urlprefix-{tagged.host}/web strip=/web")
        await eventually(it, f"{tagged.host}/api/v1?a=b", "two /v1?a=b")
        assert await get(it, f"{tagged.host}/api") == "two /"
        assert await get(it, f"{tagged.host}/web?a") == "one /?a"
        assert await get(it, f"{tagged.host}/x") == "404"
        status, shown = await it.admin("/api/v1/routes")
        assert status == 200
        assert [(route["path"], route["compare"], route["strip"], route["service"]) for route in shown["routes"]] == [
            ("/web", "letters", "/web", f"{web_}@consul"), ("/api", "letters", "/api", f"{api}@consul"),
        ]  # fmt: skip
        _, service = await it.admin(f"/api/v1/services/{api}@consul")
        assert (service["catalog"], [one["address"] for one in service["endpoints"]]) == ("consul", [two])
        tagged.remove("two")
        await eventually(it, f"{tagged.host}/api", "404")
        await until(lambda: f"{api}@consul" not in it.application.services)
        tagged.put(web_, "one", one, "v2")
        await eventually(it, f"{tagged.host}/web", "404")
        await until(lambda: not it.application.services and not it.application.catalogs.leaving)


async def test_routes_of_the_file_win_but_for_one_that_takes_everything(tagged: Tagged):
    async with echo("file") as file, echo("consul") as consul:
        tagged.put(tagged.service("web"), "one", consul, f"urlprefix-{tagged.host}/")
        routes = [{"host": tagged.host, "path": "/own", "service": "own"}, {"service": "own"}]
        config = {"services": {"own": {"discovery": {"static": [file]}}}, "routes": routes}
        async with running({**config, "catalogs": [tagged.catalog()]}) as it:
            await eventually(it, f"{tagged.host}/", "consul /")
            assert await get(it, f"{tagged.host}/own") == "file /own"
            assert await get(it, "other.example/") == "file /"


async def test_a_route_that_only_new_instances_ask_for_gets_to_no_old_one(tagged: Tagged):
    name = tagged.service("web")
    async with echo("old") as old, echo("new") as new, running({"services": {}, "catalogs": [tagged.catalog()]}) as it:
        tagged.put(name, "old", old, f"urlprefix-{tagged.host}/a")
        tagged.put(name, "new", new, f"urlprefix-{tagged.host}/a", f"urlprefix-{tagged.host}/b")
        await eventually(it, f"{tagged.host}/b", "new /b")
        assert {await get(it, f"{tagged.host}/b") for _ in range(4)} == {"new /b"}
        assert {await get(it, f"{tagged.host}/a") for _ in range(4)} == {"old /a", "new /a"}
        part = f"{name}~{tagged.host}-b@consul"
        assert set(it.application.services) == {f"{name}@consul", part}
        tagged.put(name, "old", old, f"urlprefix-{tagged.host}/a", f"urlprefix-{tagged.host}/b")
        await until(lambda: part not in it.application.services)
        assert {await get(it, f"{tagged.host}/b") for _ in range(4)} == {"old /b", "new /b"}


async def test_what_is_left_out_is_named_in_the_admin_api_the_events_and_the_metrics(tagged: Tagged):
    async with echo("one") as one, running({"services": {}, "catalogs": [tagged.catalog(tags=["fabio"])]}) as it:
        tagged.put(tagged.service("a"), "one", one, f"urlprefix-{tagged.host}/", "urlprefix-:80 proto=tcp")
        tagged.put(tagged.service("b"), "two", one, f"urlprefix-{tagged.host}/")
        tagged.put(tagged.service("c"), "three", one, "traefik.enable=true", "traefik.http.routers.r.rule=Path(`/t`)")
        await until(lambda: it.application.catalogs.left_out)
        _, shown = await it.admin("/api/v1/catalogs")
        (catalog,) = shown["catalogs"]
        assert catalog["error"] == ""
        assert [text for text in catalog["left_out"] if "TCP is not passed on, only HTTP" in text]
        assert f"{tagged.service('a')}@consul has this route already" in shown["left_out"][0]
        assert tagged.service("c") not in str(catalog["services"])
        _, events = await it.admin("/api/v1/events")
        assert [event for event in events["events"] if event["kind"] == "left_out"]
        _, metrics = await it.admin("/metrics")
        assert 'pointsman_catalog_left_out{catalog="consul"} 1.0' in metrics
        assert 'pointsman_catalog_routes{catalog="consul"} 1.0' in metrics


async def test_a_service_that_leaves_ends_after_its_last_request(tagged: Tagged):
    name = f"{tagged.service('web')}@consul"
    async with echo("one") as one, running({"services": {}, "catalogs": [tagged.catalog()]}) as it:
        tagged.put(tagged.service("web"), "one", one, f"urlprefix-{tagged.host}/")
        await eventually(it, f"{tagged.host}/", "one /")
        more = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"begun"
            await more.wait()
            yield b"ended"

        url, headers = f"{it.url}/slow", {"Host": tagged.host}
        async with aiohttp.ClientSession() as session:
            request = asyncio.create_task(session.post(url, data=slowly(), headers=headers))
            await until(lambda: it.application.services[name].traffic.in_flight)
            tagged.remove("one")
            await until(lambda: name not in it.application.services)
            assert await get(it, f"{tagged.host}/") == "404"
            assert [service.name for service in it.application.catalogs.leaving] == [name]
            _, shown = await it.admin("/api/v1/catalogs")
            assert shown["leaving"] == [{"name": name, "in_flight": 1}]
            more.set()
            answer = await request
            assert (answer.status, await answer.text()) == (200, "one /slow")
            answer.release()
        await until(lambda: not it.application.catalogs.leaving)


async def test_its_services_have_the_settings_of_the_catalog(tagged: Tagged):
    settings = {"balancer": "random", "limits": {"in_flight": 7}, "health": {"probe": {"http": "/healthz"}}}
    async with echo("one") as one, running({"services": {}, "catalogs": [tagged.catalog(settings=settings)]}) as it:
        tagged.put(tagged.service("web"), "one", one, f"urlprefix-{tagged.host}/")
        await eventually(it, f"{tagged.host}/", "one /")
        service = it.application.services[f"{tagged.service('web')}@consul"]
        assert (service.balancer, service.prober is not None) == ("random", True)
        assert service.places is not None
        assert service.places.limits.in_flight == 7


async def test_routes_outlive_their_registry_and_its_loss_of_memory(own_consul: ConsulAgent):
    tagged = Tagged(own_consul)
    async with echo("one") as one, running({"services": {}, "catalogs": [tagged.catalog()]}) as it:
        tagged.put(tagged.service("web"), "one", one, f"urlprefix-{tagged.host}/")
        await eventually(it, f"{tagged.host}/", "one /")
        await asyncio.to_thread(own_consul.kill)
        await until(lambda: it.application.catalogs.catalogs[0].error)
        assert await get(it, f"{tagged.host}/") == "one /"
        await asyncio.to_thread(own_consul.start)
        await until(lambda: not it.application.catalogs.catalogs[0].error)
        keeper = it.application.services[f"{tagged.service('web')}@consul"].sources[0].keeper
        await until(lambda: keeper.held_since is not None)
        assert await get(it, f"{tagged.host}/") == "one /"
        assert it.application.unready() == []


async def test_a_catalog_that_cannot_be_read_is_not_ready_and_says_why():
    catalog = {"consul": {"address": "http://127.0.0.1:1"}}
    async with running({"services": {}, "catalogs": [catalog]}) as it:
        await until(lambda: it.application.catalogs.catalogs[0].error)
        status, shown = await it.admin("/readyz")
        assert status == 503
        assert shown["reasons"][0].startswith("catalog consul: no list of services yet: Consul at http://127.0.0.1:1")
        _, events = await it.admin("/api/v1/events")
        assert [event["kind"] for event in events["events"]] == ["watch_failed"]


async def test_how_soon_a_new_service_is_routed_to(tagged: Tagged):
    seconds = []
    async with echo("one") as one, running({"services": {}, "catalogs": [tagged.catalog()]}) as it:
        await until(lambda: not it.application.unready())
        for number in range(CHANGES):
            await asyncio.sleep(PAUSE)  # not for luck: what follows closely comes together
            begun = time.monotonic()
            await asyncio.to_thread(
                tagged.put, tagged.service(f"s{number}"), f"{number}", one, f"urlprefix-{tagged.host}/{number}/"
            )
            while await get(it, f"{tagged.host}/{number}/") == "404":
                assert time.monotonic() < begun + 10
            seconds.append(time.monotonic() - begun)
    late = sorted(1000 * one for one in seconds)
    print(f"\n{CHANGES} services with a tag, milliseconds from asking for the registration to the first answer:")
    print(f"p50 {late[len(late) // 2]:.1f}, p99 {late[int(0.99 * (len(late) - 1))]:.1f}, worst {late[-1]:.1f}")
