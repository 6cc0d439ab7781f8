"""One etcd server's JSON gateway: its gRPC API as JSON over HTTP/1.1, with a login where one is needed.

https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from config.units import show
from discovery.endings import CUT_SHORT
from discovery.instance import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

ANSWER_LIMIT = 64 * 2**20  # bytes of one answer, or of one message of a stream
ERROR_READ = 10_000  # bytes of a refusal
# Seconds that an unused connection is kept. Aiohttp does not repeat a POST whose connection turns out to be dead, and
# what is between us and etcd may drop one that is silent for ten seconds: so the comparisons connect anew.
KEEPALIVE = 5.0

_AUTH_IS_OFF = "authentication is not enabled"
# The token expired, or its server forgot it; users or roles changed since (JWT); authentication is on and was not.
_ASKS_FOR_A_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


class EtcdError(Exception):
    """A server of etcd is away, refuses, or answers nonsense. The text does not say which server."""


class RefusedError(EtcdError):
    """The server answered, and said no, with this HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks. The password, or the content of `password_file`, is read whenever a token is asked for."""

    username: str
    password: str = ""
    password_file: Path | None = None

    def read_password(self) -> str:
        if self.password_file is None:
            return self.password
        try:
            return self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise EtcdError(f"the password file {self.password_file} cannot be read: {error}") from error


class Gateway:
    """Ask the server at `address` (`http://127.0.0.1:2379`), while an `async with` block lasts.

    An answer, and the beginning of a stream, may take `timeout` seconds. Both methods raise EtcdError.
    """

    def __init__(self, address: str, login: Login | None, timeout: float) -> None:
        self._address = URL(address)
        self._login = login
        self._timeout = timeout
        self._token = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE, enable_cleanup_closed=CUT_SHORT),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        if self._login:
            try:
                await self._log_in(self._login)
            except BaseException:
                await self._session.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, path: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one question; a token that expired is renewed on the way."""
        try:
            return await self._ask(path, question)
        except RefusedError as error:
            if not any(words in str(error) for words in _ASKS_FOR_A_TOKEN):
                raise
            if self._login is None:
                raise EtcdError(f"{error}; give username and password") from error
        await self._log_in(self._login)
        return await self._ask(path, question)

    async def stream(self, path: str, question: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the messages of a stream until the server ends it."""
        with self._telling():
            async with asyncio.timeout(self._timeout):
                response = await self._post(path, question)
                if response.status != 200:
                    await _refuse(response)
            async with response:
                rest = bytearray()
                async for chunk in response.content.iter_any():
                    rest += chunk
                    if len(rest) > ANSWER_LIMIT:
                        raise EtcdError(f"a message is larger than {ANSWER_LIMIT // 2**20} MiB")
                    if b"\n" in chunk:
                        *lines, rest = rest.split(b"\n")
                        for line in lines:
                            yield _message(line)

    async def _log_in(self, login: Login) -> None:
        self._token = ""
        question = {"name": login.username, "password": login.read_password()}
        try:
            answer = await self._ask("/v3/auth/authenticate", question)
        except RefusedError as error:
            if _AUTH_IS_OFF in str(error):
                return  # etcd's own clients go on without a token too
            raise
        token = answer.get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise EtcdError("the answer to the login has no token")
        self._token = token

    async def _ask(self, path: str, question: Mapping[str, Any]) -> dict[str, Any]:
        body = bytearray()
        with self._telling():
            async with asyncio.timeout(self._timeout), await self._post(path, question) as response:
                if response.status != 200:
                    await _refuse(response)
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        raise EtcdError(f"the answer is larger than {ANSWER_LIMIT // 2**20} MiB")
        return _object(body)

    async def _post(self, path: str, question: Mapping[str, Any]) -> aiohttp.ClientResponse:
        headers = {"Authorization": self._token} if self._token else {}
        url = self._address.with_path(path)
        return await self._session.post(url, json=question, headers=headers, allow_redirects=False)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Make errors of the network ours."""
        try:
            yield
        except TimeoutError as error:
            raise EtcdError(f"no answer within {self._timeout:g} s") from error
        except aiohttp.ClientPayloadError as error:
            raise EtcdError("the connection broke off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise EtcdError(" ".join(str(error).split()) or type(error).__name__) from error


async def _refuse(response: aiohttp.ClientResponse) -> None:
    """Raise the error that a refusal tells of."""
    body = await response.content.read(ERROR_READ)
    response.close()
    try:
        told = _told(_object(body))
    except EtcdError:
        told = first_line(body.decode("utf-8", "replace"))
    hint = "; the user must exist and have a role that may read the prefix" if response.status in (401, 403) else ""
    raise RefusedError(response.status, f"HTTP {response.status}: {told or 'no reason given'}{hint}")


def _message(line: bytearray) -> dict[str, Any]:
    """Unwrap one message: `{"result": …}`, or `{"error": …}` as the last one."""
    wrapped = _object(line)
    if "error" in wrapped:
        error = wrapped["error"]
        raise EtcdError(f"the stream ended: {_told(error if isinstance(error, dict) else wrapped)}")
    result = wrapped.get("result")
    if not isinstance(result, dict):
        raise EtcdError(f"result must be an object, not {show(result)}; is this etcd's JSON gateway?")
    return result


def _told(error: Mapping[str, Any]) -> str:
    return first_line(error.get("message")) or first_line(error.get("error")) or "no reason given"


def _object(body: bytes | bytearray) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EtcdError(f"the answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise EtcdError(f"the answer must be an object, not {show(value)}")
    return value
