"""Apps in Marathon: an app is read whenever an event says that something happened to it, and every half minute.

The events are no more than a hint. Their order is not promised, and some of them can be lost; so the stream is opened
before the app is read, and what is in force is always one whole answer.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from discovery.instance import Snapshot, first_line
from discovery.marathon.apps import read_app
from discovery.marathon.events import TYPES, Events
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from discovery.instance import Instance
    from discovery.login import BasicLogin
    from discovery.marathon.apps import Wanted

TIMEOUT = 5.0  # seconds
INTERVAL = 30.0  # seconds from one look to the next without an event; a sign of life, and a net for lost events
PACE = 0.05  # seconds from one look to the next; events between the two share it
ANSWER_LIMIT = 64 * 2**20  # bytes; some fifty thousand tasks
ERROR_READ = 1000  # bytes of a refusal in which its first line is looked for


class MarathonRegistry:
    """The apps that the Marathon cluster with these `urls` (`http://10.0.0.1:8080`) runs; an app's name is its ID.

    The URLs are tried in turn, first the one that last worked; `timeout` is how many seconds an answer may take.
    """

    def __init__(
        self,
        urls: Iterable[str],
        wanted: Wanted,
        *,
        login: BasicLogin | None = None,
        timeout: float = TIMEOUT,
        interval: float = INTERVAL,
    ) -> None:
        self._urls = list(urls)
        self._wanted = wanted
        self._login = login
        self._timeout = timeout
        self._interval = interval

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each look."""
        headers = self._login.headers() if self._login else {}
        complaints: list[str] = []
        for url in tuple(self._urls):
            is_watched = False
            async with _open_session(headers) as session:
                news = asyncio.Event()
                opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                listener = asyncio.create_task(self._listen(session, URL(url), service, news, opened))
                try:
                    async with asyncio.timeout(self._timeout):
                        await asyncio.wait({opened, listener}, return_when=asyncio.FIRST_COMPLETED)
                    while True:
                        if listener.done():
                            listener.result()
                            raise ValueError("the stream of events ended")
                        news.clear()
                        instances, unreadable = await self._look(session, URL(url), service)
                        yield Snapshot(service, instances, continuous=is_watched, unreadable=unreadable)
                        is_watched = True
                        await asyncio.sleep(PACE)
                        await self._wait(news, listener)
                except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
                    complaint = f"Marathon at {URL(url).with_user(None)}: {self._why(error)}"
                    self._urls.sort(key=lambda other: other == url)  # its turn comes last now
                    if is_watched:
                        raise RegistryError(complaint) from error
                    complaints.append(complaint)
                finally:
                    opened.cancel()
                    listener.cancel()
                    await asyncio.gather(listener, return_exceptions=True)
        raise RegistryError("; ".join(complaints))

    async def _wait(self, news: asyncio.Event, listener: asyncio.Task[None]) -> None:
        """Wait for an event, for the end of the stream, or until it is time to look without."""
        waiting = asyncio.create_task(news.wait())
        try:
            await asyncio.wait({waiting, listener}, timeout=self._interval, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def _listen(
        self, session: aiohttp.ClientSession, url: URL, app: str, news: asyncio.Event, opened: asyncio.Future[None]
    ) -> None:
        """Set `news` whenever something happened to the app; return when the stream ends."""
        events = Events()
        stream = url.with_path("/v2/events").with_query([("event_type", kind) for kind in TYPES])
        async with session.get(stream, headers={"Accept": "text/event-stream"}, allow_redirects=False) as response:
            await _check(response)
            if not opened.done():
                opened.set_result(None)
            async for chunk in response.content.iter_any():
                if any(named in ("", app) for named in events.feed(chunk)):
                    news.set()

    async def _look(
        self, session: aiohttp.ClientSession, url: URL, app: str
    ) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
        body = bytearray()
        question = url.with_path(f"/v2/apps/{app.lstrip('/')}").with_query(embed="app.tasks")
        async with asyncio.timeout(self._timeout), session.get(question, allow_redirects=False) as response:
            if response.status == 404:
                return (), ()  # Marathon's word for an app that does not exist
            await _check(response)
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_LIMIT:
                    raise ValueError(f"the answer is larger than {ANSWER_LIMIT // 2**20} MiB")
        try:
            answer = await asyncio.to_thread(json.loads, body)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the answer is no JSON: {error}") from error
        return read_app(answer, self._wanted)

    def _why(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        return " ".join(str(error).split()) or type(error).__name__


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raise ValueError when an answer is a refusal."""
    if response.status != 200:
        said = first_line((await response.content.read(ERROR_READ)).decode("utf-8", "replace"))
        hint = "; the user must exist and be allowed to view the app" if response.status in (401, 403) else ""
        raise ValueError(f"HTTP {response.status}: {said or 'no reason given'}{hint}")


def _open_session(headers: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pointsman", **headers},
    )
