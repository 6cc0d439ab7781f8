"""The Kubernetes registry against a scripted API server, which misbehaves as a real one would not on demand."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from discovery.kubernetes import KubernetesRegistry, api, registry
from discovery.registry import RegistryError
from tests.discovery.kubernetes.service import slice_of
from tests.discovery.watching import first, has, ids, until, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
HIDDEN = "secret"


def named(name: str, *addresses: str, version: str = "x") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}, **slice_of(*addresses)}


def page(version: str, *addresses: str, more: str = "") -> dict[str, Any]:
    """Make a list with one slice an address, each called by it."""
    metadata = {"resourceVersion": version, "continue": more}
    return {"metadata": metadata, "items": [named(address, address) for address in addresses]}


def event(kind: str, *addresses: str, version: str = "x") -> bytes:
    thing = named(addresses[0] if addresses else "none", *addresses, version=version)
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def bookmark(version: str) -> bytes:
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}).encode() + b"\n"


def failure(code: int, message: str = "too old resource version: 5 (9)", reason: str = "") -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}


def error(code: int, **fields: Any) -> bytes:
    return json.dumps({"type": "ERROR", "object": failure(code, **fields)}).encode() + b"\n"


def refused(code: int, **fields: Any) -> web.Response:
    return web.json_response(failure(code, **fields), status=code)


LASTING = object()  # as the last piece of a watch: it is not ended


class Scripted:
    """An API server that gives `lists` and `watches` in turn, the last one of each again and again.

    A list is a page, or a whole response. A watch is what its stream says, or a whole response.
    """

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists, self.watches = lists, watches
        self.questions: list[web.BaseRequest] = []
        self.released = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.questions.append(request)
        answers = self.watches if "watch" in request.query else self.lists
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        if isinstance(answer, dict):
            return web.json_response(answer)
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in answer:
            if piece is LASTING:
                await self.released.wait()
            else:
                await response.write(piece)
                await asyncio.sleep(0)
        return response

    def asked(self, watch: bool) -> list[dict[str, str]]:
        """Return the queries of the lists, or of the watches."""
        return [dict(one.query) for one in self.questions if ("watch" in one.query) is watch]


class World:
    """A scripted API server, and the kubeconfig that names it."""

    def __init__(self, script: Scripted, path: Path, server: str) -> None:
        self.script = script
        self.token_file = path.with_name("token")
        self.token_file.write_text(HIDDEN)
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"tokenFile": "token"}}],
        }
        path.write_text(yaml.safe_dump(config))
        self.kubeconfig = path


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists and watches follow each other faster than real servers are asked."""
    monkeypatch.setattr(registry, "RATE", 50.0)


@asynccontextmanager
async def scripted(
    folder: Path, lists: list[Any], watches: list[Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Scripted, Any]]:
    script = Scripted(lists, watches or [[LASTING]])
    async with RawTestServer(script.handle) as server:
        world = World(script, folder / "kubeconfig", str(server.make_url("/")))
        async with watching(KubernetesRegistry(kubeconfig=world.kubeconfig, **options)) as watch:
            yield script, watch
        script.released.set()


async def test_the_watch_begins_where_the_list_ended(tmp_path: Path):
    watches = [[event("ADDED", "10.0.0.2"), LASTING]]
    async with scripted(tmp_path, [page("7", "10.0.0.1")], watches) as (script, watch):
        assert has(A)(await first(watch))
        assert has(A, B)(await first(watch))
    assert script.questions[0].path == "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
    assert script.asked(False) == [{"labelSelector": "kubernetes.io/service-name=web", "limit": "20"}]
    (opening,) = script.asked(True)
    assert opening == {
        "labelSelector": "kubernetes.io/service-name=web",
        "watch": "1",
        "resourceVersion": "7",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "60",
    }
    assert {one.headers["Authorization"] for one in script.questions} == {f"Bearer {HIDDEN}"}


async def test_a_list_of_several_pages(tmp_path: Path):
    lists = [page("7", "10.0.0.1", more="next one/+="), page("7", "10.0.0.2")]
    async with scripted(tmp_path, lists) as (script, watch):
        assert has(A, B)(await first(watch))
    assert [query.get("continue") for query in script.asked(False)] == [None, "next one/+="]


async def test_each_watch_goes_on_where_the_last_one_ended(tmp_path: Path):
    """A resourceVersion is a text like any other: it need be no number, and none is greater than another."""
    watches = [[event("ADDED", "10.0.0.2", version="b!")], [bookmark("a?")], [event("DELETED", "10.0.0.1"), LASTING]]
    async with scripted(tmp_path, [page("z9", "10.0.0.1")], watches) as (script, watch):
        snapshot = await until(watch, has(B))
        assert snapshot.continuous
        assert snapshot.index == "x"
    assert [query["resourceVersion"] for query in script.asked(True)] == ["z9", "b!", "a?"]
    assert len(script.asked(False)) == 1


