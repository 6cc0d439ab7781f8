"""Redirects, fixed answers, rewriting and splits, of a whole pointsman and its admin API."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from proxy.cli import main
from tests.proxy.running import Running, instance, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROUTES: list[dict[str, Any]] = [
    {"host": "secure.test", "redirect": {"scheme": "https", "status": 301}},
    {"host": "old.test", "redirect": {"host": "new.test", "port": 8443, "status": 308}},
    {"path_regex": "^/from/(.*)$", "redirect": {"path": "/to/\\1"}},
    {"path_regex": "^/away/(.*)$", "redirect": {"path": "/\\1"}},
    {"path": "/closed", "answer": {"status": 503, "body": "back soon", "headers": {"Retry-After": "60"}}},
    {"path_exact": "/nothing", "answer": {"status": 204}},
    {"path": "/strip", "strip_prefix": True, "service": "web"},
    {"path": "/old", "rewrite": {"path": "/new"}, "service": "web"},
    {"path": "/re", "rewrite": {"regex": "^/re/(.*)/x", "to": "/y/\\1"}, "service": "web"},
    {"path": "/ws", "headers": {"Upgrade": {"regex": "(?i)^websocket$"}}, "answer": {"body": "a socket"}},
    {"path": "/made", "methods": ["POST"], "answer": {"status": 201}},
    {"path": "/deep", "query": {"debug": "1"}, "answer": {"body": "deep"}},
    {"path": "/inside", "clients": ["10.0.0.0/8"], "answer": {"body": "inside"}},
    {"service": "web"},
]


@asynccontextmanager
async def routed(routes: list[dict[str, Any]] = ROUTES, **more: Any) -> AsyncIterator[Running]:
    """A pointsman whose instance answers with the target that it was asked for."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.raw_path)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        services = {"web": {"discovery": {"static": [f"127.0.0.1:{server.port}"]}}}
        async with running({"services": services, "routes": routes, **more}) as pointsman:
            await until(lambda: not pointsman.application.unready())
            yield pointsman


async def raw(pointsman: Running, *requests: bytes) -> bytes:
    """Send requests as they are on one connection, and return all that comes until it is closed."""
    port = pointsman.application.listeners[0].ports[0]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"".join(requests))
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


def get(target: str, host: str = "h", method: str = "GET", more: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


@pytest.mark.parametrize(
    ("host", "target", "status", "location"),
    [
        ("secure.test:8080", "/a?b=c", b"301", b"https://secure.test/a?b=c"),
        ("secure.test", "//evil.test/a", b"301", b"https://secure.test//evil.test/a"),
        ("old.test", "/a/b", b"308", b"http://new.test:8443/a/b"),
        ("h", "/from/a?x=1", b"302", b"/to/a?x=1"),
        ("h", "/from/", b"302", b"/to/"),
        ("h", "/away//evil.test", b"302", b"/evil.test"),
        ("h", "/away/\\evil.test", b"302", b"/evil.test"),
        ("h", "/away/%0d%0aX:%20y", b"302", b"/%0D%0AX:%20y"),
    ],
)
async def test_redirects(host: str, target: str, status: bytes, location: bytes) -> None:
    async with routed() as pointsman:
        head = await raw(pointsman, get(target, host))
    assert head.startswith(b"HTTP/1.1 " + status)
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Location")] == [b"Location: " + location]


async def test_a_redirect_that_would_change_nothing_lets_requests_pass() -> None:
    routes: list[dict[str, Any]] = [{"redirect": {"scheme": "https"}}, {"service": "web"}]
    async with routed(routes, trusted_proxies=["127.0.0.1"]) as pointsman:
        assert (await raw(pointsman, get("/")))[9:12] == b"302"
        assert (await raw(pointsman, get("/", more="X-Forwarded-Proto: https\r\n")))[9:12] == b"200"
    async with routed(routes) as pointsman:  # whom nobody believes
        assert (await raw(pointsman, get("/", more="X-Forwarded-Proto: https\r\n")))[9:12] == b"302"


async def test_no_redirect_leads_to_itself() -> None:
    routes: list[dict[str, Any]] = [
        {"host": "moved.test", "redirect": {"host": "here.test", "path": "/b"}},
        {"path_regex": "^/articles/(.*)$", "redirect": {"path": "/articles/\\1"}},
        {"redirect": {"path": "/b"}},
        {"service": "web"},
    ]
    async with routed(routes) as pointsman:
        for target in ("/a", "/b/", "/%62/"):
            assert b"Location: /b\r\n" in await raw(pointsman, get(target))
        for target in ("/b", "/b?x", "/%62"):
            assert (await raw(pointsman, get(target)))[9:12] == b"200"
        assert b"Location: http://here.test/b\r\n" in await raw(pointsman, get("/b", host="moved.test"))
        assert b"Location: /b\r\n" in await raw(pointsman, get("/articles/1"))
        assert (await raw(pointsman, get("/articles/" + 1024 * "a")))[9:12] == b"414"


async def test_fixed_answers_and_bodies_that_are_not_read() -> None:
    async with routed() as pointsman:
        status, text = await pointsman.get("/closed/now")
        assert (status, text) == (503, "back soon")
        told = await raw(pointsman, get("/closed", method="HEAD"))
        assert b"Content-Length: 9\r\n" in told
        assert b"Retry-After: 60\r\n" in told
        assert told.endswith(b"\r\n\r\n")
        told = await raw(pointsman, get("/nothing"))
        assert told.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"Content-" not in told
        # A body that is there is skipped, and the next request answered; one that is not ends the connection.
        both = await raw(
            pointsman, b"POST /closed HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", get("/made", method="POST")
        )
        assert (both.count(b"HTTP/1.1 503"), both.count(b"HTTP/1.1 201")) == (1, 1)
        cut = await raw(pointsman, b"POST /closed HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\nabc")
        assert b"Connection: close" in cut
        _, metrics = await pointsman.admin("/metrics")
        assert 'code="5xx",listener="127.0.0.1:0"} 4.0' in metrics


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/strip/a?b", "/a?b"), ("/strip", "/"), ("/strip//evil.test", "/evil.test"), ("/%73trip/a", "/a"),
        ("/strip/%2e%2e/strip/a", "/a"), ("/strip/a%20b", "/a%20b"), ("/old/a", "/new/a"), ("/old?x", "/new?x"),
        ("/re/a/x?q", "/y/a?q"), ("/re/a", "/re/a"), ("/plain/%61/../b", "/plain/%61/../b"),
    ],
)  # fmt: skip
async def test_rewriting(target: str, sent: str) -> None:
    async with routed() as pointsman:
        answer = await raw(pointsman, get(target))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n" + sent.encode())


