"""A whole pointsman in the test's own loop, and small instances to put behind it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.load import parse
from proxy.application import Application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Running:
    """A started application, with a client for its listener and its admin address."""

    def __init__(self, application: Application, session: aiohttp.ClientSession) -> None:
        self.application = application
        self.session = session
        self.url = f"http://127.0.0.1:{application.listeners[0].ports[0]}"
        self.admin_url = f"http://127.0.0.1:{application.admin_port}"

    async def get(self, path: str = "/", **options: Any) -> tuple[int, str]:
        async with self.session.get(self.url + path, **options) as response:
            return response.status, await response.text()

    async def admin(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.admin_url + path) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()


@contextlib.asynccontextmanager
async def running(config: dict[str, Any], folder: Path | None = None) -> AsyncIterator[Running]:
    """Run pointsman on free ports with these services (and whatever else the configuration is to have)."""
    whole = {
        "listeners": [{"bind": "127.0.0.1:0"}],
        "routes": [{"service": name} for name in list(config["services"])[:1]],
        "admin": {"bind": "127.0.0.1:0"},
        "drain_timeout": "1s",
        **config,
    }
    text = yaml.safe_dump(whole, sort_keys=False)
    application = Application(parse(text, name="test", folder=folder or Path.cwd(), environ={}))
    async with aiohttp.ClientSession() as session:
        try:
            await application.start()
            yield Running(application, session)
        finally:
            await application.stop()


@contextlib.asynccontextmanager
async def instance(name: str, health: Callable[[], int] = lambda: 200) -> AsyncIterator[str]:
    """Run an instance that answers with its name, and at /healthz as `health` says; yield its `host:port`."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=name)

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(status=health(), text=f"{name} is {'fine' if health() == 200 else 'unwell'}")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.route("*", "/{path:.*}", answer)])
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}"


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)
