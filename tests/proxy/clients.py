"""Clients of several kinds in the test's own loop, which go on while something is changed beneath them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine

BODY = 2**20  # bytes


@contextlib.asynccontextmanager
async def busy_instance() -> AsyncIterator[str]:
    """An instance that counts what it gets, and echoes WebSockets."""

    async def count(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=str(size))

    async def echo(request: web.Request) -> web.WebSocketResponse:
        chat = web.WebSocketResponse()
        await chat.prepare(request)
        async for message in chat:
            await chat.send_str(message.data)
        return chat

    app = web.Application()
    app.add_routes([web.get("/ws", echo), web.route("*", "/{path:.*}", count)])
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}"


class Clients:
    """Clients of three kinds that go on until they are told to stop; `failed` says what did not go well."""

    def __init__(self, url: str, trusted: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._trusted = trusted
        self._end = asyncio.Event()
        self.sent = 0
        self.failed: list[str] = []

    async def run(self, *, keep: int, new: int, large: int) -> None:
        async with asyncio.TaskGroup() as group:
            for work, count in ((self._keep, keep), (self._new, new), (self._large, large)):
                for _ in range(count):
                    group.create_task(self._repeat(work))

    def stop(self) -> None:
        self._end.set()

    async def _repeat(self, work: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]]) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, ssl=self._trusted or True)) as session:
            session._retry_connection = False  # a request is sent once
            while not self._end.is_set():
                self.sent += 1
                try:
                    await work(session)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    self.failed.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.005)

    async def _keep(self, session: aiohttp.ClientSession) -> None:
        async with session.get(self._url) as response:
            self._judge(response.status, await response.text(), "0")

    async def _new(self, session: aiohttp.ClientSession) -> None:
        async with session.get(self._url, headers={"Connection": "close"}) as response:
            self._judge(response.status, await response.text(), "0")

    async def _large(self, session: aiohttp.ClientSession) -> None:
        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(16):
                yield bytes(BODY // 16)
                await asyncio.sleep(0.01)

        async with session.post(self._url, data=slowly()) as response:
            self._judge(response.status, await response.text(), str(BODY))

    def _judge(self, status: int, text: str, wanted: str) -> None:
        if (status, text) != (200, wanted):
            self.failed.append(f"{status}: {text}")