async def test_events_may_be_cut_anywhere(tmp_path: Path):
    text = event("ADDED", "10.0.0.2") + event("MODIFIED", "10.0.0.3") + bookmark("9")
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    async with scripted(tmp_path, [page("7", "10.0.0.1")], [[*pieces, LASTING]]) as (_, watch):
        await until(watch, has(A, B, C))


async def test_many_changes_at_once_are_few_snapshots(tmp_path: Path):
    events = [event("ADDED", f"10.1.{number // 250}.{number % 250}") for number in range(2000)]
    async with scripted(tmp_path, [page("7", "10.0.0.1")], [[b"".join(events), LASTING]]) as (_, watch):
        count = 0
        while len((await first(watch)).instances) < 2001:
            count += 1
    assert count < 100


@pytest.mark.parametrize(
    "gone", [[error(410)], [error(0, reason="Expired")], refused(410), [event("ADDED", "10.0.0.2"), error(410)]]
)
async def test_a_version_that_is_no_longer_remembered_is_listed_anew(tmp_path: Path, gone: Any):
    """Nobody tells what happened meanwhile: so the set is no continuation of the one before."""
    lists = [page("5", "10.0.0.1"), page("9", "10.0.0.3")]
    async with scripted(tmp_path, lists, [gone, [event("ADDED", "10.0.0.2"), LASTING]]) as (script, watch):
        assert has(A)(await first(watch))
        assert not (await until(watch, has(C))).continuous
        await until(watch, has(B, C))
    assert [query["resourceVersion"] for query in script.asked(True)] == ["5", "9"]


async def test_a_list_whose_rest_is_no_longer_remembered_is_begun_anew(tmp_path: Path):
    lists = [page("5", "10.0.0.1", more="next"), refused(410), page("9", "10.0.0.3")]
    async with scripted(tmp_path, lists) as (script, watch):
        assert has(C)(await first(watch))
    assert [query.get("continue") for query in script.asked(False)] == [None, "next", None]


async def test_lists_that_are_out_of_date_again_and_again_are_an_error(tmp_path: Path):
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [[error(410)]]) as (script, watch):
        with pytest.raises(RegistryError, match="5 lists in a row were out of date at once: too old resource version"):
            await until(watch, has("never"))
    assert len(script.asked(False)) == 5


async def test_a_watch_that_is_ended_at_once_is_an_error(tmp_path: Path):
    """An API server that is starting or stopping does that; asked again at once, it would for ever."""
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [[]]) as (script, watch):
        assert has(A)(await first(watch))
        with pytest.raises(RegistryError, match="the watch was closed at once, with nothing said"):
            await first(watch)
    assert len(script.asked(True)) == 1


