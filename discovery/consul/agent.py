"""A Consul agent's HTTP API, one request at a time: for what is said to it now and then, not for watches."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from config.units import show
from discovery.instance import first_line
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT = 5.0  # seconds that an answer may take
BODY_LIMIT = 16 * 2**20  # bytes
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent said, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def complaint(self) -> str:
        """The first line of a refusal."""
        return first_line(self.body[:ERROR_READ].decode("utf-8", "replace")) or "no reason given"


class Agent:
    """The agent at `address` (`http://127.0.0.1:8500`). The content of `token_file` is read for each request.

    A connection is made for each request: one every few seconds is not worth a pool that has to be closed.
    """

    def __init__(self, address: str, token: str = "", token_file: Path | None = None, timeout: float = TIMEOUT) -> None:
        self._address = URL(address)
        self._token = token
        self._token_file = token_file
        self._timeout = timeout

    def __str__(self) -> str:
        return f"Consul at {self._address.with_user(None)}"  # without a password that the URL may hold

    async def ask(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """Send one request; `path` is encoded already. Raises RegistryError when there is no answer."""
        url = URL(str(self._address).rstrip("/") + path, encoded=True).with_query(query)
        headers = {"X-Consul-Token": token} if (token := self._read_token()) else {}
        content = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                aiohttp.ClientSession(
                    cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None)
                ) as session,
                session.request(method, url, json=body, headers=headers, allow_redirects=False) as response,
            ):
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > BODY_LIMIT:
                        raise RegistryError(f"{self}: the answer is larger than {BODY_LIMIT // 2**20} MiB")
                return Answer(response.status, response.headers, bytes(content))
        except TimeoutError as error:
            raise RegistryError(f"{self}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RegistryError(f"{self}: {' '.join(str(error).split()) or type(error).__name__}") from error

    async def read(
        self, path: str, right: str, query: Mapping[str, str] | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON that a GET is answered with, and the headers; `right` is what the token needs for it."""
        answer = await self.ask("GET", path, query=query)
        if answer.status != 200:
            raise self.refused(answer, right)
        try:
            return json.loads(answer.body), answer.headers
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{self}: the answer is no JSON: {error}; is this Consul's HTTP API?") from error

    def refused(self, answer: Answer, right: str) -> RegistryError:
        """Make the error that a refusal is; `right` is what the token needs."""
        hint = f"; the token must exist and grant {right}" if answer.status in (401, 403) else ""
        return RegistryError(f"{self}: HTTP {answer.status}: {answer.complaint}{hint}")

    async def own_address(self) -> str:
        """Return the address that the agent tells others it is reached at; raise RegistryError if it tells none."""
        found, _ = await self.read("/v1/agent/self", "agent:read")
        match found:
            case {"Member": {"Addr": str(address)}} if address:
                return address
        raise RegistryError(f"{self}: Member.Addr of /v1/agent/self must be an address, not {show(found)}")

    def _read_token(self) -> str:
        if self._token_file is None:
            return self._token
        try:
            return self._token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise RegistryError(f"the token file {self._token_file} cannot be read: {error}") from error
