"""The HTTP registry against a scripted server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from yarl import URL

from discovery import http
from discovery.file_format import parse
from discovery.http import HttpRegistry, conditions
from discovery.instance import Availability
from discovery.registry import RegistryError
from tests.discovery.watching import first, ids, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


INTERVAL = 0.1  # seconds
CHANGES = 50


class Scripted:
    """An HTTP server that gives the next of its answers to each request, and the last one to all that follow."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.requests: list[web.BaseRequest] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer.status, reason=answer.reason, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def scripted(*answers: web.Response, path: str = "/", **options: Any) -> AsyncIterator[tuple[Scripted, Any]]:
    script = Scripted(*answers)
    async with RawTestServer(script.handle) as server:
        registry = HttpRegistry(str(server.make_url(path)), **{"interval": INTERVAL, **options})
        async with watching(registry) as watch:
            yield script, watch


def listed(*targets: str, status: int = 200, **headers: str) -> web.Response:
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    return web.json_response([{"targets": targets}], status=status, headers=headers)


def redirect(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location})


NOT_MODIFIED = web.Response(status=304)


async def test_targets_and_their_labels():
    groups = [
        {"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"weight": "3", "zone": "a", "env": "prod"}},
        {"targets": ["[::1]:80"]},
        {"address": "10.0.0.4:80", "id": "web-4", "draining": True},
    ]
    async with scripted(web.json_response(groups)) as (_, watch):
        snapshot = await first(watch)
    one, _, three, four = snapshot.instances
    assert ids(snapshot) == {"10.0.0.1:80", "10.0.0.2:80", "[::1]:80", "web-4"}
    assert (one.weight, one.zone, one.metadata["env"]) == (3, "a", "prod")
    assert (three.authority, three.weight) == ("[::1]:80", 1)
    assert four.availability is Availability.DRAINING
    assert (snapshot.continuous, snapshot.unreadable) == (False, ())


async def test_the_requests_are_those_of_prometheus():
    options: dict[str, Any] = {"interval": 0.5, "token": "secret", "headers": {"X-Key": "k", "User-Agent": "u"}}
    async with scripted(listed("a:1"), path="/t.json?env=a%20b&x=1", **options) as (script, watch):
        await first(watch)
    (request,) = script.requests
    assert (request.method, request.raw_path) == ("GET", "/t.json?env=a%20b&x=1")
    assert request.headers["X-Prometheus-Refresh-Interval-Seconds"] == "0.5"
    assert request.headers["Authorization"] == "Bearer secret"
    assert (request.headers["X-Key"], request.headers["User-Agent"]) == ("k", "u")
    assert (request.headers["Accept"], request.headers["Accept-Encoding"]) == ("application/json", "identity")
    assert not {"If-None-Match", "If-Modified-Since"} & set(request.headers)


async def test_a_document_that_did_not_change_is_not_sent_again():
    tagged = listed("a:1", ETag='W/"1"', Last_Modified="Wed, 25 Nov 2020 10:00:00 GMT")
    async with scripted(tagged, NOT_MODIFIED, NOT_MODIFIED, listed("b:1")) as (script, watch):
        whole, same, again, changed, after = [await first(watch) for _ in range(5)]
    asked = [
        (request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")) for request in script.requests
    ]
    known = ('W/"1"', "Wed, 25 Nov 2020 10:00:00 GMT")
    assert asked == [(None, None), known, known, known, (None, None)]
    assert whole.instances == same.instances == again.instances
    assert (whole.index, whole.continuous, again.continuous) == (same.index, False, True)
    assert ids(changed) == ids(after) == {"b:1"}
    assert changed.index != whole.index


async def test_a_document_that_is_sent_again_as_it_was_is_read_once(monkeypatch: pytest.MonkeyPatch):
    read: list[bytes] = []

    def counting(content: bytes, *, is_json: bool) -> Any:
        read.append(content)
        return parse(content, is_json=is_json)

    monkeypatch.setattr(http, "parse", counting)
    async with scripted(listed("a:1")) as (_, watch):
        one, two = await first(watch), await first(watch)
    assert one.instances is two.instances
    assert len(read) == 1


async def test_a_new_watch_asks_for_the_whole():
    async with scripted(listed("a:1", ETag='"1"')) as (script, watch):
        await first(watch)
        registry = HttpRegistry(str(script.requests[0].url))
        async with watching(registry) as other:
            assert not (await first(other)).continuous
    assert "If-None-Match" not in script.requests[1].headers


SECOND = "Wed, 25 Nov 2026 10:00:00 GMT"
BEFORE = "Wed, 25 Nov 2026 09:59:59 GMT"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, {}),
        ({"ETag": '"1"'}, {"If-None-Match": '"1"'}),
        ({"ETag": '"1"', "Date": SECOND}, {"If-None-Match": '"1"'}),
        ({"Last-Modified": BEFORE, "Date": SECOND}, {"If-Modified-Since": BEFORE}),
        ({"Last-Modified": SECOND, "Date": SECOND}, {}),
        ({"Last-Modified": SECOND, "Date": BEFORE}, {}),
        ({"Last-Modified": SECOND, "Date": SECOND, "ETag": '"1"'}, {}),
        ({"Last-Modified": BEFORE}, {}),
        ({"Last-Modified": "yesterday", "Date": SECOND}, {}),
        ({"Last-Modified": "Wed, 25 Nov 99999999999999999999 10:00:00 GMT", "Date": SECOND}, {}),
    ],
)
def test_what_a_document_is_asked_for_with_again(headers: dict[str, str], asked: dict[str, str]):
    """nginx makes its ETag of the second of the change and of the length, so both stay when a port changes in time."""
    assert conditions(headers) == asked


