"""The Eureka registry against a scripted server, which misbehaves as a real one would not on demand."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.eureka import EurekaRegistry, client, poller, store
from discovery.registry import RegistryError
from tests.discovery.watching import first, has, ids, only, until, watching
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Answer = dict[str, Any] | bytes | web.Response


def one(name: str, status: str = "UP", **fields: Any) -> dict[str, Any]:
    return {"instanceId": name, "ipAddr": "10.0.0.1", "status": status, "port": {"$": 80, "@enabled": "true"}, **fields}


def apps(code: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The answer with one application; the keys of `more` are in place of Eureka's own."""
    application = [{"name": "WEB", "instance": list(instances)}] if instances else []
    return {"applications": {"versions__delta": "1", "apps__hashcode": code, "application": application, **more}}


class Scripted:
    """A server that gives these answers, the last of each again and again."""

    def __init__(self, full: list[Answer], delta: list[Answer]) -> None:
        self._answers = {"/eureka/apps": full, "/eureka/apps/delta": delta}
        self.asked: list[str] = []
        self.headers: Any = {}
        self.urls: list[str] = []
        self.released = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path.removeprefix("/eureka/"))
        self.headers = request.headers
        answers = self._answers[request.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, web.Response):
            if answer.status == 599:  # silence
                await self.released.wait()
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def scripted(
    full: Answer | list[Answer], delta: Answer | list[Answer] = b"", *, before: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[tuple[Scripted, Any]]:
    script = Scripted(full if isinstance(full, list) else [full], delta if isinstance(delta, list) else [delta])
    async with RawTestServer(script.handle) as server:
        script.urls = [*before, str(server.make_url("/eureka/"))]
        registry = EurekaRegistry(script.urls, **{"interval": 0.01, **options})
        async with watching(registry, "WEB") as watch:
            yield script, watch
        script.released.set()


async def test_a_peer_is_named_as_the_one_to_ask_once_it_has_answered(caplog: pytest.LogCaptureFixture):
    away = f"http://127.0.0.1:{free_port()}/eureka"
    async with scripted(apps("UP_1_", one("a")), apps("UP_1_"), before=(away,)) as (script, watch):
        await first(watch)
        (said,) = caplog.messages
        assert said.startswith(f"Eureka at {away}: ")
        assert said.endswith(f"; asking the one at {script.urls[1]} from now on")
    caplog.clear()
    async with scripted(web.Response(status=500), before=(away,)) as (_, watch):
        with pytest.raises(RegistryError, match=rf"Eureka at {away}: .*; Eureka at .*: HTTP 500"):
            await first(watch)
    assert not caplog.messages


async def test_a_delta_is_taken_as_often_as_it_is_told():
    delta = apps("DOWN_1_UP_1_", one("b", actionType="ADDED"), one("c", "DOWN", actionType="MODIFIED"),
                 one("a", actionType="DELETED"))  # fmt: skip
    async with scripted(apps("UP_2_", one("a"), one("c")), delta) as (script, watch):
        assert has("a", "c")(await first(watch))
        for _ in range(3):
            snapshot = await first(watch)
            assert has("b", "c")(snapshot)
            assert snapshot.continuous
            assert snapshot.index == "DOWN_1_UP_1_"
    assert script.asked[0] == "apps"
    assert set(script.asked[1:]) == {"apps/delta"}


async def test_the_last_instance_that_is_deleted_is_seen_to_go():
    async with scripted(apps("UP_1_", one("a")), apps("", one("a", actionType="DELETED"))) as (_, watch):
        await until(watch, has("a"))
        assert (await until(watch, has())).continuous


async def test_a_hash_that_is_another_one_has_everything_asked_for():
    full: list[Answer] = [apps("UP_1_", one("a")), apps("UP_1_", one("b"))]
    deltas: list[Answer] = [apps("UP_1_"), apps("UP_2_"), apps("UP_1_")]
    async with scripted(full, deltas) as (script, watch):
        assert has("a")(await first(watch))
        assert (await first(watch)).continuous
        snapshot = await first(watch)
        assert has("b")(snapshot)
        assert not snapshot.continuous
        assert (await first(watch)).continuous
        assert script.asked == ["apps", "apps/delta", "apps/delta", "apps", "apps/delta"]


async def test_a_server_that_forgot_everything_between_two_looks_empties_nothing_at_once():
    full: list[Answer] = [apps("UP_1_", one("a")), apps("")]
    async with scripted(full, apps("")) as (_, watch):
        await until(watch, has("a"))
        assert not (await until(watch, has())).continuous


async def test_what_a_delta_knows_better_than_the_whole_counts():
    """A server keeps each of its answers for a while; the whole may be the older one."""
    full: list[Answer] = [
        apps("UP_1_", one("a", lastUpdatedTimestamp=1)),
        apps("UP_2_", one("a", lastUpdatedTimestamp=5), one("b", lastUpdatedTimestamp=1)),
    ]
    delta = apps("UP_2_", one("b", lastUpdatedTimestamp=4, actionType="DELETED"),
                 one("a", "DOWN", lastUpdatedTimestamp="4", actionType="MODIFIED"))  # fmt: skip
    async with scripted(full, delta) as (_, watch):
        await first(watch)
        assert only(await first(watch)).reason == ""


async def test_everything_is_asked_for_after_a_gap_that_no_delta_covers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poller, "LONGEST_GAP", 0.0)
    async with scripted([apps("UP_1_", one("a")), apps("UP_1_", one("b"))], apps("UP_1_")) as (script, watch):
        assert has("a")(await first(watch))
        snapshot = await first(watch)
        assert has("b")(snapshot)
        assert not snapshot.continuous
    assert set(script.asked) == {"apps"}


