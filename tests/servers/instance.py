"""Real HTTP instances in one process: `python -m tests.servers.instance web-1:9001 web-2:9002`.

Each answers on its port of 127.0.0.1:

    any     /                       its name; the header X-Received says how many bytes of body came
    any     /slow?seconds=2         the same, later
    GET     /download?size=&seed=   that many bytes of `content`
    POST    /upload                 its name, and the length and the hash of what it was sent
    POST    /upload?rate=65536      the same, read at no more than so many bytes a second
    GET     /healthz                200, or 503 after a POST of /unwell and until one of /well
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys

import uvloop
from aiohttp import web

PIECE = 256 * 1024  # bytes written or read at a time

# Its length is a prime, so that no buffer of a usual size, used twice or skipped, goes unnoticed.
_noise = random.Random(1).randbytes(1_048_573)


def content(seed: int, start: int, size: int) -> bytes:
    """Return a piece of the endless content number `seed`."""
    at = (start + seed * 7919) % len(_noise)
    piece = _noise[at : at + size]
    while len(piece) < size:
        piece += _noise[: size - len(piece)]
    return piece


class Instance:
    def __init__(self, name: str) -> None:
        self.name = name
        self.well = True

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.route("*", "/", self.hello),
                web.route("*", "/slow", self.slow),
                web.get("/download", self.download),
                web.post("/upload", self.upload),
                web.get("/healthz", self.healthz),
                web.post("/well", self.feel),
                web.post("/unwell", self.feel),
            ]
        )
        return app

    async def hello(self, request: web.Request) -> web.Response:
        received = await request.read()
        return web.Response(text=self.name, headers={"X-Received": str(len(received))})

    async def slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return await self.hello(request)

    async def download(self, request: web.Request) -> web.StreamResponse:
        size, seed = int(request.query["size"]), int(request.query["seed"])
        response = web.StreamResponse()
        response.content_length = size
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


async def _serve(instances: list[str]) -> None:
    for instance in instances:
        name, _, port = instance.rpartition(":")
        runner = web.AppRunner(Instance(name).app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_serve(sys.argv[1:]))
