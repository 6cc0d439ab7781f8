"""Continuous load from a process of its own: real clients on keep-alive connections, and a record of every answer.

Each client is an aiohttp session with one connection; it sends, waits for the answer, pauses, and sends again. A
request is sent once: aiohttp's silent second try on a connection that died is turned off. What is not a 200 with all
that was sent counted in its X-Received is a failure.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.servers.program import Program, python

REFUSED = "refused"
_REFUSED_PAUSE = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that went well. Times are seconds of the monotonic clock, which all processes share."""

    started: float
    ended: float
    instance: str
    closing: bool  # the answer said that the connection ends with it


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that did not; `reason` is REFUSED when the connection was refused, so that it was never sent."""

    started: float
    ended: float
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of all requests."""

    answered: list[Answered]
    failed: list[Failed]

    @property
    def sent(self) -> int:
        return len(self.answered) + len(self.failed)

    def by_instance(self, since: float, until: float) -> Counter[str]:
        """Count the requests that started in this time."""
        return Counter(one.instance for one in self.answered if since <= one.started < until)


class Load(Program):
    """Load on a URL while the block lasts, or until `stop`, which tells what became of it."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        clients: int = 24,
        pause: float = 0.02,
        method: str = "GET",
        body: int = 0,
        name: str = "load",
    ) -> None:
        self._result = folder / f"{name}.json"
        options = {
            "url": url, "clients": clients, "pause": pause, "method": method, "body": body, "file": str(self._result)
        }  # fmt: skip
        super().__init__(python("tests.servers.load", json.dumps(options)), folder / f"{name}.log", self._goes)

    def finish(self) -> Result:
        """Let the requests under way end, and return the record."""
        self.signal(signal.SIGTERM)
        output = self.log
        status = self.wait(40)
        assert status == 0, output.read_text()
        record = json.loads(self._result.read_text())
        return Result([Answered(*one) for one in record["answered"]], [Failed(*one) for one in record["failed"]])

    def _goes(self) -> bool:
        return "all clients were answered" in self.output()


class _Clients:
    def __init__(self, options: dict[str, Any]) -> None:
        self._url = options["url"]
        self._method = options["method"]
        self._body = bytes(options["body"])
        self._pause = options["pause"]
        self._silent = options["clients"]  # clients without an answer so far
        self._end = asyncio.Event()
        self.answered: list[tuple[float, float, str, bool]] = []
        self.failed: list[tuple[float, float, str]] = []

    async def run(self, clients: int) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end.set)
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(self._pause * number / clients))

    async def _client(self, delay: float) -> None:
        await asyncio.sleep(delay)  # so that not all send at once
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), timeout=timeout) as session:
            session._retry_connection = False
            silent = True
            while not self._end.is_set():
                went_well = await self._send(session)
                if went_well and silent:
                    silent = False
                    self._silent -= 1
                    if not self._silent:
                        print("all clients were answered", flush=True)
                await asyncio.sleep(self._pause)

    async def _send(self, session: aiohttp.ClientSession) -> bool:
        started = time.monotonic()
        try:
            async with session.request(self._method, self._url, data=self._body or None) as response:
                text = await response.text()
        except aiohttp.ClientConnectorError:
            self.failed.append((started, time.monotonic(), REFUSED))
            await asyncio.sleep(_REFUSED_PAUSE)
            return False
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append((started, time.monotonic(), f"{type(error).__name__}: {error}"))
            return False
        ended = time.monotonic()
        received = response.headers.get("X-Received")
        if response.status != 200 or received not in (None, str(len(self._body))):
            self.failed.append((started, ended, f"{response.status}, X-Received: {received}, {text[:300]}"))
            return False
        self.answered.append((started, ended, text, response.headers.get("Connection") == "close"))
        return True


def _main(options: dict[str, Any]) -> None:
    clients = _Clients(options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(clients.run(options["clients"]))
    Path(options["file"]).write_text(json.dumps({"answered": clients.answered, "failed": clients.failed}))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
