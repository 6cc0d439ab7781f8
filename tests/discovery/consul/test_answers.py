"""The Consul registry against a scripted server, which misbehaves as a real agent would not on demand."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.consul import ConsulRegistry
from discovery.consul import shared as consul
from discovery.registry import RegistryError
from tests.discovery.watching import first, ids, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Scripted:
    """An HTTP server that gives the next of its answers to each request, and the last one to all that follow."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.requests: list[web.BaseRequest] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    @property
    def indexes(self) -> list[str | None]:
        return [request.query.get("index") for request in self.requests]


def answer(index: object, *hosts: str, **headers: str) -> web.Response:
    entries = [
        {"Node": {"Node": "n1"}, "Service": {"ID": host, "Address": host, "Port": 80}, "Checks": []} for host in hosts
    ]
    headers = {"X-Consul-Index": str(index), **{key.replace("_", "-"): value for key, value in headers.items()}}
    return web.json_response(entries, headers=headers)


@asynccontextmanager
async def scripted(*answers: web.Response, path: str = "", **options: Any) -> AsyncIterator[tuple[Scripted, Any]]:
    script = Scripted(*answers)
    async with RawTestServer(script.handle) as server:
        registry = ConsulRegistry(str(server.make_url(path)), **options)
        async with watching(registry) as watch:
            yield script, watch


async def test_the_query_says_what_is_wanted():
    options: dict[str, Any] = {"datacenter": "dc2", "tags": ("v2", "a&b"), "filter": 'Service.Meta.x == "1"'}
    async with scripted(answer(7, "a"), path="/consul/", token="secret", wait=30.0, **options) as (script, watch):
        await first(watch)
        await first(watch)
    opening, blocking = script.requests
    assert opening.path == "/consul/v1/health/service/web"
    assert opening.headers["X-Consul-Token"] == "secret"
    asked = [("tag", "v2"), ("tag", "a&b"), ("dc", "dc2"), ("filter", 'Service.Meta.x == "1"')]
    assert list(opening.query.items()) == asked
    assert list(blocking.query.items()) == [*asked, ("index", "7"), ("wait", "30000ms")]


async def test_an_index_that_goes_backwards_starts_the_watch_over():
    async with scripted(answer(90, "a"), answer(12, "b"), answer(12, "c"), answer(13, "d")) as (script, watch):
        assert ids(await first(watch)) == {"n1/a"}
        again = await first(watch)
        after = await first(watch)
    assert script.indexes == [None, "90", None, "12"]
    assert (ids(again), again.continuous) == ({"n1/c"}, False)
    assert (ids(after), after.continuous) == ({"n1/d"}, True)


async def test_an_index_of_nought_is_never_asked_for():
    async with scripted(answer(0, "a")) as (script, watch):
        snapshots = [await first(watch) for _ in range(3)]
    assert script.indexes == [None, "1", "1"]
    assert snapshots[-1].continuous


async def test_a_consul_that_never_waits_is_asked_twenty_times_a_second_at_most():
    async with scripted(answer(7, "a")) as (script, watch):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(15):
            await first(watch)
        assert loop.time() - began >= 5 / 20 - 0.01
    assert len(script.requests) == 15


@pytest.mark.parametrize("index", ["", "-1", "1.5", "x", "+7", "７", "9" * 30])  # noqa: RUF001  # a full-width 7
async def test_an_index_that_is_no_number_is_an_error(index: str):
    async with scripted(answer(index, "a")) as (_, watch):
        with pytest.raises(RegistryError, match="X-Consul-Index must be a number"):
            await first(watch)


async def test_a_missing_index_is_an_error():
    async with scripted(web.json_response([])) as (_, watch):
        with pytest.raises(RegistryError, match=r"X-Consul-Index must be a number.*is this Consul"):
            await first(watch)


async def test_an_empty_set_that_the_token_may_not_see_is_an_error():
    """Recent versions of Consul say so, to tokens other than the anonymous one; 1.8 does not."""
    async with scripted(answer(7, X_Consul_Results_Filtered_By_ACLs="true")) as (_, watch):
        with pytest.raises(RegistryError, match="may not read this service; grant it node:read and service:read"):
            await first(watch)


async def test_what_the_token_may_see_is_used():
    async with scripted(answer(7, "a", X_Consul_Results_Filtered_By_ACLs="true")) as (_, watch):
        assert ids(await first(watch)) == {"n1/a"}


async def test_that_the_token_may_not_see_all_is_said_and_makes_what_is_missing_doubtful():
    filtered = answer(8, "a", X_Consul_Results_Filtered_By_ACLs="true")
    async with scripted(answer(7, "a", "b"), filtered, answer(9, "a")) as (_, watch):
        assert not (await first(watch)).unreadable
        some = await first(watch)
        after = await first(watch)
    assert some.unreadable == (
        "instances that the token may not read; grant it node:read for their nodes and service:read",
    )
    assert [one.continuous for one in (some, after)] == [False, True]
    assert not after.unreadable


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "the answer is no JSON"),
        (b"", "the answer is no JSON"),
        (b"\xff\xff", "the answer is no JSON"),
        (b"[" * 100_000, "the answer is no JSON"),
        (b"{}", "the answer must be a list, not a mapping"),
        (b"null", "the answer must be a list, not nothing"),
    ],
)
async def test_an_answer_that_is_no_list_is_an_error(body: bytes, said: str):
    async with scripted(web.Response(body=body, headers={"X-Consul-Index": "7"})) as (_, watch):
        with pytest.raises(RegistryError, match=said):
            await first(watch)


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 429, 500, 503])
async def test_a_refusal_is_an_error_with_its_first_line(status: int):
    body = b"" if status == 204 else b"rpc error: \x1b no leader\nsecond line"
    refusal = web.Response(status=status, body=body, headers={"X-Consul-Index": "7"})
    async with scripted(refusal) as (_, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert f"HTTP {status}: " in str(caught.value)
    assert ("rpc error: ? no leader" in str(caught.value)) == bool(body)
    assert "second line" not in str(caught.value)


async def test_one_entry_that_makes_no_sense_is_named_and_the_others_are_used():
    good = json.loads(answer(7, "a").body)  # type: ignore[arg-type]
    response = web.json_response([*good, {"Node": None}], headers={"X-Consul-Index": "7"})
    async with scripted(response) as (_, watch):
        snapshot = await first(watch)
    assert ids(snapshot) == {"n1/a"}
    assert snapshot.unreadable == ("entry 2: Node must be an object, not nothing",)


async def test_an_answer_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consul, "BODY_LIMIT", 1000)
    async with scripted(answer(7, *["a"] * 100)) as (_, watch):
        with pytest.raises(RegistryError, match="the answer is larger than"):
            await first(watch)


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb"])
async def test_a_token_that_would_break_the_request_is_an_error(token: str):
    async with scripted(answer(7), token=token) as (script, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert script.requests == []
    assert "Evil" not in str(caught.value)


async def test_a_password_in_the_address_is_not_shown():
    async with watching(ConsulRegistry("http://user:secret@127.0.0.1:1"), "web") as watch:
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert "secret" not in str(caught.value)
