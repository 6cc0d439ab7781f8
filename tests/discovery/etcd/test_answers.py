"""The etcd registry against a scripted server, which misbehaves as a real one would not on demand."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.etcd import EtcdRegistry, gateway
from discovery.registry import RegistryError
from tests.discovery.watching import first, has, ids, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = "/services/web/"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def page(revision: int, *names: str, count: int | None = None) -> dict[str, Any]:
    pairs = [{"key": coded(ROOT + name), "value": coded("h:1")} for name in names]
    return {"header": {"revision": str(revision)}, "kvs": pairs, "count": str(len(pairs) if count is None else count)}


def put(name: str, revision: int) -> bytes:
    pair = {"key": coded(ROOT + name), "mod_revision": str(revision), "value": coded("h:1")}
    return json.dumps({"result": {"events": [{"kv": pair}]}}).encode() + b"\n"


class Scripted:
    """A gateway that lists `answers`, the last one again and again, and tells of `pieces` in its watch.

    An answer is a page, or a whole response. After the last piece the watch is silent, unless it `ends`.
    """

    def __init__(self, *answers: dict[str, Any] | web.Response) -> None:
        self.answers = list(answers)
        self.pieces: list[bytes] = []
        self.ends = False
        self.breaks = False
        self.refuses_watches = False
        self.ignores_watches = False
        self.questions: list[tuple[str, dict[str, Any]]] = []
        self.released = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.questions.append((request.path, await request.json()))
        if request.path == "/v3/watch":
            return await self._watch(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        return web.json_response(answer)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.refuses_watches:
            return web.Response(status=404, text="Not Found")
        if self.ignores_watches:
            await self.released.wait()
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if self.breaks:
            assert request.transport is not None
            request.transport.abort()
        elif not self.ends:
            await self.released.wait()
        return response

    def asked(self, path: str) -> list[dict[str, Any]]:
        return [question for asked, question in self.questions if asked == path]


@asynccontextmanager
async def scripted(
    *answers: dict[str, Any] | web.Response, pieces: tuple[bytes, ...] = (), ends: bool = False, **options: Any
) -> AsyncIterator[tuple[Scripted, Any]]:
    script = Scripted(*answers)
    script.pieces, script.ends = list(pieces), ends
    async with RawTestServer(script.handle) as server:
        registry = EtcdRegistry([str(server.make_url("/"))], **options)
        async with watching(registry, ROOT) as watch:
            yield script, watch
        script.released.set()


async def test_the_watch_begins_where_the_list_ended():
    async with scripted(page(7, "a"), pieces=(put("b", 8),)) as (script, watch):
        assert has("a")(await first(watch))
        assert has("a", "b")(await first(watch))
    (opening,) = script.asked("/v3/watch")
    assert opening["create_request"]["start_revision"] == "8"


async def test_messages_may_be_cut_anywhere():
    text = put("b", 8) + put("c", 9) + put("d", 10)
    pieces = tuple(text[start : start + 7] for start in range(0, len(text), 7))
    async with scripted(page(7, "a"), pieces=pieces) as (_, watch):
        await first(watch)
        names: set[str] = set()
        while names != {"a", "b", "c", "d"}:
            names = ids(await first(watch))


async def test_many_changes_at_once_are_few_snapshots():
    pieces = (b"".join(put(f"b{number}", 8 + number) for number in range(2000)),)
    async with scripted(page(7, "a"), pieces=pieces) as (_, watch):
        count = 0
        while len((await first(watch)).instances) < 2001:
            count += 1
    assert count < 100


async def test_a_watch_that_ends_is_an_error():
    async with scripted(page(7, "a"), pieces=(put("b", 8),), ends=True) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="the watch ended"):
            await until(watch, has("never"))


async def test_a_watch_that_breaks_off_is_an_error():
    async with scripted(page(7, "a"), pieces=(put("b", 8),)) as (script, watch):
        script.breaks = True
        await first(watch)
        with pytest.raises(RegistryError, match=r"etcd at http://\S+: the connection broke off"):
            await until(watch, has("never"))


async def test_a_watch_that_tells_nothing_of_a_change_is_an_error():
    """It is half open: what came between forgot the connection, and nobody told us."""
    answers = page(7, "a"), page(8, count=2), page(9, "c", count=3)
    async with scripted(*answers, pieces=(put("b", 8),), heartbeat=0.1, timeout=0.5) as (script, watch):
        assert has("a")(await first(watch))
        assert has("a", "b")(await first(watch))
        assert has("a", "b")(await first(watch))
        with pytest.raises(RegistryError, match=r"the watch did not tell of a change within 0\.5 s"):
            await first(watch)
    assert script.asked("/v3/kv/range")[-1]["min_mod_revision"] == "9"


async def test_an_etcd_whose_revision_goes_back_is_an_error():
    async with scripted(page(7, "a"), page(3, "a"), heartbeat=0.05) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="its revision went back from 7 to 3"):
            await first(watch)


async def test_a_heartbeat_that_is_not_answered_is_an_error():
    refusal = web.json_response({"error": "etcdserver: request timed out", "code": 14}, status=503)
    async with scripted(page(7, "a"), refusal, heartbeat=0.05) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="HTTP 503: etcdserver: request timed out"):
            await first(watch)


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (b"<html>\n", "the answer is no JSON"),
        (b"[" * 100_000 + b"\n", "the answer is no JSON"),
        (b"\xff\n", "the answer is no JSON"),
        (b"[]\n", "the answer must be an object, not a list"),
        (b"{}\n", "result must be an object, not nothing; is this etcd's JSON gateway"),
        (b'{"result": 5}\n', "result must be an object, not 5"),
        (b'{"error": {"grpc_code": 14, "message": "etcdserver: no leader"}}\n', "ended: etcdserver: no leader"),
        (b'{"error": "odd"}\n', "the stream ended: odd"),
        (b'{"result": {"canceled": true, "cancel_reason": "etcdserver: no"}}\n', "cancelled: etcdserver: no"),
        (b'{"result": {"events": [{}]}}\n', "kv must be an object"),
    ],
)
async def test_a_message_that_makes_no_sense_is_an_error(piece: bytes, said: str):
    async with scripted(page(7, "a"), pieces=(piece,)) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match=said):
            await first(watch)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "the answer is no JSON"),
        (b"", "the answer is no JSON"),
        (b"[" * 100_000, "the answer is no JSON"),
        (b"[]", "the answer must be an object, not a list"),
        (b"{}", "has no revision; is this etcd's JSON gateway"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(body: bytes, said: str):
    async with scripted(web.Response(body=body)) as (_, watch):
        with pytest.raises(RegistryError, match=said):
            await first(watch)


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 429, 500, 503])
async def test_a_refusal_is_an_error_with_its_first_line(status: int):
    body = b"" if status == 204 else b"no \x1b leader\nsecond line"
    async with scripted(web.Response(status=status, body=body)) as (_, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert f"HTTP {status}: " in str(caught.value)
    assert ("no ? leader" in str(caught.value)) == bool(body)
    assert "second line" not in str(caught.value)


async def test_the_watch_that_is_refused_is_an_error():
    async with scripted(page(7, "a")) as (script, watch):
        await first(watch)
        script.refuses_watches = True
        with pytest.raises(RegistryError, match="HTTP 404: Not Found"):
            await first(watch)


async def test_a_watch_that_is_not_answered_is_an_error():
    async with scripted(page(7, "a"), timeout=0.5) as (script, watch):
        await first(watch)
        script.ignores_watches = True
        with pytest.raises(RegistryError, match=r"no answer within 0\.5 s"):
            await first(watch)
        script.released.set()


async def test_an_answer_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "ANSWER_LIMIT", 1000)
    async with scripted(page(7, *map(str, range(100)))) as (_, watch):
        with pytest.raises(RegistryError, match="the answer is larger than"):
            await first(watch)


async def test_a_message_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "ANSWER_LIMIT", 1000)
    async with scripted(page(7, "a"), pieces=(b'{"result": ', b"x" * 2000)) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="a message is larger than"):
            await first(watch)


@pytest.mark.parametrize("token", [None, "", 5, "a\r\nX-Evil: 1", "ö"])
async def test_a_token_that_is_none_is_an_error(token: object):
    async with scripted({"token": token}, page(7), username="me", password="secret") as (script, watch):
        with pytest.raises(RegistryError, match="the answer to the login has no token"):
            await first(watch)
    assert script.questions == [("/v3/auth/authenticate", {"name": "me", "password": "secret"})]


async def test_a_token_that_is_refused_again_and_again_is_an_error():
    refusal = web.json_response({"error": "etcdserver: invalid auth token", "code": 16}, status=401)
    answers = ({"token": "t.1"}, refusal, {"token": "t.2"}, refusal)
    async with scripted(*answers, username="me", password="secret") as (script, watch):
        with pytest.raises(RegistryError, match="HTTP 401: etcdserver: invalid auth token"):
            await first(watch)
    assert [path for path, _ in script.questions] == ["/v3/auth/authenticate", "/v3/kv/range"] * 2


async def test_a_password_in_an_endpoint_is_not_shown():
    async with watching(EtcdRegistry(["http://user:secret@127.0.0.1:1"]), ROOT) as watch:
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert "secret" not in str(caught.value)
