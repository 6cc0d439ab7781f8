"""`pointsman drain` and the admin API of a pointsman in the test's own loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from proxy.cli import main
from tests.proxy.running import Running, running, until
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result


async def drain(pointsman: Running, *arguments: object) -> Result:
    admin = f"127.0.0.1:{pointsman.application.admin_port}"
    return await asyncio.to_thread(run, "--admin", admin, *arguments)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["drain", *map(str, arguments)])


@asynccontextmanager
async def busy(go_on: asyncio.Event, **more: object) -> AsyncIterator[Running]:
    """A pointsman whose one instance is busy until the event is set."""

    async def answer(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_route("*", "/", answer)
    async with TestServer(app) as server:
        found = [{"id": "n/a", "address": f"127.0.0.1:{server.port}"}]
        async with running({"services": {"web": {"discovery": {"static": found}}}, **more}) as pointsman:
            await until(lambda: not pointsman.application.unready())
            request = asyncio.create_task(pointsman.get())
            await until(lambda: pointsman.application.services["web"].traffic.in_flight)
            yield pointsman
            go_on.set()
            assert await request == (200, "whole")


async def test_it_waits_for_what_is_in_flight() -> None:
    go_on = asyncio.Event()
    async with busy(go_on) as pointsman:
        waiting = asyncio.create_task(drain(pointsman, "web", "n/a", "--wait"))
        [endpoint] = pointsman.application.services["web"].pool.endpoints
        await until(lambda: endpoint.drained)
        assert not waiting.done()
        go_on.set()
        done = await waiting
        assert done.exit_code == 0, done.output
        first, last = done.stdout.splitlines()
        assert first == f"n/a of web is {endpoint.drained}; 1 in flight"
        assert last == "nothing is in flight"


async def test_it_waits_no_longer_than_it_may() -> None:
    async with busy(asyncio.Event()) as pointsman:
        done = await drain(pointsman, "web", "n/a", "--wait", "--timeout", 0.1)
        assert (done.exit_code, done.stderr) == (1, "pointsman: 1 still in flight after 0.1 s\n")
        done = await drain(pointsman, "web", "n/a", "--undrain")
        assert (done.exit_code, done.stdout) == (0, "n/a of web is not drained: it is healthy\n")


async def test_it_notices_when_another_undrains_meanwhile() -> None:
    async with busy(asyncio.Event()) as pointsman:
        waiting = asyncio.create_task(drain(pointsman, "web", "n/a", "--wait"))
        service = pointsman.application.services["web"]
        await until(lambda: service.pool.drains.reasons)
        service.undrain("n/a", "by another")
        done = await waiting
        assert (done.exit_code, done.stderr) == (1, "pointsman: n/a of web was undrained meanwhile\n")


async def test_by_a_unix_socket(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/admin.sock"
    async with busy(asyncio.Event(), admin={"bind": path}) as pointsman:
        done = await asyncio.to_thread(run, "--admin", path, "web", "n/a", "--reason", "new kernel")
        assert done.exit_code == 0, done.output
        [endpoint] = pointsman.application.services["web"].pool.endpoints
        assert endpoint.drained.endswith("Z: new kernel")


async def test_what_cannot_be_done_is_said() -> None:
    async with busy(asyncio.Event()) as pointsman:
        done = await drain(pointsman, "web", "b")
        assert (done.exit_code, done.stderr) == (1, "pointsman: there is no endpoint 'b' of service 'web'\n")
        done = await drain(pointsman, "a shop", "a/../b?c#d")
        assert (done.exit_code, done.stderr) == (1, "pointsman: there is no service 'a shop'\n")
        done = await drain(pointsman, "web", "a/../b?c#d%2f")
        assert done.stderr == "pointsman: there is no endpoint 'a/../b?c#d%2f' of service 'web'\n"


async def test_whoever_is_no_admin_address_is_not_believed() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="welcome")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        done = await asyncio.to_thread(run, "--admin", f"127.0.0.1:{server.port}", "web", "a")
        assert (done.exit_code, done.stderr) == (1, "pointsman: HTTP 200: welcome\n")


def test_nobody_at_the_admin_address() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    done = run("--admin", nobody, "web", "a")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"pointsman: the admin address {nobody} cannot be asked: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--admin", "nowhere", "web", "a"),
        ("web", "a", "--undrain", "--wait"),
        ("web", "a", "--undrain", "--reason", "x"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
