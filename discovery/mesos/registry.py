"""Tasks in Mesos, by a subscription to the leading master: it tells its whole state, and then each change at once.

A master that does not lead redirects to the one that does. A stream that is silent for five heartbeats is dead.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from config.units import show
from discovery.instance import first_line
from discovery.mesos.cluster import Cluster
from discovery.mesos.recordio import Records
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from discovery.instance import Snapshot
    from discovery.login import BasicLogin
    from discovery.mesos.tasks import Wanted

TIMEOUT = 5.0  # seconds
HEARTBEATS_MISSED = 5
REDIRECTS = 2
LARGE = 2**20  # bytes of a record, which take some ten milliseconds to parse
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for


class MesosRegistry:
    """The tasks that a Mesos cluster with these `masters` (`http://10.0.0.1:5050`) runs.

    The masters are tried in turn, first the one that last worked; `timeout` is how many seconds one of them may take to
    begin its answer.
    """

    def __init__(
        self, masters: Iterable[str], wanted: Wanted, *, login: BasicLogin | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._masters = list(masters)
        self._wanted = wanted
        self._login = login
        self._timeout = timeout

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each piece of news, and one at each heartbeat."""
        headers = self._login.headers() if self._login else {}
        complaints: list[str] = []
        for master in tuple(self._masters):
            is_watched = False
            cluster, records = Cluster(self._wanted), Records()
            async with _open_session() as session:
                try:
                    async with await self._subscribe(session, URL(master), headers) as response:
                        chunks = response.content.iter_any()
                        while True:
                            patience = HEARTBEATS_MISSED * cluster.heartbeat if cluster.known else self._timeout
                            async with asyncio.timeout(patience):
                                chunk = await anext(chunks)
                            told = records.feed(chunk)
                            for record in told:
                                cluster.told(await _parse(record))
                            if told and cluster.known:
                                yield cluster.snapshot(service, continuous=is_watched)
                                is_watched = True
                except (TimeoutError, StopAsyncIteration, aiohttp.ClientError, OSError, ValueError) as error:
                    complaint = f"Mesos at {URL(master).with_user(None)}: {_why(error)}"
                    self._masters.sort(key=lambda other: other == master)  # its turn comes last now
                    if is_watched:
                        raise RegistryError(complaint) from error
                    complaints.append(complaint)
        raise RegistryError("; ".join(complaints))

    async def _subscribe(
        self, session: aiohttp.ClientSession, master: URL, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        """Return the response that holds the events; raise ValueError when there is none."""
        url = master.with_path("/api/v1")
        for _ in range(REDIRECTS + 1):
            async with asyncio.timeout(self._timeout):
                response = await session.post(
                    url, json={"type": "SUBSCRIBE"}, headers=headers, allow_redirects=False
                )  # fmt: skip
            if response.status == 200:
                return response
            async with response:
                if response.status != 307:
                    said = first_line((await response.content.read(ERROR_READ)).decode("utf-8", "replace"))
                    hint = "; the user must be allowed to view tasks" if response.status in (401, 403) else ""
                    raise ValueError(f"HTTP {response.status}: {said or 'no reason given'}{hint}")
                target = _leader(url, response.headers.get("Location", ""))
            if target.origin() != url.origin() and target.scheme != url.scheme:
                raise ValueError(f"a redirect from {url.scheme} to {target.scheme}, which is not followed")
            url = target
        raise ValueError("the masters redirect to each other: none of them leads at present")


def _leader(url: URL, location: str) -> URL:
    """Return where the leading master is: `//10.0.0.2:5050/api/v1`."""
    try:
        target = url.join(URL(location)) if location else None
    except ValueError:
        target = None
    if target is None or target.scheme not in ("http", "https") or not target.host:
        raise ValueError(f"a redirect that leads nowhere: its Location is {show(location)}")
    return target.with_path("/api/v1")


async def _parse(record: bytes) -> object:
    try:
        # The whole state of a large cluster takes a second to parse, in which requests should not wait.
        return await asyncio.to_thread(json.loads, record) if len(record) > LARGE else json.loads(record)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"an event is no JSON: {error}") from error


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pointsman"},
    )


def _why(error: BaseException) -> str:
    if isinstance(error, StopAsyncIteration):
        return "the stream of events ended"
    if isinstance(error, TimeoutError):
        return "no answer in time, or no sign of life for five heartbeats"
    return " ".join(str(error).split()) or type(error).__name__
