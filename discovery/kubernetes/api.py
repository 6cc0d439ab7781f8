"""HTTP and JSON with a Kubernetes API server: lists, and watches that are a line of JSON an event.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from config.units import show
from discovery.endings import CUT_SHORT
from discovery.instance import first_line
from discovery.kubernetes.access import KubernetesError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from discovery.kubernetes.access import Access

ANSWER_LIMIT = 64 * 2**20  # bytes of one answer
MESSAGE_LIMIT = 8 * 2**20  # bytes of one event, which is a slice; etcd takes 1.5 MiB
ERROR_READ = 10_000  # bytes of a refusal
# Seconds: a connection that has been silent for the first is asked whether the other side is still there, again after
# the second, and given up after so many questions. It finds out what forgot us without telling: a firewall, a node.
SILENCE, AGAIN, QUESTIONS = 15, 5, 3

_GONE = 410

_RIGHTS = {
    "/endpointslices": "; a Role must grant the verbs list and watch on endpointslices of the group discovery.k8s.io",
    "/nodes": "; a ClusterRole must grant the verb get on nodes, or zone be named",
}

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pointsman"}


class GoneError(KubernetesError):
    """What is asked for is no longer remembered: the slices must be listed anew."""


class _UnknownError(KubernetesError):
    """The API server does not know who we are."""


class ApiServer:
    """Ask the API server that `load` tells how to ask, while an `async with` block lasts.

    `load` is called once, and again when our credentials are not accepted. An answer, and the beginning of a stream,
    may take `timeout` seconds. All methods raise KubernetesError.
    """

    def __init__(self, load: Callable[[], Awaitable[Access]], timeout: float) -> None:
        self._load = load
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        self._access = await self._load()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=_open_socket, enable_cleanup_closed=CUT_SHORT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            headers=_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def access(self) -> Access:
        return self._access

    async def ask(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer to one question."""
        body = bytearray()
        response = await self._open(path, query)
        with self._telling():
            async with asyncio.timeout(self._timeout), response:
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        raise KubernetesError(f"the answer is larger than {ANSWER_LIMIT // 2**20} MiB")
        return _object(body)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], patience: float
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Give the messages of a stream until the server ends it, which it must do within `patience` seconds."""
        response = await self._open(path, query)
        try:
            deadline = asyncio.get_running_loop().time() + patience
            async with aclosing(self._messages(response, deadline, patience)) as messages:
                yield messages
        finally:
            # Unless all was read: a polite end of TLS would wait for the other side, which may be dead. Where aiohttp
            # sees to that, nobody else may: Debian 12's Python 3.11.2 fails when asyncio's TLS is aborted twice.
            if not CUT_SHORT and response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
            response.close()

    async def _messages(
        self, response: aiohttp.ClientResponse, deadline: float, patience: float
    ) -> AsyncGenerator[dict[str, Any], None]:
        rest = bytearray()
        while True:
            with self._telling(patience):
                async with asyncio.timeout_at(deadline):
                    chunk = await response.content.readany()
            if not chunk:
                break
            rest += chunk
            if len(rest) > MESSAGE_LIMIT:
                raise KubernetesError(f"an event is larger than {MESSAGE_LIMIT // 2**20} MiB")
            if b"\n" in chunk:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield _object(line)
        if rest:
            raise KubernetesError("the watch broke off within an event")

    async def _open(self, path: str, query: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Return a response of 200 whose body is still to be read."""
        try:
            return await self._get(path, query)
        except _UnknownError:
            self._access = await self._load()  # the token or the certificate was renewed, or its file is another one
        return await self._get(path, query)

    async def _get(self, path: str, query: Mapping[str, str]) -> aiohttp.ClientResponse:
        access = self._access
        token = access.bearer()
        with self._telling():
            async with asyncio.timeout(self._timeout):
                response = await self._session.get(
                    URL(f"{access.server}{path}?{urlencode(query)}", encoded=True),
                    headers={"Authorization": f"Bearer {token}"} if token else {},
                    ssl=access.ssl,
                    server_hostname=access.server_name or None,
                    allow_redirects=False,
                )
                if response.status == 200:
                    return response
                async with response:
                    body = await response.content.read(ERROR_READ)
                    response.close()
        raise _refusal(path, response.status, body, first_line(response.reason))

    @contextmanager
    def _telling(self, patience: float = 0.0) -> Iterator[None]:
        """Make errors of the network ours."""
        try:
            yield
        except TimeoutError as error:
            what = f"no answer within {self._timeout:g} s"
            if patience:
                what = f"the watch was not ended within {patience:g} s: its connection is dead"
            raise KubernetesError(what) from error
        except aiohttp.ClientPayloadError as error:
            raise KubernetesError("the connection broke off") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise KubernetesError(" ".join(str(error).split()) or type(error).__name__) from error


def error_of(status: Mapping[str, Any]) -> KubernetesError:
    """Return the error that a Status object tells of."""
    told = first_line(status.get("message")) or first_line(status.get("reason")) or "no reason given"
    kind = GoneError if status.get("code") == _GONE or status.get("reason") in ("Expired", "Gone") else KubernetesError
    return kind(told)


def _refusal(path: str, status: int, body: bytes, reason: str) -> KubernetesError:
    """Return the error that a response to a question for `path` tells of."""
    try:
        told = str(error_of(_object(body)))
    except KubernetesError:
        told = first_line(body.decode("utf-8", "replace")) or reason or "no reason given"
    match status:
        case 401:
            return _UnknownError(f"HTTP 401: {told}; the API server takes neither our token nor our certificate")
        case 403:
            rights = next((rights for resource, rights in _RIGHTS.items() if resource in path), "")
            return KubernetesError(f"HTTP 403: {told}{rights}")
        case 404:
            return KubernetesError(f"HTTP 404: {told}; is this an API server of Kubernetes 1.21 or later?")
        case 410:
            return GoneError(f"HTTP 410: {told}")
    return KubernetesError(f"HTTP {status}: {told}")


def _object(body: bytes | bytearray) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KubernetesError(f"the answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise KubernetesError(f"the answer must be an object, not {show(value)}")
    return value


def _open_socket(info: tuple[Any, ...]) -> socket.socket:
    """Open a socket for an address as getaddrinfo gives it."""
    opened = socket.socket(*info[:3])
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", SILENCE), ("TCP_KEEPINTVL", AGAIN), ("TCP_KEEPCNT", QUESTIONS)):
        if hasattr(socket, name):  # Linux has all of them
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened
