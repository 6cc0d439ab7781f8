"""Ask one Eureka server over HTTP: its REST API, in JSON.

https://github.com/Netflix/eureka/wiki/Eureka-REST-operations
"""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from config.units import show
from discovery.instance import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from discovery.login import BasicLogin

ANSWER_LIMIT = 64 * 2**20  # bytes of one answer, when it is decompressed
ERROR_READ = 10_000  # bytes of a refusal
NO_DELTA = (403, 404)  # the statuses with which a server whose deltas are switched off answers `apps/delta`
GZIP = 16 + zlib.MAX_WBITS  # what tells zlib to expect gzip's header


class EurekaError(Exception):
    """A server is away, refuses, or answers nonsense. The text does not say which server."""


class RefusedError(EurekaError):
    """The server answered, and said no: with this HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """Ask the server whose API is at `url` (`http://127.0.0.1:8761/eureka/v2/`), while an `async with` block lasts.

    An answer may take `timeout` seconds. Raises EurekaError, and RegistryError when the password cannot be read.
    """

    def __init__(self, url: str, login: BasicLogin, timeout: float) -> None:
        self._url = url.removesuffix("/")
        self._login = login
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "pointsman"}
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a kilobyte of gzip may hold a megabyte
            timeout=aiohttp.ClientTimeout(total=None),
            headers={**headers, **self._login.headers()},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(
        self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return what the server answers. Any status but one of success is an error."""
        url = URL("/".join([self._url, *(quote(name, safe="") for name in path)]), encoded=True)
        with self._telling():
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(method, url, params=query, json=body, allow_redirects=False) as response,
            ):
                if not 200 <= response.status < 300:
                    await _refuse(response)
                return await _read(response)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Make errors of the network ours."""
        try:
            yield
        except TimeoutError as error:
            raise EurekaError(f"no answer within {self._timeout:g} s") from error
        except aiohttp.ClientPayloadError as error:
            raise EurekaError("the connection broke off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise EurekaError(" ".join(str(error).split()) or type(error).__name__) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise EurekaError(f"the answer comes with the coding {show(coding)}, which was not asked for")
    unzip = zlib.decompressobj(GZIP) if coding != "identity" else None
    content = bytearray()
    async for chunk in response.content.iter_any():
        try:
            # One byte past the limit is enough to see that there is one.
            content += unzip.decompress(chunk, ANSWER_LIMIT - len(content) + 1) if unzip else chunk
        except zlib.error as error:
            raise EurekaError(f"the answer is no gzip: {error}") from error
        if len(content) > ANSWER_LIMIT:
            raise EurekaError(f"the answer is larger than {ANSWER_LIMIT // 2**20} MiB")
    if unzip and not unzip.eof:
        raise EurekaError("the answer breaks off")
    return bytes(content)


async def _refuse(response: aiohttp.ClientResponse) -> None:
    """Raise the error that a refusal tells of."""
    body = await response.content.read(ERROR_READ)
    said = _said(body) if _is_plain(response) else ""
    response.close()
    match response.status:
        case 401:
            hint = "; username and password must be those of a user who may read"
        case 403:
            hint = "; the user must be allowed to read, and the server must have begun to serve"
        case 404:
            hint = "; the URL must be that of Eureka's API, such as http://127.0.0.1:8761/eureka/v2"
        case _:
            hint = ""
    told = said or first_line(response.reason) or "no reason given"
    raise RefusedError(response.status, f"HTTP {response.status}: {told}{hint}")


def _said(body: bytes) -> str:
    """Return the reason that a refusal gives: as JSON, which Spring's server and Jetty answer with, or as a text."""
    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("{") else first_line(text)
    if not isinstance(answer, dict):
        return first_line(text)
    return first_line(answer.get("message")) or first_line(answer.get("error"))


def _is_plain(response: aiohttp.ClientResponse) -> bool:
    """Tell whether people can read a refusal as it is: not one that is compressed, or a page."""
    return "Content-Encoding" not in response.headers and "html" not in response.content_type
