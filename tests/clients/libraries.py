"""The HTTP libraries that people use, behind one face, so that one contract can be asked of all of them.

Each keeps a session: connections and cookies. Redirects are followed, compression is undone, and a time that is up is a
TimeoutError.
"""

from __future__ import annotations

import asyncio
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx
import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

Body = bytes | Iterator[bytes] | None  # an iterator is sent in chunks, as it yields
POOL = 16  # connections of a session
TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as the library understood it."""

    status: int
    fields: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)
    path: str  # that it came from, after all redirects

    def __getitem__(self, name: str) -> str:
        """Return the value of the only field of this name."""
        (value,) = (value for found, value in self.fields if found.lower() == name)
        return value

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Library(ABC):
    """A session of one library with the server at `url`, for the time of the block."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @abstractmethod
    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Reply:
        """Send a request and read the whole response."""

    @abstractmethod
    def stream(self, path: str, seen: Callable[[bytes], None]) -> None:
        """GET the path, and hand on each piece of the response as it comes."""

    @abstractmethod
    def form(self, path: str, word: str, file: bytes) -> Reply:
        """POST a multipart form of two fields, `word` and `file`."""

    @abstractmethod
    def together(self, paths: Sequence[str]) -> list[Reply]:
        """GET all of these, POOL at a time."""

    @abstractmethod
    def close(self) -> None:
        """End the session."""


class Requests(Library):
    """And urllib3, which it is made of."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", HTTPAdapter(pool_maxsize=POOL))

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Reply:
        try:
            response = self._session.request(method, self.url + path, data=body, headers=fields, timeout=timeout)
        except requests.Timeout as error:
            raise TimeoutError from error
        return self._reply(response)

    def stream(self, path: str, seen: Callable[[bytes], None]) -> None:
        with self._session.get(self.url + path, stream=True, timeout=TIMEOUT) as response:
            for piece in response.iter_content(None):
                seen(piece)

    def form(self, path: str, word: str, file: bytes) -> Reply:
        files = {"file": ("noise.bin", file)}
        return self._reply(self._session.post(self.url + path, data={"word": word}, files=files, timeout=TIMEOUT))

    def together(self, paths: Sequence[str]) -> list[Reply]:
        with ThreadPoolExecutor(POOL) as threads:
            return list(threads.map(lambda path: self.request("GET", path), paths))

    def close(self) -> None:
        self._session.close()

    def _reply(self, response: requests.Response) -> Reply:
        fields = list(response.raw.headers.iteritems())
        return Reply(response.status_code, fields, response.content, response.url.removeprefix(self.url))


class HttpxSync(Library):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        limits = httpx.Limits(max_connections=POOL)
        self._client = httpx.Client(follow_redirects=True, trust_env=False, limits=limits, timeout=TIMEOUT)

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Reply:
        try:
            response = self._client.request(method, self.url + path, content=body, headers=fields, timeout=timeout)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        return _of_httpx(response)

    def stream(self, path: str, seen: Callable[[bytes], None]) -> None:
        with self._client.stream("GET", self.url + path) as response:
            for piece in response.iter_bytes():
                seen(piece)

    def form(self, path: str, word: str, file: bytes) -> Reply:
        files = {"file": ("noise.bin", file)}
        return _of_httpx(self._client.post(self.url + path, data={"word": word}, files=files))

    def together(self, paths: Sequence[str]) -> list[Reply]:
        with ThreadPoolExecutor(POOL) as threads:
            return list(threads.map(lambda path: self.request("GET", path), paths))

    def close(self) -> None:
        self._client.close()


class _Async(Library):
    """A library for event loops, run in one of its own while the caller waits."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._runner = asyncio.Runner()

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        fields: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Reply:
        return self._runner.run(self._request(method, path, body, fields, timeout))

    def stream(self, path: str, seen: Callable[[bytes], None]) -> None:
        async def read() -> None:
            async for piece in self._pieces(path):
                await asyncio.to_thread(seen, piece)

        self._runner.run(read())

    def form(self, path: str, word: str, file: bytes) -> Reply:
        return self._runner.run(self._form(path, word, file))

    def together(self, paths: Sequence[str]) -> list[Reply]:
        async def all_of_them() -> list[Reply]:
            return await asyncio.gather(*(self._request("GET", path, None, None, TIMEOUT) for path in paths))

        return self._runner.run(all_of_them())

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    @abstractmethod
    async def _request(
        self, method: str, path: str, body: Body, fields: Mapping[str, str] | None, timeout: float
    ) -> Reply: ...

    @abstractmethod
    def _pieces(self, path: str) -> AsyncIterator[bytes]: ...

    @abstractmethod
    async def _form(self, path: str, word: str, file: bytes) -> Reply: ...

    @abstractmethod
    async def _close(self) -> None: ...


class HttpxAsync(_Async):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        limits = httpx.Limits(max_connections=POOL)
        self._client = httpx.AsyncClient(follow_redirects=True, trust_env=False, limits=limits, timeout=TIMEOUT)

    async def _request(
        self, method: str, path: str, body: Body, fields: Mapping[str, str] | None, timeout: float
    ) -> Reply:
        content = _asynchronous(body)
        try:
            response = await self._client.request(
                method, self.url + path, content=content, headers=fields, timeout=timeout
            )
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        return _of_httpx(response)

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self._client.stream("GET", self.url + path) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def _form(self, path: str, word: str, file: bytes) -> Reply:
        files = {"file": ("noise.bin", file)}
        return _of_httpx(await self._client.post(self.url + path, data={"word": word}, files=files))

    async def _close(self) -> None:
        await self._client.aclose()


class Aiohttp(_Async):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._session = self._runner.run(self._open())

    async def _request(
        self, method: str, path: str, body: Body, fields: Mapping[str, str] | None, timeout: float
    ) -> Reply:
        # It warns of large bodies that are bytes: they block the loop while they are sent.
        data = io.BytesIO(body) if isinstance(body, bytes) else _asynchronous(body)
        limit = aiohttp.ClientTimeout(timeout)
        async with self._session.request(method, self.url + path, data=data, headers=fields, timeout=limit) as response:
            return await self._reply(response)

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self._session.get(self.url + path) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def _form(self, path: str, word: str, file: bytes) -> Reply:
        form = aiohttp.FormData({"word": word})
        form.add_field("file", io.BytesIO(file), filename="noise.bin")
        async with self._session.post(self.url + path, data=form) as response:
            return await self._reply(response)

    async def _close(self) -> None:
        await self._session.close()

    async def _open(self) -> aiohttp.ClientSession:
        # Cookies of a host without a name are kept only by a jar that is told so.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(TIMEOUT),
        )

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        body = await response.read()
        return Reply(response.status, list(response.headers.items()), body, str(response.url).removeprefix(self.url))


LIBRARIES = (Requests, HttpxSync, HttpxAsync, Aiohttp)


def _of_httpx(response: httpx.Response) -> Reply:
    fields = response.headers.multi_items()
    return Reply(response.status_code, fields, response.content, response.url.raw_path.decode())


def _asynchronous(body: Body) -> bytes | AsyncIterator[bytes] | None:
    async def pieces(body: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(next, body, b""):
            yield piece

    return pieces(body) if isinstance(body, Iterator) else body