async def test_watches_that_say_little_and_end_are_not_begun_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Some come at once, of which the list is one, and then they come at the rate, which is next to none here."""
    monkeypatch.setattr(registry, "RATE", 0.001)
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [[bookmark("5")]]) as (script, watch):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await until(watch, has("never"))
    assert len(script.asked(True)) == registry.BURST - 1


async def test_a_watch_that_is_not_ended_is_dead(tmp_path: Path):
    async with scripted(tmp_path, [page("5", "10.0.0.1")], watch=0, slack=0.2) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match=r"the watch was not ended within 0\.2 s: its connection is dead"):
            await first(watch)


async def test_a_watch_that_breaks_off_is_an_error(tmp_path: Path):
    cut = event("ADDED", "10.0.0.2")[:-10]
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [[cut]]) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="the watch broke off within an event"):
            await first(watch)


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (b"<html>\n", "the answer is no JSON"),
        (b"[" * 100_000 + b"\n", "the answer is no JSON"),
        (b"\xff\n", "the answer is no JSON"),
        (b"[]\n", "the answer must be an object, not a list"),
        (b"{}\n", "object must be an object, not nothing; is this Kubernetes"),
        (b'{"type": "ADDED", "object": {}}\n', "metadata must be an object, not nothing"),
        (b'{"type": "ADDED", "object": {"metadata": {"name": 5}}}\n', "a slice has no name"),
        (b'{"type": "ADDED", "object": {"metadata": {"name": "a"}}}\n', "resourceVersion must be a text, not nothing"),
        (b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": 7}}}\n', "must be a text, not 7"),
        (b'{"type": "PATCHED", "object": {}}\n', "must be ADDED, MODIFIED or the like, not 'PATCHED'"),
        (error(500, message="etcdserver: no \x1b leader\nmore"), r"etcdserver: no \? leader$"),
    ],
)
async def test_an_event_that_makes_no_sense_is_an_error(tmp_path: Path, piece: bytes, said: str):
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [[piece, LASTING]]) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match=said):
            await first(watch)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "the answer is no JSON"),
        (b"", "the answer is no JSON"),
        (b"[]", "the answer must be an object, not a list"),
        (b"{}", "metadata must be an object, not nothing; is this Kubernetes"),
        (b'{"metadata": {"resourceVersion": ""}}', "resourceVersion must be a text"),
        (b'{"metadata": {"resourceVersion": "7"}, "items": {}}', "items must be a list of objects"),
        (b'{"metadata": {"resourceVersion": "7", "continue": "x"}}', "a page without slices says that there are more"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, body: bytes, said: str):
    async with scripted(tmp_path, [web.Response(body=body)]) as (_, watch):
        with pytest.raises(RegistryError, match=said):
            await first(watch)


async def test_a_list_without_items_is_an_empty_set(tmp_path: Path):
    async with scripted(tmp_path, [{"metadata": {"resourceVersion": "7"}, "items": None}]) as (_, watch):
        assert has()(await first(watch))


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (301, "no reason given"),
        (400, "too old"),
        (403, "; a Role must grant the verbs list and watch on endpointslices"),
        (404, "; is this an API server of Kubernetes 1.21 or later"),
        (429, "too old"),
        (500, "too old"),
        (503, "too old"),
    ],
)
async def test_a_refusal_is_an_error(tmp_path: Path, status: int, hint: str):
    refusal = web.Response(status=301, headers={"Location": "/elsewhere"}) if status == 301 else refused(status)
    async with scripted(tmp_path, [refusal]) as (_, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert f"HTTP {status}: " in str(caught.value)
    assert hint in str(caught.value) or status == 301
    assert HIDDEN not in str(caught.value)


async def test_the_watch_that_is_refused_is_an_error_though_the_list_is_not(tmp_path: Path):
    message = 'endpointslices.discovery.k8s.io is forbidden: User "u" cannot watch resource "endpointslices"'
    async with scripted(tmp_path, [page("5", "10.0.0.1")], [refused(403, message=message)]) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="cannot watch resource"):
            await first(watch)


async def test_credentials_that_are_refused_twice_are_an_error(tmp_path: Path):
    async with scripted(tmp_path, [refused(401)]) as (script, watch):
        with pytest.raises(RegistryError, match=r"HTTP 401: .*; the API server takes neither our token nor our cert"):
            await first(watch)
    assert len(script.questions) == 2


async def test_a_token_that_is_renewed_between_question_and_refusal(tmp_path: Path):
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        tokens.append(request.headers["Authorization"])
        if len(tokens) == 1:
            world.token_file.write_text("renewed\n")
            return refused(401)
        return web.json_response(page("5", "10.0.0.1"))

    tokens: list[str] = []
    async with RawTestServer(handle) as server:
        world = World(Scripted([], []), tmp_path / "kubeconfig", str(server.make_url("/")))
        async with watching(KubernetesRegistry(kubeconfig=world.kubeconfig)) as watch:
            assert has(A)(await first(watch))
    assert tokens[:2] == [f"Bearer {HIDDEN}", "Bearer renewed"]


def test_a_connection_that_is_silent_is_asked_whether_the_other_side_is_still_there():
    """Half a minute after the last sign of life it is given up: long before the watch would be missed."""
    with api._open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 443))) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        silence, again, questions = (opened.getsockopt(socket.IPPROTO_TCP, option) for option in options)
    assert silence + again * questions == 30


async def test_an_answer_that_does_not_come_is_an_error(tmp_path: Path):
    async with scripted(tmp_path, [[LASTING]], timeout=0.1) as (script, watch):
        with pytest.raises(RegistryError, match=r"no answer within 0\.1 s"):
            await first(watch)
        script.released.set()


async def test_an_answer_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "ANSWER_LIMIT", 1000)
    async with scripted(tmp_path, [page("7", *(f"10.0.0.{number}" for number in range(100)))]) as (_, watch):
        with pytest.raises(RegistryError, match="the answer is larger than"):
            await first(watch)


async def test_an_event_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "MESSAGE_LIMIT", 1000)
    async with scripted(tmp_path, [page("7")], [[b'{"type": "', b"x" * 2000, LASTING]]) as (_, watch):
        await first(watch)
        with pytest.raises(RegistryError, match="an event is larger than"):
            await first(watch)


async def test_an_entry_that_makes_no_sense_is_named(tmp_path: Path):
    bad = {"metadata": {"name": "bad", "resourceVersion": "x"}, "addressType": "IPv4", "endpoints": [{"addresses": 7}]}
    listed = {"metadata": {"resourceVersion": "7"}, "items": [named("good", "10.0.0.1"), bad]}
    async with scripted(tmp_path, [listed]) as (_, watch):
        snapshot = await first(watch)
    assert ids(snapshot) == {A}
    assert snapshot.unreadable == ("bad: the slice has no TCP port, but none at all",)