async def test_conditions() -> None:
    async with routed() as pointsman:
        assert await pointsman.get("/made") == (200, "/made")
        async with pointsman.session.post(pointsman.url + "/made") as made:
            assert made.status == 201
        assert (await pointsman.get("/deep?debug=1"))[1] == "deep"
        assert (await pointsman.get("/deep?debug=2"))[1] == "/deep?debug=2"
        assert (await pointsman.get("/inside"))[1] == "/inside"
        upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
        told = await raw(pointsman, f"GET /ws HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n".encode())
        assert told.endswith(b"a socket")
        assert (await raw(pointsman, get("/x/..%2fclosed")))[9:12] == b"400"
        assert (await raw(pointsman, get("/x/../closed")))[9:12] == b"503"
        _, shown = await pointsman.admin("/api/v1/routes")
        found = {route["path"]: route for route in shown["routes"]}
        assert found["^/from/(.*)$"]["compare"] == "regex"
        assert found["/nothing"]["compare"] == "whole"
        assert found["/deep"]["query"] == {"debug": "1"}
        assert found["/inside"]["clients"] == ["10.0.0.0/8"]
        assert found["/closed"]["answer"]["status"] == 503


@asynccontextmanager
async def shared(**split: Any) -> AsyncIterator[Running]:
    async with AsyncExitStack() as stack:
        web_, canary = [await stack.enter_async_context(instance(name)) for name in ("web", "canary")]
        services = {
            "web": {"discovery": {"static": [web_]}},
            "canary": {"discovery": {"static": [canary]}, "limits": {"body": 5}},
        }
        config = {"services": services, "routes": [{"split": "new"}], "splits": {"new": split}}
        pointsman = await stack.enter_async_context(running(config))
        await until(lambda: not pointsman.application.unready())
        yield pointsman


async def patch(pointsman: Running, body: object, **more: Any) -> tuple[int, Any]:
    async with pointsman.session.patch(f"{pointsman.admin_url}/api/v1/splits/new", json=body, **more) as response:
        return response.status, await response.json()


