"""Continuous load from a process of its own: real clients on keep-alive connections, and a record of every answer.

Each client is an aiohttp session with one connection; it sends, waits for the answer, pauses, and sends again. A
request is sent once: aiohttp's silent second try on a connection that died is turned off. What is not a 200 with all
that was sent counted in its X-Received is a failure; so is a download that is not, byte for byte, what was asked for.
Each request has an X-Request-Id, by which pointsman's access log tells more of it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import uvloop

from tests.servers.instance import content
from tests.servers.program import Program, python

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED = "refused"
WRONG = "complete, but not what was asked for"
_REFUSED_PAUSE = 0.05  # seconds
_FRAMINGS = ("length", "chunked", "close")


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that went well. Times are seconds of the monotonic clock, which all processes share."""

    started: float
    ended: float
    instance: str
    closing: bool  # the answer said that the connection ends with it


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that did not; `reason` is REFUSED when the connection was refused, so that it was never sent.

    `status` is 0 when no answer came; `broken` says that one began and broke off.
    """

    started: float
    ended: float
    reason: str
    request_id: str
    status: int = 0
    retry_after: str = ""
    broken: bool = False


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

    def latencies(self) -> list[float]:
        """The seconds that each request took which went well, shortest first."""
        return sorted(one.ended - one.started for one in self.answered)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of them, which are in order, does not exceed; nan of none."""
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1] if ordered else math.nan


class Load(Program):
    """Load on a URL while the block lasts, or until `finish`, which tells what became of it.

    `pause` is seconds between two requests of a client, `body` the bytes that each sends. With `download` the URL is
    that of an instance's downloads, which may be framed in three ways: each request asks for so many bytes of another
    content. `source` is the address that the clients connect from. A client goes on after a failure; with
    `all_answered` the load has begun once each client was answered well, else once all have sent something.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        clients: int = 24,
        pause: float = 0.04,
        method: str = "GET",
        body: int = 0,
        download: int = 0,
        source: str = "",
        all_answered: bool = True,
        name: str = "load",
    ) -> None:
        self._result = folder / f"{name}.json"
        options = {
            "url": url, "clients": clients, "pause": pause, "method": method, "body": body, "download": download,
            "source": source, "all_answered": all_answered, "name": name, "file": str(self._result),
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
        self._download = options["download"]
        self._source = (options["source"], 0) if options["source"] else None
        self._all_answered = options["all_answered"]
        self._pause = options["pause"]
        self._name = options["name"]
        self._silent = options["clients"]  # clients that are still waited for
        self._numbers = itertools.count()
        self._end = asyncio.Event()
        self.answered: list[tuple[float, float, str, bool]] = []
        self.failed: list[tuple[float, float, str, str, int, str, bool]] = []

    async def run(self, clients: int) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end.set)
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(self._pause * number / clients))

    async def _client(self, delay: float) -> None:
        await asyncio.sleep(delay)  # so that not all send at once
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.TCPConnector(limit=1, local_addr=self._source)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            session._retry_connection = False
            silent = True
            while not self._end.is_set():
                went_well = await self._send(session, next(self._numbers))
                if silent and (went_well or not self._all_answered):
                    silent = False
                    self._silent -= 1
                    if not self._silent:
                        print("all clients were answered", flush=True)
                await asyncio.sleep(self._pause)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> bool:
        request_id = f"{self._name}-{number}"
        url, expected = self._url, None
        if self._download:
            url += f"?size={self._download}&seed={number}&framing={_FRAMINGS[number % len(_FRAMINGS)]}"
            expected = content(number, 0, self._download)
        status, retry_after, received = 0, "", b""
        started = time.monotonic()
        try:
            async with session.request(
                self._method, url, data=self._body or None, headers={"X-Request-Id": request_id}
            ) as response:
                status, headers = response.status, response.headers
                retry_after = headers.get("Retry-After", "")
                async for piece in response.content.iter_any():
                    received += piece
        except aiohttp.ClientConnectorError:
            self._failed(started, REFUSED, request_id)
            await asyncio.sleep(_REFUSED_PAUSE)
            return False
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            self._failed(started, reason, request_id, status, retry_after, broken=bool(status))
            return False
        ended = time.monotonic()
        counted = headers.get("X-Received")
        if status != 200 or counted not in (None, str(len(self._body))):
            text = received[:300].decode("utf-8", "replace")
            self._failed(started, f"{status}, X-Received: {counted}, {text}", request_id, status, retry_after)
            return False
        if expected is not None and received != expected:
            self._failed(started, f"{WRONG}: {len(received)} bytes", request_id, status)
            return False
        instance = headers.get("X-Instance") or received.decode()
        self.answered.append((started, ended, instance, headers.get("Connection") == "close"))
        return True

    def _failed(
        self,
        started: float,
        reason: str,
        request_id: str,
        status: int = 0,
        retry_after: str = "",
        *,
        broken: bool = False,
    ) -> None:
        self.failed.append((started, time.monotonic(), reason, request_id, status, retry_after, broken))


def _main(options: dict[str, Any]) -> None:
    clients = _Clients(options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(clients.run(options["clients"]))
    Path(options["file"]).write_text(json.dumps({"answered": clients.answered, "failed": clients.failed}))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
