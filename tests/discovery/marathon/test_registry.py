"""The watch, against an imitation of Marathon that answers and tells as it is documented."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.login import BasicLogin
from discovery.marathon import MarathonRegistry
from discovery.marathon.apps import Wanted
from discovery.marathon.events import TYPES
from discovery.registry import RegistryError
from tests.discovery.marathon.recorded import event, tasks
from tests.discovery.watching import eventually, first, has, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APP = "/shop/web"


class Marathon:
    """Answers with `app`, with 404 when it is None, and tells `event`s to who listens."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.refusal: dict[str, Any] | None = None
        self.asked: list[str] = []
        self.authorizations: list[str] = []
        self.listeners: set[asyncio.Queue[bytes]] = set()

    def tell(self, told: bytes = b"") -> None:
        for queue in self.listeners:
            queue.put_nowait(told)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(str(request.rel_url))
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.refusal is not None:
            return web.Response(**self.refusal)
        if request.path == "/v2/events":
            return await self._stream(request)
        if self.app is None:
            return web.json_response({"message": "App '/shop/web' does not exist"}, status=404)
        return web.json_response(self.app)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.listeners.add(queue)
        try:
            while piece := await queue.get():
                await response.write(piece)
        finally:
            self.listeners.discard(queue)
        return response

    def looks(self) -> int:
        return sum(path.startswith("/v2/apps") for path in self.asked)


@asynccontextmanager
async def serving(marathon: Marathon) -> AsyncIterator[str]:
    async with RawTestServer(marathon.handle) as server:
        yield str(server.make_url("/"))
        marathon.tell()


@asynccontextmanager
async def watched(marathon: Marathon, **options: Any) -> AsyncIterator[Any]:
    async with serving(marathon) as url, watching(MarathonRegistry([url], Wanted(), **options), APP) as watch:
        yield watch


async def test_an_event_is_a_reason_to_look_again_and_nothing_more():
    marathon = Marathon(tasks(1))
    async with watched(marathon) as watch:
        snapshot = await first(watch)
        assert has("web.1")(snapshot)
        assert not snapshot.continuous
        marathon.app = tasks(1, 2)
        marathon.tell(event())
        assert (await until(watch, has("web.1", "web.2"))).continuous
        marathon.app = tasks(2)
        marathon.tell(event())
        await until(watch, has("web.2"))
        marathon.app = None  # destroyed
        marathon.tell(event())
        assert (await until(watch, has())).continuous
    assert marathon.asked[0] == "/v2/events?" + "&".join(f"event_type={kind}" for kind in TYPES)
    assert marathon.asked[1] == "/v2/apps/shop/web?embed=app.tasks"


async def test_other_apps_events_are_none_of_ours():
    marathon = Marathon(tasks(1))
    async with watched(marathon) as watch:
        await first(watch)
        waiting = asyncio.ensure_future(anext(watch))
        marathon.tell(event("/shop/other") * 10)
        await asyncio.wait([waiting], timeout=0.2)
        assert marathon.looks() == 1
        marathon.tell(event())
        await waiting
        assert marathon.looks() == 2


async def test_lost_events_are_made_up_for():
    marathon = Marathon(tasks(1))
    async with watched(marathon, interval=0.1) as watch:
        await first(watch)
        marathon.app = tasks(2)
        await until(watch, has("web.2"))


async def test_a_flood_of_events_is_few_looks_and_ends_in_the_true_set():
    marathon = Marathon(tasks())
    async with watched(marathon) as watch:
        await first(watch)
        for number in range(10_000):
            marathon.app = tasks(number * 7919 % 100)
            if number % 100 == 0:
                marathon.tell(event() * 100)
                await asyncio.sleep(0)
        marathon.app = tasks(7, 8)
        marathon.tell(event())
        await until(watch, has("web.7", "web.8"))
    assert marathon.looks() < 100


async def test_the_end_of_the_stream_is_an_error():
    marathon = Marathon(tasks(1))
    async with watched(marathon) as watch:
        await first(watch)
        marathon.tell()
        with pytest.raises(RegistryError, match="the stream of events ended"):
            await first(watch)


async def test_the_next_server_is_asked_when_one_is_away():
    marathon = Marathon(tasks(1))
    async with serving(marathon) as url:
        registry = MarathonRegistry(["http://127.0.0.1:1", url], Wanted())
        for _ in range(2):
            async with watching(registry, APP) as watch:
                assert has("web.1")(await first(watch))


async def test_credentials_that_are_wrong_and_then_right():
    marathon = Marathon(tasks(1))
    marathon.refusal = {"status": 403, "text": '{"message": "Not Authorized to perform this action!"}'}
    async with serving(marathon) as url:
        registry = MarathonRegistry([url], Wanted(), login=BasicLogin("me", "secret"))
        async with watching(registry, APP) as watch:
            with pytest.raises(RegistryError, match=r"HTTP 403: .*; the user must exist and be allowed"):
                await first(watch)
        marathon.refusal = None
        async with watching(registry, APP) as watch:
            await first(watch)
    assert set(marathon.authorizations) == {"Basic bWU6c2VjcmV0"}


async def test_a_server_that_does_not_answer_is_given_up():
    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    released = asyncio.Event()
    marathon = Marathon(tasks(1))
    marathon.handle = hang  # type: ignore[method-assign]
    async with watched(marathon, timeout=0.1) as watch:
        with pytest.raises(RegistryError, match=r"no answer within 0\.1 s"):
            await first(watch)
        released.set()


async def test_an_answer_that_makes_no_sense_is_an_error_and_not_an_empty_set():
    marathon = Marathon(["nonsense"])
    async with watched(marathon) as watch:
        with pytest.raises(RegistryError, match="is this Marathon's API"):
            await first(watch)


async def test_what_a_watch_held_is_released():
    marathon = Marathon(tasks(1))
    before = asyncio.all_tasks()
    async with serving(marathon) as url:
        async with watching(MarathonRegistry([url], Wanted()), APP) as watch:
            await first(watch)
        await eventually(lambda: not marathon.listeners)
    await eventually(lambda: asyncio.all_tasks() <= before)
