"""The subscription, against an imitation of a master that tells recorded events."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.login import BasicLogin
from discovery.mesos import MesosRegistry
from discovery.mesos.tasks import Wanted
from discovery.registry import RegistryError
from tests.discovery.mesos.recorded import EVENTS, record, subscribed, task, updated
from tests.discovery.watching import first, has, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Master:
    """Tells `events` to whoever subscribes, then each that is `tell`ed; refuses with `refusal` as long as it is set."""

    def __init__(self, *events: Any) -> None:
        self.events = list(events)
        self.refusal: dict[str, Any] | None = None
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.subscribers: set[asyncio.Queue[bytes]] = set()

    def tell(self, *events: Any) -> None:
        for queue in self.subscribers:
            queue.put_nowait(b"".join(map(record, events)))

    def hang_up(self) -> None:
        for queue in self.subscribers:
            queue.put_nowait(b"")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.headers), await request.json()))
        if self.refusal is not None:
            return web.Response(**self.refusal)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.subscribers.add(queue)
        try:
            await response.write(b"".join(map(record, self.events)))
            while piece := await queue.get():
                await response.write(piece)
        finally:
            self.subscribers.discard(queue)
        return response


@asynccontextmanager
async def serving(master: Master) -> AsyncIterator[str]:
    async with RawTestServer(master.handle) as server:
        yield str(server.make_url("/"))
        master.hang_up()


@asynccontextmanager
async def subscribing(master: Master, **options: Any) -> AsyncIterator[Any]:
    async with serving(master) as url, watching(MesosRegistry([url], Wanted("web"), **options)) as watch:
        yield watch


async def test_what_a_master_tells_is_followed():
    master = Master(EVENTS[0])
    async with subscribing(master) as watch:
        snapshot = await first(watch)
        assert has("web.1")(snapshot)
        assert not snapshot.continuous
        master.tell(*EVENTS[1:5])
        snapshot = await until(watch, has("web.1", "web.2"))
        assert snapshot.continuous
        master.tell(updated("web.1", "TASK_KILLED"))
        assert (await until(watch, has("web.2"))).continuous
        master.tell(updated("web.2", "TASK_FAILED"))
        assert (await until(watch, has())).continuous
    ((path, headers, question),) = master.requests
    assert (path, question) == ("/api/v1", {"type": "SUBSCRIBE"})
    assert (headers["Accept"], headers["Content-Type"]) == ("application/json", "application/json")


async def test_a_heartbeat_is_a_sign_of_life():
    master = Master(subscribed(task("t")))
    async with subscribing(master) as watch:
        await first(watch)
        master.tell({"type": "HEARTBEAT"})
        assert has("t")(await first(watch))


async def test_ten_thousand_changes_in_disorder_end_in_the_true_set():
    master = Master(subscribed())
    async with subscribing(master) as watch:
        await first(watch)
        names = [f"t-{number * 7919 % 10_000}" for number in range(10_000)]
        master.tell(*({"type": "TASK_ADDED", "task_added": {"task": task(name)}} for name in names[:6000]))
        master.tell(*(updated(name, "TASK_LOST") for name in reversed(names[:4000])))
        await until(watch, has(*names[4000:6000]))


async def test_silence_of_five_heartbeats_is_the_end():
    event = subscribed(task("t"))
    event["subscribed"]["heartbeat_interval_seconds"] = 0.02
    async with subscribing(Master(event)) as watch:
        await first(watch)
        with pytest.raises(RegistryError, match="no sign of life for five heartbeats"):
            await first(watch)


async def test_a_stream_that_ends_is_an_error():
    master = Master(subscribed(task("t")))
    async with subscribing(master) as watch:
        await first(watch)
        master.hang_up()
        with pytest.raises(RegistryError, match="the stream of events ended"):
            await first(watch)


async def test_a_master_that_begins_no_answer_is_given_up():
    async with subscribing(Master(), timeout=0.1) as watch:
        with pytest.raises(RegistryError, match="no answer in time"):
            await first(watch)


async def test_a_master_that_does_not_lead_says_who_does():
    leader, other = Master(subscribed(task("t"))), Master()
    async with serving(leader) as url, serving(other) as wrong:
        other.refusal = {"status": 307, "headers": {"Location": f"//{url.removeprefix('http://')}api/v1"}}
        async with watching(MesosRegistry([wrong], Wanted("web"))) as watch:
            assert has("t")(await first(watch))


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("", "a redirect that leads nowhere"),
        ("ftp://h/", "a redirect that leads nowhere"),
        ("/api/v1", "none of them leads"),
    ],
)
async def test_redirects_that_lead_nowhere_are_errors(location: str, error: str):
    master = Master()
    master.refusal = {"status": 307, "headers": {"Location": location}}
    async with serving(master) as url, watching(MesosRegistry([url], Wanted("web"))) as watch:
        with pytest.raises(RegistryError, match=error):
            await first(watch)


async def test_the_next_master_is_asked_when_one_is_away():
    master = Master(subscribed(task("t")))
    async with serving(master) as url:
        registry = MesosRegistry(["http://127.0.0.1:1", url], Wanted("web"))
        async with watching(registry) as watch:
            assert has("t")(await first(watch))
        async with watching(registry) as watch:
            assert has("t")(await first(watch))
    assert len(master.requests) == 2


async def test_credentials_that_are_wrong_and_then_right():
    master = Master(subscribed(task("t")))
    master.refusal = {"status": 401, "text": "unknown principal"}
    async with serving(master) as url:
        registry = MesosRegistry([url], Wanted("web"), login=BasicLogin("me", "secret"))
        async with watching(registry) as watch:
            with pytest.raises(RegistryError, match="HTTP 401: unknown principal; the user must be allowed"):
                await first(watch)
        master.refusal = None
        async with watching(registry) as watch:
            await first(watch)
    assert master.requests[-1][1]["Authorization"] == "Basic bWU6c2VjcmV0"


async def test_nonsense_is_an_error_that_says_where():
    cases = (b"<html><body>", "a record must begin with its length"), (b"5\n{abc}", "an event is no JSON")
    for nonsense, error in cases:
        master = Master()

        async def answer(request: web.BaseRequest, text: bytes = nonsense) -> web.Response:
            return web.Response(body=text)

        master.handle = answer  # type: ignore[method-assign]
        async with subscribing(master) as watch:
            with pytest.raises(RegistryError, match=f"Mesos at http://127.0.0.1:[0-9]+/: {error}"):
                await first(watch)
