"""A change of the configuration file of a whole pointsman: all of it or nothing, and what did not change survives."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy import reloading
from proxy.application import Application
from proxy.config_file import ConfigFile
from tests.proxy.edge.test_basic_auth import crypted
from tests.proxy.running import Running, instance, until
from tests.servers.ports import free_port, free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def configuration(*instances: str, **more: Any) -> dict[str, Any]:
    return {
        "listeners": [{"bind": "127.0.0.1:0"}],
        "routes": [{"service": "web"}],
        "services": {"web": {"discovery": {"static": list(instances)}}},
        "admin": {"bind": "127.0.0.1:0"},
        "drain_timeout": "1s",
        "reload": {"watch": False},
        **more,
    }


def write(folder: Path, config: object) -> None:
    file = folder / "new.yaml"
    file.write_text(json.dumps(config))
    file.rename(folder / "pointsman.yaml")


@contextlib.asynccontextmanager
async def at_work(folder: Path, config: dict[str, Any] | None) -> AsyncIterator[Running]:
    """Run pointsman with a file of this content; None: with what is there."""
    if config is not None:
        write(folder, config)
    file = ConfigFile(folder / "pointsman.yaml")
    loaded = file.load()
    application = Application(loaded.config, file, loaded)
    async with aiohttp.ClientSession() as session:
        try:
            await application.start()
            await until(lambda: not application.unready())
            yield Running(application, session)
        finally:
            await application.stop()


async def post(pointsman: Running, path: str = "/-/reload", **headers: str) -> tuple[int, Any]:
    async with pointsman.session.post(pointsman.admin_url + path, headers=headers) as response:
        return response.status, await response.json()


async def test_what_did_not_change_survives(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b:
        config = configuration(a)
        async with at_work(tmp_path, config) as pointsman:
            app = pointsman.application
            service, listener = app.services["web"], app.listeners[0]
            (endpoint,) = service.pool.endpoints
            assert await pointsman.get() == (200, "a")
            await post(pointsman, f"/api/v1/services/web/endpoints/{endpoint.instance.id}/drain")
            assert (await post(pointsman))[1]["result"] == "unchanged"
            config["services"]["other"] = {"discovery": {"static": [b]}}
            config["services"]["web"] |= {"balancer": "least_request", "limits": {"in_flight": 5}}
            config["routes"].insert(0, {"path": "/b", "service": "other"})
            write(tmp_path, config)
            status, body = await post(pointsman)
            assert (status, body["result"]) == (200, "applied")
            assert body["changed"] == ["service web: balancer", "service web: limits", "service other is new", "routes"]
            assert app.services["web"] is service
            assert list(service.pool.endpoints) == [endpoint]
            assert endpoint.drained
            assert endpoint.requests == 1
            assert app.listeners == [listener]
            assert await pointsman.get("/b") == (200, "b")
            assert (service.balancer, service.places is not None) == ("least_request", True)


async def test_a_changed_discovery_keeps_the_old_set_until_the_new_one_is_told(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b:
        config = configuration(a)
        async with at_work(tmp_path, config) as pointsman:
            config["services"]["web"]["discovery"] = {"http": {"url": "http://127.0.0.1:9/nobody"}}
            write(tmp_path, config)
            assert (await post(pointsman))[0] == 200
            assert await pointsman.get() == (200, "a")
            assert not pointsman.application.unready()
            config["services"]["web"]["discovery"] = {"static": [b]}
            write(tmp_path, config)
            assert (await post(pointsman))[0] == 200
            pool = pointsman.application.services["web"].pool
            await until(lambda: [one.instance.authority for one in pool.endpoints] == [b])
            assert await pointsman.get() == (200, "b")


MISTAKES: dict[str, tuple[dict[str, Any], int, str]] = {
    "a mistake": ({"drain_timeout": "soon"}, 400, "drain_timeout: must be a duration"),
    "needs a restart": ({"admin": {"bind": "127.0.0.1:1"}}, 409, "admin cannot change while it runs"),
    "no such folder": ({"access_log": {"path": "/nowhere/at/all.log"}}, 500, "cannot write the access log"),
}


@pytest.mark.parametrize("what", [*MISTAKES, "half written", "cannot be bound"])
async def test_a_refused_file_leaves_all_as_it_was(tmp_path: Path, what: str) -> None:
    async with instance("a") as a:
        config = configuration(a)
        async with at_work(tmp_path, config) as pointsman:
            app = pointsman.application
            before = app.config
            port = free_port()
            bad = {**config, "routes": [{"path": "/x", "service": "web"}], **MISTAKES.get(what, ({},))[0]}
            taken = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
            if what == "cannot be bound":
                bad["listeners"] = [*config["listeners"], {"bind": f"127.0.0.1:{port}"}]
            write(tmp_path, bad)
            if what == "half written":
                (tmp_path / "pointsman.yaml").write_text(json.dumps(bad)[:50])
            status, body = await post(pointsman)
            _, expected, text = MISTAKES.get(what, ({}, 0, ""))
            assert status == (expected or (500 if what == "cannot be bound" else 400))
            assert text in body["error"]
            assert app.config is before
            assert await pointsman.get() == (200, "a")
            assert len(app.listeners) == 1
            _, metrics = await pointsman.admin("/metrics")
            assert 'pointsman_config_reloads_total{result="refused"} 1.0' in metrics
            assert "pointsman_config_last_reload_success 0.0" in metrics
            _, shown = await pointsman.admin("/api/v1/config")
            assert shown["last_reload"]["errors"] == body["errors"]
            _, events = await pointsman.admin("/api/v1/events")
            assert events["events"][-1]["kind"] == "reload_refused"
            taken.close()
            write(tmp_path, config)
            assert (await post(pointsman))[1]["result"] == "unchanged"
            assert "pointsman_config_last_reload_success 1.0" in (await pointsman.admin("/metrics"))[1]


@pytest.mark.parametrize("what", ["nothing", "a folder", "a pipe", "a device", "too much", "a link to itself"])
async def test_what_is_no_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    async with instance("a") as a, at_work(tmp_path, configuration(a)) as pointsman:
        file = tmp_path / "pointsman.yaml"
        file.unlink()
        match what:
            case "a folder":
                file.mkdir()
            case "a pipe":
                os.mkfifo(file)
            case "a device":
                file.symlink_to("/dev/zero")
            case "too much":
                file.write_text(json.dumps(configuration(a)) + "\n" + "# much\n" * 2**20)
            case "a link to itself":
                file.symlink_to(file)
        status, body = await asyncio.wait_for(post(pointsman), 5)
        assert (status, body["result"]) == (400, "refused")
        assert "larger than 4 MiB" in body["error"] if what == "too much" else "cannot be read: " in body["error"]
        assert await pointsman.get() == (200, "a")


async def test_listeners_come_and_go_and_a_wider_address_takes_over(tmp_path: Path) -> None:
    one, two = free_ports(2)
    async with instance("a") as a:
        config = configuration(a, listeners=[{"bind": f"127.0.0.1:{one}"}, {"bind": f"127.0.0.1:{two}"}])
        async with at_work(tmp_path, config) as pointsman:
            app, first = pointsman.application, pointsman.application.listeners[0]
            assert await pointsman.get() == (200, "a")
            for binds in (
                [f"127.0.0.1:{one}", f":{two}"],
                [f"127.0.0.1:{one}"],
                [f"127.0.0.1:{two}", f"127.0.0.1:{one}"],
                [f"127.0.0.1:{one}", f":{two}"],
                [f"127.0.0.1:{two}", f"127.0.0.1:{one}"],
            ):
                write(tmp_path, {**config, "listeners": [{"bind": bind} for bind in binds]})
                status, body = await post(pointsman)
                assert status == 200, body
                assert first in app.listeners
                assert await pointsman.get() == (200, "a")
                for bind in binds:
                    async with pointsman.session.get(f"http://127.0.0.1:{bind.rpartition(':')[2]}/") as response:
                        assert await response.text() == "a"
            await until(lambda: not app.departing, 5)


async def test_what_is_in_flight_ends_at_a_service_that_is_gone(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_route("*", "/", answer)
    async with TestServer(app) as server, instance("b") as b:
        config = configuration(f"127.0.0.1:{server.port}")
        async with at_work(tmp_path, config) as pointsman:
            service = pointsman.application.services["web"]
            slow = asyncio.create_task(pointsman.get())
            await until(lambda: service.traffic.in_flight)
            new = configuration(routes=[{"service": "new"}], services={"new": {"discovery": {"static": [b]}}})
            write(tmp_path, new)
            assert (await post(pointsman))[0] == 200
            assert list(pointsman.application.services) == ["new"]
            await until(lambda: not pointsman.application.unready())
            assert await pointsman.get() == (200, "b")
            go_on.set()
            assert await slow == (200, "whole")
            await until(lambda: not pointsman.application.catalogs.leaving)


async def test_who_is_connected_to_a_listener_that_goes_passes_the_guards_that_go_with_it(tmp_path: Path) -> None:
    one, two = free_ports(2)
    (tmp_path / "users").write_bytes(b"ada:" + crypted(b"secret") + b"\n")
    async with instance("a") as a, instance("b") as b:
        guarded: dict[str, Any] = {"forward_auth": {"service": "auth"}, "basic_auth": {"file": "users"}}
        config = configuration(a, routes=[{"service": "web", **guarded}])
        config["services"]["auth"] = {"discovery": {"static": [b]}}
        config["listeners"] = [{"bind": f"127.0.0.1:{port}"} for port in (one, two)]
        async with at_work(tmp_path, config) as pointsman:
            reader, writer = await asyncio.open_connection("127.0.0.1", two)
            head = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic " + base64.b64encode(b"ada:secret") + b"\r\n"
            writer.write(head)
            (listener,) = [one for one in pointsman.application.listeners if str(two) in str(one.bind)]
            await until(lambda: listener.clients)
            await asyncio.sleep(0.05)  # so that it has begun to send
            write(tmp_path, configuration(a, listeners=config["listeners"][:1]))
            assert (await post(pointsman))[1]["result"] == "applied"
            assert not pointsman.application.guards.files
            writer.write(b"\r\n")
            assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200 ")
            writer.close()


async def test_a_password_that_is_being_checked_is_checked_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"".join(b"%c:%b\n" % (name, crypted(b"secret", 10)) for name in b"abcdef"))
    async with instance("a") as a:
        config = configuration(a, routes=[{"service": "web", "basic_auth": {"file": "users"}}])
        async with at_work(tmp_path, config) as pointsman:
            url = f"http://127.0.0.1:{pointsman.application.listeners[0].ports[0]}/"

            async def get(name: str) -> int:
                credentials = base64.b64encode(f"{name}:secret".encode()).decode()
                async with pointsman.session.get(url, headers={"Authorization": f"Basic {credentials}"}) as response:
                    return response.status

            asking = [asyncio.create_task(get(name)) for name in "abcdef"]
            (file,) = pointsman.application.guards.files.values()
            await until(lambda: file.checked)
            write(tmp_path, configuration(a))
            assert (await post(pointsman))[1]["result"] == "applied"
            assert await asyncio.gather(*asking) == [200] * 6


async def test_the_file_is_watched(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b:
        config = configuration(a, reload={"watch": True})
        async with at_work(tmp_path, config) as pointsman:
            reloader = pointsman.application.reloader
            write(tmp_path, {"listeners": []})
            await until(lambda: reloader.counts["refused"] == 1)
            write(tmp_path, configuration(b, reload={"watch": True}))
            await until(lambda: reloader.counts["applied"] == 1)
            assert reloader.last is not None
            assert reloader.last.why == "its file has changed"


async def test_a_folder_that_is_swapped_behind_links_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kubernetes changes a ConfigMap: pointsman.yaml leads to ..data/pointsman.yaml, and ..data to a new folder."""
    monkeypatch.setattr(reloading, "LOOK", 0.02)
    monkeypatch.setattr(reloading, "SETTLED", 0.01)

    def put(name: str, config: dict[str, Any]) -> None:
        (tmp_path / name).mkdir()
        write(tmp_path / name, config)
        (tmp_path / "..data_tmp").symlink_to(name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    async with instance("a") as a, instance("b") as b:
        put("..1", configuration(a, reload={"watch": True}))
        (tmp_path / "pointsman.yaml").symlink_to("..data/pointsman.yaml")
        async with at_work(tmp_path, None) as pointsman:
            reloader = pointsman.application.reloader
            assert await pointsman.get() == (200, "a")
            for number, (address, name) in enumerate([(b, "b"), (a, "a")], 1):
                put(f"..{number + 1}", configuration(address, reload={"watch": True}))
                await until(lambda number=number: reloader.counts["applied"] == number)  # type: ignore[misc]
                assert await pointsman.get() == (200, name)
                assert not reloader.counts["refused"]


async def test_who_asks_at_the_same_time_shares_a_reload(tmp_path: Path) -> None:
    async with at_work(tmp_path, configuration("127.0.0.1:9")) as pointsman:
        reloader = pointsman.application.reloader
        await asyncio.gather(*(reloader.reload("test") for _ in range(10)))
        assert sum(reloader.counts.values()) == 1


async def test_drain_by_the_admin_api_and_who_may_not(tmp_path: Path) -> None:
    async with at_work(tmp_path, configuration("127.0.0.1:9")) as pointsman:
        for path in ("/-/reload", "/-/drain"):
            assert (await post(pointsman, path, Origin="http://elsewhere.test"))[0] == 403
        assert not pointsman.application.ending
        assert await post(pointsman, "/-/drain") == (200, {"status": "draining", "in_flight": 0})
        assert pointsman.application.ending
        assert (await post(pointsman))[0] == 200  # nothing has changed


async def test_splits_and_limits_go_on_where_they_stopped(tmp_path: Path) -> None:
    async with instance("a") as a, instance("b") as b:
        config = configuration(a)
        config["services"]["canary"] = {"discovery": {"static": [b]}}
        config["splits"] = {"both": {"services": {"web": 1, "canary": 0}}}
        config["routes"] = [
            {"path": "/few", "service": "web", "rate_limit": {"requests": 1, "per": "1h"}},
            {"split": "both"},
        ]
        async with at_work(tmp_path, config) as pointsman:
            app = pointsman.application
            url = f"{pointsman.admin_url}/api/v1/splits/both"
            async with pointsman.session.patch(url, json={"services": {"web": 0, "canary": 1}}) as response:
                assert response.status == 200
            assert await pointsman.get() == (200, "b")
            assert (await pointsman.get("/few"))[0] == 200
            config["services"]["web"]["limits"] = {"in_flight": 7}
            config["routes"].insert(0, {"path": "/new", "service": "web"})
            write(tmp_path, config)
            assert (await post(pointsman))[1]["result"] == "applied"
            assert await pointsman.get() == (200, "b")
            assert (await pointsman.get("/few"))[0] == 429
            assert app.splits["both"].requests == {"web": 0, "canary": 2}
            config["splits"]["both"]["services"] = {"web": 3, "canary": 0}
            del config["routes"][1]
            write(tmp_path, config)
            assert (await post(pointsman))[1]["result"] == "applied"
            assert await pointsman.get() == (200, "a")
            assert not app.guards.of_routes