async def test_a_split_is_shared_by_weight_and_changed_live() -> None:
    async with shared(services={"web": 1, "canary": 0}) as pointsman:
        assert {(await pointsman.get())[1] for _ in range(10)} == {"web"}
        status, body = await patch(pointsman, {"services": {"web": 0, "canary": 7}})
        assert (status, body["services"]) == (200, {"web": 0, "canary": 7})
        assert {(await pointsman.get())[1] for _ in range(10)} == {"canary"}
        assert (await patch(pointsman, {"services": {"web": 7}}))[1]["shares"] == {"web": 0.5, "canary": 0.5}
        assert {(await pointsman.get())[1] for _ in range(100)} == {"web", "canary"}
        _, metrics = await pointsman.admin("/metrics")
        assert 'pointsman_split_weight{service="web",split="new"} 7.0' in metrics
        _, listed = await pointsman.admin("/api/v1/splits")
        assert sum(listed["splits"][0]["requests"].values()) == 120
        _, events = await pointsman.admin("/api/v1/events?service=split:new")
        assert [event["kind"] for event in events["events"]] == ["reweighed", "reweighed"]
        mistakes: tuple[Any, ...] = (
            {}, [], {"services": {}}, {"services": {"x": 1}}, {"services": {"web": -1}}, {"services": {"web": True}},
            {"services": {"web": 0, "canary": 0}}, {"services": {"web": 1}, "x": 1}, {"services": {"web": 1.5}},
        )  # fmt: skip
        for wrong in mistakes:
            assert (await patch(pointsman, wrong))[0] == 400, wrong
        assert (await patch(pointsman, {"services": {"web": 1}}, headers={"Origin": "http://x"}))[0] == 403
        assert pointsman.application.splits["new"].weights == {"web": 7, "canary": 7}


async def test_the_command_changes_the_weights() -> None:
    async with shared(services={"web": 95, "canary": 5}) as pointsman:
        admin = f"127.0.0.1:{pointsman.application.admin_port}"

        async def split(*arguments: str) -> tuple[int, str]:
            done = await asyncio.to_thread(CliRunner().invoke, main, ["split", "--admin", admin, *arguments])
            return done.exit_code, "".join(sorted(done.output.splitlines(keepends=True), reverse=True))

        assert await split("new", "web=50", "canary=50") == (
            0, "web: weight 50, 50.0% of what is new\ncanary: weight 50, 50.0% of what is new\n"
        )  # fmt: skip
        assert pointsman.application.splits["new"].weights == {"web": 50, "canary": 50}
        assert (await split("new"))[0] == 0
        assert await split("old", "web=1") == (1, "pointsman: there is no split 'old'\n")
        assert (await split("new", "web"))[0] == 2
        assert (await split("new", "web=1", "web=2"))[0] == 2


async def test_a_client_stays_on_its_side_while_it_has_a_weight() -> None:
    async with shared(services={"web": 0, "canary": 1}, sticky={}) as pointsman:
        first = await raw(pointsman, get("/"))
        [cookie] = [line[12:] for line in first.split(b"\r\n") if line.startswith(b"Set-Cookie: pointsman_new=")]
        more = f"Cookie: {cookie.split(b';')[0].decode()}\r\n"
        assert first.endswith(b"canary")
        await patch(pointsman, {"services": {"web": 9999, "canary": 1}})
        for _ in range(20):
            again = await raw(pointsman, get("/", more=more))
            assert again.endswith(b"canary")
            assert b"Set-Cookie" not in again
        await patch(pointsman, {"services": {"canary": 0}})
        moved = await raw(pointsman, get("/", more=more))
        assert moved.endswith(b"web")
        assert b"Set-Cookie: pointsman_new=" in moved
        assert (await raw(pointsman, get("/", more="Cookie: pointsman_new=canary\r\n"))).endswith(b"web")


@pytest.mark.parametrize("fall_over", [False, True])
async def test_a_service_without_an_endpoint(fall_over: bool) -> None:
    async with shared(services={"web": 1, "canary": 1}, fall_over=fall_over) as pointsman:
        service = pointsman.application.services["canary"]
        [endpoint] = service.pool.endpoints
        service.drain(endpoint, "away")
        statuses = {(await pointsman.get())[0] for _ in range(60)}
        assert statuses == ({200} if fall_over else {200, 503})


async def test_the_limits_of_the_side_hold() -> None:
    async with shared(services={"web": 0, "canary": 1}) as pointsman:
        for head in (b"Content-Length: 6\r\n\r\nabcdef", b"Transfer-Encoding: chunked\r\n\r\n6\r\nabc"):
            told = await raw(pointsman, b"POST / HTTP/1.1\r\nHost: h\r\n" + head)
            assert told.startswith(b"HTTP/1.1 413"), head
        async with pointsman.session.post(pointsman.url, data=b"abcde") as response:
            assert response.status == 200
        await patch(pointsman, {"services": {"web": 1, "canary": 0}})
        async with pointsman.session.post(pointsman.url, data=b"abcdef") as response:
            assert response.status == 200


async def test_what_a_route_answers_is_in_the_access_log(tmp_path: Any) -> None:
    log = {"path": str(tmp_path / "log"), "format": "json"}
    async with routed(access_log=log) as pointsman:
        await pointsman.get("/closed")
        await until(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text())
    line = json.loads((tmp_path / "log").read_text().splitlines()[0])
    assert line["status"] == 503
