"""A small HTTP server for what is asked rarely: the admin address.

It has the part of aiohttp's `web` that is wanted there, under the same names. aiohttp itself is 12 MiB, a third of what
a process has at rest, and all of the rest of pointsman's own HTTP is for proxying.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import httptools

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Sequence

_log = logging.getLogger(__name__)

_IDLE = 75.0  # seconds for the next request on a connection, and for each piece of one
_TAKING = 30.0  # seconds that a client may take over our answer
_LONGEST_HEAD = 64 * 1024  # bytes
_PIECE = 16 * 1024  # bytes read at a time


@dataclass(slots=True)
class Request:
    """A request: its fields by their names in lower case, and of each name in the query the first value."""

    method: str
    path: str  # as it was sent, without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    keeps: bool  # the connection may be used again
    match_info: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the body. Raises ValueError for what is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"the body is not UTF-8: {error}") from None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    body: bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(shown: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return json_text(json.dumps(shown), status)


def json_text(text: str, status: int = 200) -> Response:
    """Answer with what is JSON already."""
    return Response(text.encode(), status, "application/json; charset=utf-8")


class HTTPError(Exception):
    """Ends the handling of a request with an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, whose parts in braces are the request's `match_info`: `{name}`, `{id:.+}` with slashes."""

    method: str
    path: re.Pattern[str]
    handler: Handler


def route(method: str, path: str, handler: Handler) -> Route:
    """Say who answers what."""
    parts = re.split(r"\{(\w+)(?::([^}]*))?\}", path)
    pattern = re.escape(parts[0])
    for name, form, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{form or '[^/]+'}){re.escape(text)}"
    return Route(method, re.compile(pattern), handler)


class Server:
    """Answers by `routes`, the first of which fits. A body may have `most` bytes; `before` all that is awaited."""

    def __init__(
        self, routes: Iterable[Route], most: int, before: Callable[[Request], Awaitable[None]] | None = None
    ) -> None:
        self._routes = tuple(routes)
        self._most = most
        self._before = before
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.StreamWriter] = set()  # those on which nothing is asked at present
        self._ending = False

    async def start(self, sockets: Sequence[socket.socket], backlog: int) -> None:
        """Answer on sockets. Raises OSError."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            self._servers.append(await loop.create_server(self._protocol, sock=sock, backlog=backlog))

    async def stop(self, patience: float) -> None:
        """Answer no more; what was asked has so many seconds to be answered."""
        self._ending = True
        for server in self._servers:
            server.close()
        for writer in list(self._idle):
            writer.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=patience)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer), name="a connection of the admin address")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming = _Incoming(reader, writer, self._most)
        try:
            keeps = True
            while keeps and not self._ending:
                self._idle.add(writer)
                try:
                    request = await incoming.request(self._idle)
                except HTTPError as error:
                    await _write(writer, error.response, "GET", keeps=False)
                    return
                finally:
                    self._idle.discard(writer)
                if request is None:
                    return
                response = await self._answer(request)
                keeps = request.keeps and not self._ending
                await _write(writer, response, request.method, keeps=keeps)
        except (OSError, TimeoutError):
            pass  # the client has left, or does nothing
        finally:
            writer.close()

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        allowed: list[str] = []
        for one in self._routes:
            found = one.path.fullmatch(request.path)
            if found is None:
                continue
            if one.method != method:
                allowed.append(one.method)
                continue
            request.match_info = {name: unquote(value) for name, value in found.groupdict().items()}
            try:
                if self._before is not None:
                    await self._before(request)
                return await one.handler(request)
            except HTTPError as error:
                return error.response
            except Exception:
                _log.exception("%s %s met a fault of its own", request.method, request.path)
                return _plain(500)
        return _plain(405, {"Allow": ", ".join(sorted(set(allowed)))}) if allowed else _plain(404)


class _Incoming:
    """Reads the requests of one connection, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
        self._reader = reader
        self._writer = writer
        self._most = most
        self._begin()

    async def request(self, idle: set[asyncio.StreamWriter]) -> Request | None:
        """Read the next; None when there is none. Raises HTTPError, TimeoutError and OSError."""
        self._begin()
        while self._made is None:
            data = await asyncio.wait_for(self._reader.read(_PIECE), _IDLE)
            if not data:
                return None
            idle.discard(self._writer)
            self._feed(data)
        return self._made

    def _begin(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._made: Request | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head = 0
        self._whole_head = False
        self._body = bytearray()

    def _feed(self, data: bytes) -> None:
        """Feed the parser. Who does not wait for an answer before asking again gets no second one. Raises HTTPError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._made is not None:
                self._made.keeps = False  # what follows would be another protocol, which we do not speak
        except httptools.HttpParserError:
            if self._made is None:
                raise HTTPError(_plain(400)) from None
            self._made.keeps = False
        if self._made is None and not self._whole_head:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:
                raise HTTPError(_plain(431))
        if len(self._body) > self._most:
            raise HTTPError(_plain(413))

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._made is not None:
            self._made.keeps = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._made is None:
            self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._whole_head = True
        if self._headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if len(self._body) <= self._most:
            self._body += body

    def on_message_complete(self) -> None:
        if self._made is not None:
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        if path.startswith("http://"):
            path = "/" + path[7:].partition("/")[2]
        fields = parse_qsl(query, keep_blank_values=True)
        self._made = Request(
            self._parser.get_method().decode(), path, dict(reversed(fields)), self._headers, bytes(self._body),
            self._parser.should_keep_alive(),
        )  # fmt: skip


async def _write(writer: asyncio.StreamWriter, response: Response, method: str, *, keeps: bool) -> None:
    lines = [
        f"HTTP/1.1 {response.status} {_phrase(response.status)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Date: {email.utils.formatdate(usegmt=True)}",
        f"Connection: {'keep-alive' if keeps else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    if method != "HEAD":
        writer.write(response.body)
    await asyncio.wait_for(writer.drain(), _TAKING)


def _plain(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(f"{status}: {_phrase(status)}".encode(), status, headers=headers or {})


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
