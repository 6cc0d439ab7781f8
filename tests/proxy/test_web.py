"""The server of the admin address, asked by raw bytes over real connections."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from proxy import web
from tests.proxy.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST = 100  # bytes of a body


class Served:
    """A server with a few routes, and connections to it."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.begun = asyncio.Event()
        self.server = web.Server(
            [
                web.route("GET", "/here", self._here),
                web.route("GET", "/of/{name}/it", self._named),
                web.route("POST", "/of/{name:.+}", self._told),
                web.route("GET", "/fault", self._fault),
                web.route("GET", "/held", self._held),
            ],
            MOST,
        )
        self.socket = socket.create_server(("127.0.0.1", 0))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.socket.getsockname())

    async def say(self, sent: bytes) -> bytes:
        """Send bytes, and return all that comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def _here(self, request: web.Request) -> web.Response:
        return web.json_response({"query": dict(request.query), "accept": request.headers.get("accept")})

    async def _named(self, request: web.Request) -> web.Response:
        return web.json_response(dict(request.match_info))

    async def _told(self, request: web.Request) -> web.Response:
        return web.json_response({**request.match_info, "body": request.text()}, status=201)

    async def _fault(self, request: web.Request) -> web.Response:
        raise LookupError("a fault of ours")

    async def _held(self, request: web.Request) -> web.Response:
        self.begun.set()
        await self.held.wait()
        return web.json_response("at last")


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    server = Served()
    await server.server.start([server.socket], 10)
    try:
        yield server
    finally:
        await server.server.stop(1.0)


def get(target: str, more: str = "Connection: close\r\n", method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (get("/here?a=1&a=2&b=&c=%2F"), 200, b'{"query": {"c": "/", "b": "", "a": "1"}, "accept": null}'),
        (get("/here", "aCCept: x\r\nConnection: close\r\n"), 200, b'{"query": {}, "accept": "x"}'),
        (get("http://elsewhere/here"), 200, b'{"query": {}'),
        (get("/of/a%2Fb/it"), 200, b'{"name": "a/b"}'),
        (
            get("/of/a/b", "Content-Length: 2\r\nConnection: close\r\n", "POST") + b"hi",
            201,
            b'{"name": "a/b", "body": "hi"}',
        ),
        (get("/nowhere"), 404, b"404: Not Found"),
        (get("/of/a/it/b"), 405, b"405: Method Not Allowed"),
        (get("/of/a/b", method="DELETE"), 405, b"405: Method Not Allowed"),
        (get("/fault"), 500, b"500: Internal Server Error"),
        (b"nonsense\r\n\r\n", 400, b"400: Bad Request"),
        (get("/of/a", f"Content-Length: {MOST + 1}\r\n", "POST") + b"x" * (MOST + 1), 413, b"413: "),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431, b"431: "),
    ],
)
async def test_answers(sent: bytes, status: int, body: bytes) -> None:
    async with served() as server:
        answer = await server.say(sent)
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert content.startswith(body)
    assert f"Content-Length: {len(content)}\r\n".encode() in head


async def test_what_a_path_takes_is_told() -> None:
    async with served() as server:
        assert b"\r\nAllow: GET, POST\r\n" in await server.say(get("/of/a/it", method="PUT"))


async def test_to_head_only_the_head_is_answered() -> None:
    async with served() as server:
        answer = await server.say(get("/here", method="HEAD"))
    assert answer.startswith(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 29\r\n"
    )
    assert answer.endswith(b"\r\n\r\n")


async def test_a_connection_is_kept() -> None:
    async with served() as server:
        reader, writer = await server.connect()
        for _ in range(3):
            writer.write(get("/of/a/it", ""))
            answer = await reader.readuntil(b'{"name": "a"}')
            assert b"\r\nConnection: keep-alive\r\n" in answer
        writer.write(get("/of/a/it"))
        assert b"\r\nConnection: close\r\n" in await reader.read()
        writer.close()


async def test_http_1_0_is_answered_once() -> None:
    async with served() as server:
        assert (await server.say(b"GET /of/a/it HTTP/1.0\r\n\r\n")).endswith(b'{"name": "a"}')


async def test_who_does_not_wait_gets_the_first_answer() -> None:
    async with served() as server:
        answer = await server.say(get("/of/a/it", "") + get("/of/b/it", ""))
    assert answer.endswith(b'{"name": "a"}')
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_body_is_asked_for() -> None:
    async with served() as server:
        reader, writer = await server.connect()
        writer.write(get("/of/a", "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n", "POST"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.read()).endswith(b'"body": "hi"}')
        writer.close()


async def test_at_the_end_answers_are_finished_and_idle_connections_closed() -> None:
    async with served() as server:
        idle, writer = await server.connect()
        asked = asyncio.create_task(server.say(get("/held", "")))
        await asyncio.wait_for(server.begun.wait(), 10)
        end = asyncio.create_task(server.server.stop(10.0))
        assert await asyncio.wait_for(idle.read(), 10) == b""
        writer.close()
        assert not end.done()
        server.held.set()
        assert (await asked).endswith(b'"at last"')
        await asyncio.wait_for(end, 10)
        with pytest.raises(OSError):
            await server.connect()


async def test_at_the_end_nobody_is_waited_for_long() -> None:
    async with served() as server:
        asked = asyncio.create_task(server.say(get("/held", "")))
        await asyncio.wait_for(server.begun.wait(), 10)
        await asyncio.wait_for(server.server.stop(0.01), 10)
        assert await asked == b""


async def test_clients_that_leave_are_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server:
        for sent in (b"", b"GET /he", get("/held", "")):
            _, writer = await server.connect()
            writer.write(sent)
            await writer.drain()
            writer.transport.abort()
        server.held.set()
        await until(lambda: len(asyncio.all_tasks()) == 1)
    assert not caplog.records