async def test_one_entry_that_makes_no_sense_is_named_and_the_others_are_used():
    groups = [{"targets": ["a:1", "b"]}, {"target": ["c:1"]}]
    async with scripted(web.json_response(groups)) as (_, watch):
        snapshot = await first(watch)
    assert ids(snapshot) == {"a:1"}
    assert [text.partition(":")[0] for text in snapshot.unreadable] == ["b", "entry 2"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "it is no JSON"),
        (b"", "it is no JSON"),
        (b"\xff\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"- a:1", "it is no JSON"),
        (b"{}", "it must hold a list of instances, not a mapping"),
        (b"null", "it must hold a list of instances, not nothing"),
    ],
)
async def test_a_document_that_is_no_list_is_an_error(body: bytes, said: str):
    async with scripted(web.Response(body=body)) as (_, watch):
        with pytest.raises(RegistryError, match=rf"^http://127\.0\.0\.1:\d+/: {said}"):
            await first(watch)


@pytest.mark.parametrize("status", [201, 204, 300, 304, 400, 401, 403, 404, 429, 500, 503])
async def test_a_refusal_is_an_error_with_its_first_line(status: int):
    body = b"" if status in (204, 304) else b"\n no such list \x1b\nsecond line"
    async with scripted(web.Response(status=status, body=body), path="/t?key=secret") as (_, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    text = str(caught.value)
    assert f"/t: HTTP {status}: " in text
    assert ("no such list ?" in text) == bool(body)
    assert ("must give access" in text) == (status in (401, 403))
    assert "second line" not in text
    assert "secret" not in text


async def test_a_document_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "SIZE_LIMIT", 1000)
    async with scripted(listed(*["10.0.0.1:80"] * 100)) as (_, watch):
        with pytest.raises(RegistryError, match="the document is larger than"):
            await first(watch)


async def test_a_compressed_document_is_an_error():
    async with scripted(listed("a:1", Content_Encoding="gzip")) as (_, watch):
        with pytest.raises(RegistryError, match="comes with the coding 'gzip', which was not asked for"):
            await first(watch)


async def test_a_server_that_is_slow_is_given_up():
    release = asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        await release.wait()
        return response

    async with RawTestServer(never) as server:
        async with watching(HttpRegistry(str(server.make_url("/")), timeout=0.1)) as watch:
            with pytest.raises(RegistryError, match=r"no answer within 0\.1 s"):
                await first(watch)
        release.set()


async def test_a_server_that_is_away():
    async with watching(HttpRegistry("http://user:secret@127.0.0.1:1/targets.json")) as watch:
        with pytest.raises(RegistryError, match="Cannot connect to host") as caught:
            await first(watch)
    assert "secret" not in str(caught.value)


async def test_a_few_redirects_are_followed():
    async with scripted(redirect("/b"), redirect("c?x=1"), redirect("/d"), listed("a:1"), path="/a/x") as (s, watch):
        assert ids(await first(watch)) == {"a:1"}
    assert [request.raw_path for request in s.requests] == ["/a/x", "/b", "/c?x=1", "/d"]


async def test_many_redirects_are_an_error():
    async with scripted(redirect("/again")) as (script, watch):
        with pytest.raises(RegistryError, match="more than 3 redirects"):
            await first(watch)
    assert len(script.requests) == 4


@pytest.mark.parametrize("location", ["", "ftp://h/", "http://[::", "mailto:a@b"])
async def test_a_redirect_that_leads_nowhere_is_an_error(location: str):
    async with scripted(redirect(location)) as (script, watch):
        with pytest.raises(RegistryError, match="a redirect that leads nowhere"):
            await first(watch)
    assert len(script.requests) == 1


async def test_another_origin_sees_no_secret():
    headers = {"X-Key": "secret"}
    other = Scripted(listed("a:1", ETag='"1"'), NOT_MODIFIED)
    async with RawTestServer(other.handle) as elsewhere:
        leads_away = redirect(str(elsewhere.make_url("/t")))
        async with scripted(redirect("/b"), leads_away, token="secret", headers=headers) as (script, watch):
            await first(watch)
            await first(watch)
    assert [request.headers.get("X-Key") for request in script.requests] == ["secret"] * 3
    assert [request.headers.get("Authorization") for request in script.requests] == ["Bearer secret"] * 3
    assert "secret" not in str([request.headers for request in other.requests])
    assert other.requests[1].headers["If-None-Match"] == '"1"'


def test_a_redirect_does_not_leave_https():
    with pytest.raises(ValueError, match="from https to http"):
        http._target(URL("https://h/"), "http://h/")


async def test_the_token_file_is_read_whenever_a_watch_begins(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("one\n")
    script = Scripted(listed("a:1"))
    async with RawTestServer(script.handle) as server:
        registry = HttpRegistry(str(server.make_url("/")), token_file=path)
        for token in ("one", "two"):
            path.write_text(token)
            async with watching(registry) as watch:
                await first(watch)
        path.unlink()
        async with watching(registry) as watch:
            with pytest.raises(RegistryError, match=r"the token file .* cannot be read"):
                await first(watch)
    assert [request.headers["Authorization"] for request in script.requests] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb"])
async def test_a_token_that_would_break_the_request_is_an_error(token: str):
    async with scripted(listed("a:1"), token=token) as (script, watch):
        with pytest.raises(RegistryError) as caught:
            await first(watch)
    assert script.requests == []
    assert "Evil" not in str(caught.value)


async def test_the_looks_are_an_interval_apart():
    async with scripted(listed("a:1"), interval=0.2) as (script, watch):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(4):
            await first(watch)
        assert loop.time() - began >= 3 * 0.2 - 0.01
    assert len(script.requests) == 4
