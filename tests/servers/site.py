"""Instances that serve a site: `python -m tests.servers.site web-1:9001 web-2:9002`.

All that tests.servers.instance answers, with the page in place of the name. The header X-Instance says who answered.

    GET     /                       the page; cookies, and a 103 ahead of it
    GET     /page.js, /assets/…     what it consists of: see tests.servers.assets
    GET     /assets.json            their names and hashes
    GET     /events                 Server-Sent Events, three a connection, which go on after Last-Event-ID
    GET     /ranged?size=&seed=     like /download, with ranges and a validator
    GET     /gzip?size=&seed=       like /download, compressed
    GET     /chunked?size=&seed=    like /download, in chunks
    any     /status/204             that status; with a validator, without a body where it has none
    any     /redirect?to=&status=   away
    GET     /early                  a 103 with a Link, then the name
    GET     /cookies                the cookies that came, after setting three
    any     /headers                the fields that came, as pairs
    PUT     /upload                 like POST
    POST    /form                   what a multipart form held
    POST    /echo                   what came, piece by piece as it comes
    POST    /counted?key=           like /upload; what has come so far is told by
    GET     /arrived?key=           the count of bytes
    GET     /gate?key=&size=        half of so many bytes, and the other half once somebody asked for
    POST    /open?key=              this
    GET     /ws?key=                a WebSocket that sends back what it gets
    GET     /closed?key=            the code with which it was closed
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import Counter, defaultdict
from http import HTTPStatus

from aiohttp import BodyPartReader, WSMsgType, web

from tests.servers.assets import SCRIPT, Asset, Delivery, assets, page
from tests.servers.instance import PIECE, Instance, content, main

COOKIES = {"plain": "1", "quoted": "a b", "scoped": "x"}
EVENTS = 3  # a connection
_PAUSE = 0.1  # seconds between the pieces of what is slow
# What the instances of one process have in common, whichever of them is asked.
_arrived: Counter[str] = Counter()
_closed: dict[str, int | None] = {}
_gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
_EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </assets/style-01.css>; rel=preload; as=style\r\n\r\n"


class Site(Instance):
    def app(self) -> web.Application:
        app = super().app()
        app.on_response_prepare.append(self._sign)
        return app

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.page),
            web.get("/page.js", self.script),
            web.get("/assets/{name}", self.asset),
            web.get("/assets.json", self.hashes),
            web.get("/events", self.events),
            web.get("/ranged", self.ranged),
            web.get("/gzip", self.gzip),
            web.get("/chunked", self.chunked),
            web.route("*", "/status/{status}", self.status),
            web.route("*", "/redirect", self.redirect),
            web.get("/early", self.early),
            web.get("/cookies", self.cookies),
            web.route("*", "/headers", self.headers),
            web.post("/form", self.form),
            web.post("/echo", self.echo),
            web.put("/upload", self.upload),
            web.post("/counted", self.counted),
            web.get("/arrived", self.arrived),
            web.get("/gate", self.gate),
            web.post("/open", self.open),
            web.get("/ws", self.websocket),
            web.get("/closed", self.closed),
            *(route for route in super().routes() if route.path != "/"),
        ]

    async def page(self, request: web.Request) -> web.Response:
        self._hint(request)
        response = web.Response(text=page(), content_type="text/html")
        self._set_cookies(response)
        return response

    async def script(self, request: web.Request) -> web.Response:
        return web.Response(text=SCRIPT.read_text(), content_type="text/javascript")

    async def hashes(self, request: web.Request) -> web.Response:
        return web.json_response({asset.name: asset.sha256 for asset in assets().values()})

    async def asset(self, request: web.Request) -> web.StreamResponse:
        asset = assets().get(request.match_info["name"])
        if asset is None:
            return web.Response(status=404)
        headers = {"Content-Type": asset.content_type, "Cache-Control": "no-store"}
        match asset.delivery:
            case Delivery.LENGTH:
                return web.Response(body=asset.body, headers=headers)
            case Delivery.CLOSE:
                response = web.Response(body=asset.body, headers=headers)
                response.force_close()
                return response
            case Delivery.UNTIL_CLOSE:
                return self._until_close(request, asset)
            case Delivery.ETAG:
                validator = f'"{asset.sha256[:16]}"'
                headers |= {"Cache-Control": "no-cache", "ETag": validator}
                if request.headers.get("If-None-Match") == validator:
                    return web.Response(status=304, headers=headers)
                return web.Response(body=asset.body, headers=headers)
            case Delivery.GZIP:
                headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
                return web.Response(body=gzip.compress(asset.body), headers=headers)
            case Delivery.CHUNKED:
                return await self._in_chunks(request, asset.body, headers, max(1, len(asset.body) // 7))
            case Delivery.SLOW:
                return await self._in_chunks(request, asset.body, headers, max(1, len(asset.body) // 4), _PAUSE)

    async def events(self, request: web.Request) -> web.StreamResponse:
        first = int(request.headers.get("Last-Event-ID", "0")) + 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        for number in range(first, first + EVENTS):
            await response.write(f"id: {number}\nretry: 50\ndata: event {number} of {self.name}\n\n".encode())
            await asyncio.sleep(_PAUSE)
        return response

    async def ranged(self, request: web.Request) -> web.Response:
        size, seed = _wanted(request)
        validator = f'"{size}-{seed}"'
        headers = {"Accept-Ranges": "bytes", "ETag": validator}
        if request.headers.get("If-Range", validator) != validator:
            return web.Response(body=content(seed, 0, size), headers=headers)
        try:
            piece = request.http_range
        except ValueError:
            piece = slice(size, None)
        start, stop, _ = piece.indices(size)
        if (start, stop) == (0, size):
            return web.Response(body=content(seed, 0, size), headers=headers)
        if start >= stop:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return web.Response(status=206, body=content(seed, start, stop - start), headers=headers)

    async def gzip(self, request: web.Request) -> web.Response:
        size, seed = _wanted(request)
        body = content(seed, 0, size)
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=body)
        return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    async def chunked(self, request: web.Request) -> web.StreamResponse:
        size, seed = _wanted(request)
        return await self._in_chunks(request, content(seed, 0, size), {}, PIECE)

    async def status(self, request: web.Request) -> web.Response:
        await request.read()  # an answer ahead of the request's end costs the client its connection
        status = int(request.match_info["status"])
        bodiless = status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        return web.Response(status=status, text=None if bodiless else self.name, headers={"ETag": '"validator"'})

    async def redirect(self, request: web.Request) -> web.Response:
        await request.read()
        status = int(request.query.get("status", "302"))
        return web.Response(status=status, headers={"Location": request.query["to"]})

    async def early(self, request: web.Request) -> web.Response:
        self._hint(request)
        return web.Response(text=self.name)

    async def cookies(self, request: web.Request) -> web.Response:
        response = web.json_response(dict(request.cookies))
        self._set_cookies(response)
        return response

    async def headers(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response([(name, value) for name, value in request.headers.items()])

    async def form(self, request: web.Request) -> web.Response:
        fields: dict[str, object] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            data = bytes(await part.read(decode=True))
            assert part.name is not None
            if part.filename is None:
                fields[part.name] = data.decode()
            else:
                described = {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                fields[part.name] = {"filename": part.filename, **described}
        return web.json_response(fields)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.content_length is not None:
            response.content_length = request.content_length
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        return response

    async def counted(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        async for piece in request.content.iter_any():
            digest.update(piece)
            _arrived[request.query["key"]] += len(piece)
        return web.json_response({"length": _arrived[request.query["key"]], "sha256": digest.hexdigest()})

    async def arrived(self, request: web.Request) -> web.Response:
        return web.json_response(_arrived[request.query["key"]])

    async def gate(self, request: web.Request) -> web.StreamResponse:
        half = int(request.query["size"]) // 2
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(content(1, 0, half))
        await _gates[request.query["key"]].wait()
        await response.write(content(1, half, half))
        return response

    async def open(self, request: web.Request) -> web.Response:
        _gates[request.query["key"]].set()
        return web.Response()

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(protocols=["echo"], max_msg_size=0)
        await response.prepare(request)
        async for message in response:
            if message.type is WSMsgType.TEXT:
                if message.data == "who are you?":
                    await response.send_str(self.name)
                elif message.data.startswith("close "):
                    await response.close(code=int(message.data.split()[1]), message=b"as you wish")
                else:
                    await response.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await response.send_bytes(message.data)
        _closed[request.query.get("key", "")] = response.close_code
        return response

    async def closed(self, request: web.Request) -> web.Response:
        return web.json_response(_closed.get(request.query["key"]))

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Instance"] = self.name

    def _hint(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.write(_EARLY)

    def _set_cookies(self, response: web.Response) -> None:
        response.set_cookie("plain", COOKIES["plain"])
        response.set_cookie("quoted", COOKIES["quoted"], max_age=3600, samesite="Lax")
        response.set_cookie("scoped", COOKIES["scoped"], path="/cookies", httponly=True)

    def _until_close(self, request: web.Request, asset: Asset) -> web.StreamResponse:
        """Answer as an old server does; aiohttp would use chunks, so it is told nothing of it."""
        assert request.transport is not None
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {asset.content_type}\r\nConnection: close\r\n"
        request.transport.write(f"{head}Cache-Control: no-store\r\nX-Instance: {self.name}\r\n\r\n".encode())
        if request.method != "HEAD":
            request.transport.write(asset.body)
        request.transport.close()
        return web.Response()

    async def _in_chunks(
        self, request: web.Request, body: bytes, headers: dict[str, str], size: int, pause: float = 0.0
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
            await asyncio.sleep(pause)
        return response


def _wanted(request: web.Request) -> tuple[int, int]:
    return int(request.query["size"]), int(request.query["seed"])


if __name__ == "__main__":
    main(Site)