async def test_everything_is_asked_for_now_and_then(monkeypatch: pytest.MonkeyPatch):
    """The hash counts instances, and does not know one from another."""
    monkeypatch.setattr(poller, "FULL_EVERY", 0.0)
    async with scripted([apps("UP_1_", one("a")), apps("UP_1_", one("b"))], apps("UP_1_")) as (script, watch):
        assert has("a")(await first(watch))
        assert has("b")(await first(watch))
        assert (await first(watch)).continuous
    assert script.asked[:5] == ["apps", "apps/delta", "apps", "apps/delta", "apps"]


async def test_instances_of_all_states_are_counted_and_those_that_make_no_sense_too():
    full = apps("DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UNKNOWN_2_UP_2_", one("a"), {"status": "UP"}, one("c", "DOWN"),
                one("d", "STARTING"), one("e", "OUT_OF_SERVICE"), one("f", "UNKNOWN"), one("g", "ODD"))  # fmt: skip
    async with scripted(full, apps(full["applications"]["apps__hashcode"])) as (script, watch):
        snapshot = await first(watch)
        assert ids(snapshot) == set("acdefg")
        assert snapshot.unreadable == ("an instance without an instanceId: instanceId must be a text",)
        assert (await first(watch)).continuous
    assert script.asked.count("apps") == 1


async def test_a_single_one_may_stand_where_a_list_is_expected():
    full = {"applications": {"apps__hashcode": "UP_1_", "application": {"name": "WEB", "instance": one("a")}}}
    delta = apps("UP_2_", application={"name": "WEB", "instance": one("b", actionType="ADDED")})
    async with scripted(full, delta) as (_, watch):
        assert has("a")(await first(watch))
        assert has("a", "b")(await first(watch))


async def test_keys_whose_underscores_are_not_doubled():
    full = {"applications": {"versions_delta": 1, "apps_hashcode": "UP_1_", "application": [
        {"name": "web", "instance": [one("a")]}]}}  # fmt: skip
    async with scripted(full, full) as (script, watch):
        assert has("a")(await first(watch))
        assert (await first(watch)).continuous
    assert script.asked.count("apps") == 1


async def test_what_the_server_is_asked_with():
    async with scripted(apps(""), username="mü", password="s:c") as (script, watch):
        await first(watch)
    assert script.headers["Accept"] == "application/json"
    assert script.headers["Authorization"] == "Basic bcO8OnM6Yw=="


async def test_an_answer_may_be_compressed():
    zipped = web.Response(body=gzip.compress(json.dumps(apps("UP_1_", one("a"))).encode()),
                          headers={"Content-Encoding": "gzip"})  # fmt: skip
    async with scripted(zipped) as (script, watch):
        assert has("a")(await first(watch))
    assert script.headers["Accept-Encoding"] == "gzip"


