"""Real HTTP instances in one process: `python -m tests.servers.instance web-1:9001 web-2:9002`.

Each answers on its port of 127.0.0.1:

    any     /                       its name; the header X-Received says how many bytes of body came
    any     /slow?seconds=2         the same, later
    GET     /download?size=&seed=   that many bytes of `content`; `&framing=chunked` or `close` instead of a length
    POST    /upload                 its name, and the length and the hash of what it was sent
    POST    /upload?rate=65536      the same, read at no more than so many bytes a second
    GET     /healthz                200, or 503 after a POST of /unwell and until one of /well

All of them but the last one misbehave once it is told so at its side door, which no proxy leads to:

    POST    /behave?how=500         answers 500 to everything
    POST    /behave?how=reset       sends a head and half of a body, and then a reset
    POST    /behave?how=well        as before
    GET     /asked                  how often it was asked so far, by method, and how many requests were under way at a
                                    time at the most, as `most`; JSON. Probes are not counted

SIGTERM ends it gently: it accepts nobody any more, answers what is under way, and ends with status 0.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import socket
import struct
import sys
from collections import Counter
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

MOST = 2**30  # bytes of a body that is kept as a whole
PIECE = 256 * 1024  # bytes written or read at a time
_MID_BODY = 0.01  # seconds between half of a body and the reset
_LAST_WORDS = 5.0  # seconds in which requests under way are still answered after SIGTERM
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_UNCOUNTED = frozenset(["/healthz", "/well", "/unwell", "/behave", "/asked"])

# Its length is a prime, so that no buffer of a usual size, used twice or skipped, goes unnoticed.
_noise = random.Random(1).randbytes(1_048_573)


def content(seed: int, start: int, size: int) -> bytes:
    """Return a piece of the endless content number `seed`."""
    at = (start + seed * 7919) % len(_noise)
    piece = _noise[at : at + size]
    while len(piece) < size:
        piece += _noise[: size - len(piece)]
    return piece


class UntilClose(web.StreamResponse):
    """Has neither a length nor chunks: the end of the connection is its end."""

    _length_check = False


class Instance:
    def __init__(self, name: str) -> None:
        self.name = name
        self.well = True
        self.behaviour = "well"
        self.asked: Counter[str] = Counter()
        self.under_way = self.most = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MOST, middlewares=[self.watch])
        app.add_routes(self.routes())
        return app

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/", self.hello),
            web.route("*", "/slow", self.slow),
            web.get("/download", self.download),
            web.post("/upload", self.upload),
            web.get("/healthz", self.healthz),
            web.post("/well", self.feel),
            web.post("/unwell", self.feel),
            web.post("/behave", self.behave),
            web.get("/asked", self.tell_asked),
        ]

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _UNCOUNTED:
            return await handler(request)
        self.asked[request.method] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.answer(request, handler)
        finally:
            self.under_way -= 1

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.behaviour == "500":
            await request.read()
            return web.Response(status=500, text=f"{self.name} has been told to fail")
        if self.behaviour == "reset":
            await request.read()
            return await self.reset(request)
        return await handler(request)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Break off in mid-body; what was sent is what a good answer begins with."""
        size, seed = int(request.query.get("size", "1000")), int(request.query.get("seed", "0"))
        response = self.framed(request, size)
        await response.prepare(request)
        await response.write(content(seed, 0, size // 2))
        await asyncio.sleep(_MID_BODY)
        if request.transport is not None:
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            request.transport.abort()
        return response

    def framed(self, request: web.Request, size: int) -> web.StreamResponse:
        """Make a response whose end is told as the request wants it."""
        headers, framing = {"X-Instance": self.name}, request.query.get("framing", "length")
        if framing == "close":
            response: web.StreamResponse = UntilClose(headers=headers)
            response.force_close()
            return response
        response = web.StreamResponse(headers=headers)
        if framing == "chunked":
            response.enable_chunked_encoding()
        else:
            response.content_length = size
        return response

    async def hello(self, request: web.Request) -> web.Response:
        received = await request.read()
        return web.Response(text=self.name, headers={"X-Received": str(len(received))})

    async def slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return await self.hello(request)

    async def download(self, request: web.Request) -> web.StreamResponse:
        size, seed = int(request.query["size"]), int(request.query["seed"])
        response = self.framed(request, size)
        await response.prepare(request)
        try:
            for start in range(0, size, PIECE):
                await response.write(content(seed, start, min(PIECE, size - start)))
        except ConnectionError:
            pass  # the client has seen enough
        return response

    async def upload(self, request: web.Request) -> web.Response:
        rate = int(request.query.get("rate", "0"))
        length, digest = 0, hashlib.sha256()
        while piece := await request.content.read(rate // 10 or PIECE):
            length += len(piece)
            digest.update(piece)
            if rate:
                await asyncio.sleep(len(piece) / rate)
        return web.json_response({"instance": self.name, "length": length, "sha256": digest.hexdigest()})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.well else 503)

    async def feel(self, request: web.Request) -> web.Response:
        self.well = request.path == "/well"
        return web.Response()

    async def behave(self, request: web.Request) -> web.Response:
        self.behaviour = request.query["how"]
        return web.Response()

    async def tell_asked(self, request: web.Request) -> web.Response:
        return web.json_response({**self.asked, "most": self.most})


def main(kind: type[Instance]) -> None:
    """Serve the instances that the command line names, all of one kind."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_serve(kind, sys.argv[1:]))


async def _serve(kind: type[Instance], instances: list[str]) -> None:
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    runners = []
    for instance in instances:
        name, _, port = instance.rpartition(":")
        runner = web.AppRunner(kind(name).app(), access_log=None, shutdown_timeout=_LAST_WORDS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port), backlog=1024).start()
        runners.append(runner)
    await end.wait()
    await asyncio.gather(*(runner.cleanup() for runner in runners))


if __name__ == "__main__":
    main(Instance)
