"""What stands behind a pointsman: servers that remember what they were asked."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from multidict import CIMultiDictProxy


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an instance got it."""

    method: str
    path: str  # with the query
    headers: CIMultiDictProxy[str]


@dataclass
class Instance:
    """Answers with the name that README.md has for it; `status`, `pause` and `headers` are those of its answers."""

    name: str
    address: str = ""
    status: int = 200
    pause: float = 0.0  # seconds
    healthy: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)  # but for probes

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/healthz":
            return web.Response(text="ok") if self.healthy else web.Response(status=503)
        self.asked.append(Asked(request.method, request.path_qs, request.headers))
        await asyncio.sleep(self.pause)
        return web.Response(text=self.name, status=self.status, headers=self.headers)


@contextlib.asynccontextmanager
async def serving(name: str, folder: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Instance]:
    """Run the instance that has this address in README.md, on an address of the same kind."""
    one = Instance(name)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)  # who pauses is not waited for
    await runner.setup()
    try:
        if name.startswith("unix:"):
            path = str(folder / f"app-{name.rpartition('/')[2]}")
            await web.UnixSite(runner, path).start()
            one.address = f"unix:{path}"
        else:
            host = "::1" if name.startswith("[") else "127.0.0.1"
            await web.TCPSite(runner, host, 0, ssl_context=tls).start()
            port = runner.addresses[0][1]
            one.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        yield one
    finally:
        await runner.cleanup()
