"""One stream of an engine's events, shared by all watches of that engine in this process.

It is open before anybody lists what there is, so that no change falls between, and it begins in the past: an engine
keeps its last 256 events, and those that are younger than MEMORY tell which containers are being stopped already.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discovery.engine.answers import EngineError, section, text, texts
from discovery.engine.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from discovery.engine.client import Engine

MEMORY = 600.0  # seconds
REMEMBERED = 256  # events, as the engine itself
UNREAD = 50_000  # events that one watch may leave unread; then it has to list anew
BATCH = 100  # events that are read at a stretch, some two milliseconds of work

TYPES = ("container", "network", "service", "node")
ACTIONS = (
    "create", "start", "kill", "die", "stop", "pause", "unpause", "destroy", "health_status", "rename", "connect",
    "disconnect", "update", "remove",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the thing called `id`, at `time` by the engine's clock, in seconds since 1970."""

    type: str
    action: str
    id: str
    attributes: Mapping[str, str]
    time: float


def read_event(told: Mapping[str, Any]) -> Event:
    """Return an event. That a container joined or left a network is an event of the container."""
    attributes = texts(section(told, "Actor", "Attributes"))
    kind, identity = text(told, "Type"), text(section(told, "Actor"), "ID")
    if kind == "network":
        kind, identity, attributes = "container", attributes.get("container", ""), {}
    nanoseconds = told.get("timeNano")
    time = nanoseconds / 1e9 if isinstance(nanoseconds, int) else 0.0
    # `health_status: healthy` is an action with its outcome.
    return Event(kind, text(told, "Action").partition(":")[0], identity, attributes, time)


class Feed:
    """The events for one watch, and the means to ask the engine.

    `began` is when the feed did, by the engine's clock: what happened before is told too, and is no news.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.began = self.now()
        self._news = asyncio.Event()
        self._events: list[Event] = []
        self._overflowed = False
        self._error: EngineError | None = None

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the engine's answer, see Client.ask."""
        try:
            return await self._client.ask(path, query)
        except EngineError:
            if self._error is not None:  # which closed the connections
                raise EngineError(str(self._error)) from self._error
            raise

    def now(self) -> float:
        """Return seconds since 1970 by the engine's clock; 0 if it does not tell."""
        return self._client.now() or 0.0

    async def wait(self, timeout: float) -> bool:
        """Wait for news, at most so many seconds, and tell whether there are some."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> tuple[list[Event], bool]:
        """Return what happened since the last time, and whether that is all of it; raise EngineError at the end."""
        if self._error is not None:
            raise EngineError(str(self._error)) from self._error
        self._news.clear()
        taken, self._events = self._events, []
        is_whole, self._overflowed = not self._overflowed, False
        return taken, is_whole

    def put(self, event: Event) -> None:
        if len(self._events) >= UNREAD:
            self._events.clear()
            self._overflowed = True
        self._events.append(event)
        self._news.set()

    def end(self, error: EngineError) -> None:
        self._error = error
        self._news.set()


class _Source:
    """The stream itself, and who listens."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.feeds: set[Feed] = set()
        self.users = 0
        self._recent: deque[Event] = deque(maxlen=REMEMBERED)
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._error: EngineError | None = None

    async def open(self) -> Client:
        """Return the client once the stream is open; all who wait get the same error if it cannot be opened."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(self._opened)

    def join(self, client: Client) -> Feed:
        """Return a new feed, which begins in the past as the stream did."""
        feed = Feed(client)
        for event in self._recent:
            feed.put(event)
        if self._error is not None:
            feed.end(self._error)
        self.feeds.add(feed)
        return feed

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._opened.done() and not self._opened.cancelled():
            self._opened.exception()  # nobody may have waited for it

    async def _run(self) -> None:
        try:
            async with Client(self.engine) as client:
                try:
                    await self._receive(client)
                except EngineError as error:
                    self._end(error)  # before the connections are closed, so that all who ask learn why
        except EngineError as error:
            self._end(error)
        except Exception as error:
            # A fault of ours; who listens must not wait for ever.
            self._end(EngineError(f"{type(error).__name__}: {error}"))
            raise

    async def _receive(self, client: Client) -> None:
        query = {"filters": json.dumps({"type": TYPES, "event": ACTIONS})}
        now = client.now()
        if now is not None:
            query["since"] = f"{now - MEMORY:.0f}"
        async with aclosing(client.stream("/events", query)) as stream:
            count = 0
            async for told in stream:
                if told is None:
                    self._opened.set_result(client)
                    continue
                event = read_event(told)
                if event.type == "container":
                    self._recent.append(event)
                for feed in self.feeds:
                    feed.put(event)
                count += 1
                if count % BATCH == 0:
                    await asyncio.sleep(0)  # a burst of events is no reason to keep requests waiting
        raise EngineError("the stream of events ended")

    def _end(self, error: EngineError) -> None:
        _forget(self)  # who comes now begins a new stream
        self._error = error
        if not self._opened.done():
            self._opened.set_exception(error)
        for feed in self.feeds:
            feed.end(error)


# By event loop too: what belongs to one cannot be used from another.
_sources: dict[tuple[asyncio.AbstractEventLoop, Engine], _Source] = {}


def _forget(source: _Source) -> None:
    for key in [key for key, other in _sources.items() if other is source]:
        del _sources[key]


@asynccontextmanager
async def follow(engine: Engine) -> AsyncGenerator[Feed, None]:
    """Give a feed of the engine's events that misses none from now on; the last one to leave closes the stream."""
    key = (asyncio.get_running_loop(), engine)
    source = _sources.get(key)
    if source is None:
        source = _sources[key] = _Source(engine)
    source.users += 1
    feed: Feed | None = None
    try:
        client = await source.open()
        feed = source.join(client)
        yield feed
    finally:
        if feed is not None:
            source.feeds.discard(feed)
        source.users -= 1
        if source.users == 0:
            _forget(source)
            await source.close()