def compressed(body: bytes, coding: str = "gzip") -> web.Response:
    return web.Response(body=body, headers={"Content-Encoding": coding})


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "the answer is no JSON"),
        (b"<applications/>", "the answer is no JSON"),
        (b"[" * 100_000, "the answer is no JSON"),
        (b"\xff", "the answer is no JSON"),
        (b"[]", "applications must be an object, not nothing; is this the URL of Eureka's API"),
        ({}, "applications must be an object, not nothing"),
        ({"applications": []}, "applications must be an object, not a list"),
        ({"applications": {}}, "apps__hashcode must be a text, not nothing"),
        (apps("", application=[1]), "application must be a list of objects, not a list"),
        (apps("", application="x"), "application must be a list of objects, not 'x'"),
        (apps("", application=[{"instance": []}]), "an application's name must be a text, not nothing"),
        (apps("", application=[{"name": "A", "instance": ["x"]}]), "instance must be a list of objects"),
        (web.Response(status=401, text="Who?\nme"), r"HTTP 401: Who\?; username and password must be"),
        (web.json_response({"status": 401, "error": "Unauthorized"}, status=401), "HTTP 401: Unauthorized; username"),
        (web.Response(status=500, text='{\n"message":"Oh",\n"status":"500"\n}'), "HTTP 500: Oh"),
        (web.Response(status=500, text='{\n"message"'), "HTTP 500: Internal Server Error"),
        (web.json_response([], status=500), r"HTTP 500: \[\]"),
        (web.Response(status=403), "HTTP 403: Forbidden; the user must be allowed to read"),
        (web.Response(status=404, text="<p>", content_type="text/html"), "HTTP 404: Not Found; the URL must be"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "HTTP 302: Found"),
        (web.Response(status=503, body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "HTTP 503: Service Unav"),
        (web.Response(status=599), r"no answer within 0\.2 s"),
        (compressed(b"plain"), "the answer is no gzip"),
        (compressed(gzip.compress(b"{}" * 100)[:-20]), "the answer breaks off"),
        (compressed(b"x", "br"), "the answer comes with the coding 'br', which was not asked for"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_delta", [False, True])
async def test_what_is_no_answer(answer: Answer, complaint: str, is_delta: bool):
    if is_delta and isinstance(answer, web.Response) and answer.status in (403, 404):
        return  # a server that tells no deltas
    full, delta = (apps(""), answer) if is_delta else (answer, b"")
    async with scripted(full, delta, timeout=0.2) as (_, watch):
        with pytest.raises(RegistryError, match=rf"Eureka at http://127\.0\.0\.1:\d+/eureka/?: {complaint}"):
            await until(watch, lambda snapshot: False)


async def test_an_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "ANSWER_LIMIT", 2**20)
    for answer in (b" " * (2**20 + 1), compressed(gzip.compress(b" " * 2**24))):
        async with scripted(answer) as (_, watch):
            with pytest.raises(RegistryError, match="the answer is larger than 1 MiB"):
                await first(watch)


async def test_instances_have_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "INSTANCE_LIMIT", 2)
    async with scripted(apps("", one("a"), one("b"), one("c"))) as (_, watch):
        with pytest.raises(RegistryError, match="there are more than 2 instances"):
            await first(watch)
    delta = apps("", one("a", actionType="ADDED"), one("c", actionType="ADDED"))
    async with scripted(apps("", one("a"), one("b")), delta) as (_, watch):
        assert has("a", "b")(await first(watch))
        with pytest.raises(RegistryError, match="there are more than 2 instances"):
            await first(watch)


async def test_a_delta_that_is_refused_while_everything_is_too_is_an_error():
    refused = web.Response(status=403)
    async with scripted([apps("UP_1_", one("a")), refused], refused) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="HTTP 403"):
            await first(watch)


async def test_an_instance_without_an_identity_is_known_by_its_host():
    full = apps("UP_1_", {**one(""), "hostName": "web-1.internal"})
    async with scripted(full) as (_, watch):
        assert has("web-1.internal")(await first(watch))


async def test_a_server_that_fails_is_left_for_the_next_one_until_that_fails():
    good, bad = Scripted([apps("UP_1_", one("a"))], [apps("UP_1_")]), Scripted([b""], [b""])
    async with RawTestServer(good.handle) as there, RawTestServer(bad.handle) as here:
        urls = [str(server.make_url("/eureka")) for server in (here, there)]
        registry = EurekaRegistry(urls, interval=0.01)
        async with watching(registry, "WEB") as watch:
            for _ in range(3):
                assert has("a")(await first(watch))
            assert len(bad.asked) == 1
            await there.close()
            with pytest.raises(RegistryError, match=r"; .*no JSON"):
                await until(watch, lambda snapshot: False)
    assert len(bad.asked) == 2


async def test_a_watch_that_comes_later_is_told_at_once_and_the_last_one_ends_it():
    async with scripted(apps("UP_1_", one("a")), apps("UP_1_"), interval=60.0) as (script, watch):
        await first(watch)
        registry = EurekaRegistry(script.urls, interval=60.0)
        row = registry._poller._row
        async with watching(registry, "web") as other:
            snapshot = await first(other)
            assert has("a")(snapshot)
            assert not snapshot.continuous
        assert row is not None
        assert not row.task.done()
        assert script.asked == ["apps"]
    assert row.task.cancelled()


async def test_all_watches_hear_of_a_failure_and_begin_anew_together():
    full: list[Answer] = [apps("UP_1_", one("a"))]
    async with scripted(full, [apps("UP_1_"), b"", apps("UP_1_")]) as (script, watch):
        registry = EurekaRegistry(script.urls, interval=0.01)
        async with watching(registry, "WEB") as other:
            await asyncio.gather(first(watch), first(other))
            for one_of_two in (watch, other):
                with pytest.raises(RegistryError, match="no JSON"):
                    await until(one_of_two, lambda snapshot: False)
        async with watching(registry, "WEB") as again:
            assert not (await first(again)).continuous
            assert (await first(again)).continuous
    assert script.asked.count("apps") == 2


async def test_what_a_server_holds_is_listed():
    full = apps("UP_3_", application=[
        {"name": "WEB", "instance": [one("a", vipAddress="w,x"), one("b", vipAddress="w", secureVipAddress="s")]},
        {"name": "API", "instance": one("a")}])  # fmt: skip
    async with scripted(full) as (script, _):
        found = [
            await EurekaRegistry(script.urls, by=by, secure=secure).services("")  # type: ignore[arg-type]
            for by, secure in (("app", False), ("vip", False), ("vip", True))
        ]
    assert [[(one.name, one.instances) for one in listed] for listed in found] == [
        [("API", 1), ("WEB", 2)], [("w", 2), ("x", 1)], [("s", 1)],
    ]  # fmt: skip
