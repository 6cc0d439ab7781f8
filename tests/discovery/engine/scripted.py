"""An engine that the tests imitate, on a unix socket: for what a real one does not do on demand, or not fast enough."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from discovery.engine.client import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

VERSION = "1.41"


def container(name: str, *, port: int = 80, address: str = "10.0.0.1", **labels: str) -> dict[str, Any]:
    """What `docker inspect` says of a container that runs; `service` and so on are labels of ours."""
    said = {f"pointsman.{key}": value for key, value in {"service": "web", "port": str(port), **labels}.items()}
    return {
        "Id": name,
        "Name": f"/{name}",
        "State": {"Status": "running"},
        "Config": {"Labels": said},
        "HostConfig": {"NetworkMode": "tests"},
        "NetworkSettings": {"Networks": {"tests": {"IPAddress": address}}, "Ports": {}},
    }


def event(action: str, one: Mapping[str, Any], **attributes: str) -> bytes:
    """An event of a container."""
    actor = {"ID": one["Id"], "Attributes": {**one["Config"]["Labels"], **attributes}}
    told = {"Type": "container", "Action": action, "Actor": actor, "timeNano": time.time_ns()}
    return json.dumps(told).encode() + b"\n"


class ScriptedEngine:
    """Containers by their identities; `tell` sends pieces to all who follow the events.

    `answers` has what is answered to paths, without the version, that it would answer otherwise: a response, bytes,
    JSON, or what returns one of them. Paths in `silent` are not answered.
    """

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Any] = {}
        self.silent: set[str] = set()
        self.pause = 0.0  # seconds that it takes to look at a container
        self.headers = {"Api-Version": VERSION}
        self.past: list[bytes] = []  # events that a new stream begins with
        self.questions: list[tuple[str, dict[str, str]]] = []
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self._transports: list[asyncio.Transport] = []

    def put(self, one: dict[str, Any]) -> None:
        self.containers[one["Id"]] = one

    def tell(self, *pieces: bytes) -> None:
        for stream in self._streams:
            for piece in pieces:
                stream.put_nowait(piece)

    def end(self) -> None:
        """End the streams of events."""
        for stream in self._streams:
            stream.put_nowait(None)

    def break_off(self) -> None:
        """Have the connections of the streams of events break off."""
        for transport in self._transports:
            transport.abort()

    @property
    def streams(self) -> int:
        return len(self._streams)

    def asked(self, path: str) -> list[dict[str, str]]:
        return [query for asked, query in self.questions if asked == path]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path if request.path in ("/_ping", "/version") else "/" + request.path.split("/", 2)[2]
        self.questions.append((path, dict(request.query)))
        if path in self.silent:
            await asyncio.Event().wait()
        if path in self.answers:
            answer = self.answers[path]
            if callable(answer):
                answer = answer()
            if isinstance(answer, web.Response):
                return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
            return web.Response(body=answer) if isinstance(answer, bytes) else web.json_response(answer)
        if path == "/_ping":
            return web.Response(text="OK", headers=self.headers)
        if path == "/events":
            return await self._events(request)
        if path == "/containers/json":
            wanted = dict(label.split("=") for label in json.loads(request.query["filters"])["label"])
            found = [one for one in self.containers.values() if wanted.items() <= one["Config"]["Labels"].items()]
            return web.json_response([{"Id": one["Id"], "Names": [one["Name"]], "State": "running"} for one in found])
        one = self.containers.get(path.split("/")[2]) if path.startswith("/containers/") else None
        if one is None:
            return web.json_response({"message": f"No such thing: {path}"}, status=404)
        await asyncio.sleep(self.pause)
        return web.json_response(one)

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        for piece in self.past:
            stream.put_nowait(piece)
        assert request.transport is not None
        self._streams.add(stream)
        self._transports.append(request.transport)
        try:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                pieces = [await stream.get()]
                while not stream.empty():
                    pieces.append(stream.get_nowait())
                await response.write(b"".join(piece for piece in pieces if piece is not None))
                if None in pieces:
                    return response
        finally:
            self._streams.discard(stream)


@asynccontextmanager
async def scripted(folder: Path, *, timeout: float = 5.0) -> AsyncIterator[tuple[ScriptedEngine, Engine]]:
    """Give a scripted engine, and where it is."""
    engine = ScriptedEngine()
    runner = web.ServerRunner(web.Server(engine.handle, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    path = folder / "d.sock"
    try:
        await web.UnixSite(runner, str(path)).start()
        yield engine, Engine(f"unix://{path}", timeout=timeout)
    finally:
        engine.end()
        await runner.cleanup()
        path.unlink(missing_ok=True)
