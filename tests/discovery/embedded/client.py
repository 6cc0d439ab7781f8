"""A registry as HTTP sees it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

_numbers = itertools.count(1)


@dataclass
class Answer:
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def index(self) -> int:
        return int(self.headers["X-Consul-Index"])


class Client:
    """Asks one registry. `name` makes names that no other test uses: the real Consul is shared."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session
        self.prefix = f"t{next(_numbers)}-"

    def name(self, name: str) -> str:
        return self.prefix + name

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self._session.request(method, URL(self.address + path, encoded=True), data=data) as response:
            return Answer(response.status, (await response.text()).strip(), response.headers)

    async def put(self, path: str, body: object = None) -> Answer:
        return await self.call("PUT", path, body)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def register(self, name: str, **definition: object) -> None:
        given = {"Name": name, "ID": name, "Address": "10.0.0.1", "Port": 80} | definition
        answer = await self.put("/v1/agent/service/register", given)
        assert answer.status == 200, answer.text

    async def health(self, name: str, query: str = "") -> Answer:
        answer = await self.get(f"/v1/health/service/{quote(name, safe='')}?{query}")
        assert answer.status == 200, answer.text
        return answer

    async def statuses(self, name: str) -> dict[str, str]:
        """Return the status of each check that the service's instances have themselves, by ID."""
        return {
            check["CheckID"]: check["Status"]
            for entry in (await self.health(name)).json
            for check in entry["Checks"]
            if check["ServiceID"]
        }

    async def ids(self, name: str, query: str = "") -> list[str]:
        return [entry["Service"]["ID"] for entry in (await self.health(name, query)).json]


async def eventually(found: Callable[[], Awaitable[Any]], wanted: object, deadline: float = 10.0) -> None:
    """Wait until `found` returns `wanted`. A Consul agent tells its servers of a change a little after it answers."""
    until = time.monotonic() + deadline
    while (last := await found()) != wanted:
        if time.monotonic() > until:
            assert last == wanted
        await asyncio.sleep(0.02)
