"""One contract, held by every library: what it sends arrives, and what it gets is what was sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.clients.libraries import LIBRARIES, Aiohttp, HttpxAsync, HttpxSync, Library
from tests.servers.assets import Delivery, assets, page
from tests.servers.instance import content
from tests.servers.program import ask, until
from tests.servers.site import COOKIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.pointsman import Pointsman

SIZES = (0, 1, 1000, 65_536, 1_000_003, 8_000_009)  # bytes
BIG = SIZES[-1]
AHEAD = 50_000  # bytes that arrive before the rest is sent


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest, proxy: Pointsman) -> Iterator[Library]:
    with request.param(proxy.url) as library:
        yield library


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A word that no other test uses."""
    name: str = request.node.name
    return name.replace("[", "-").rstrip("]")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def connections(proxy: Pointsman) -> float:
    """How many the listener has accepted so far."""
    listener = f"127.0.0.1:{proxy.port}"
    return proxy.metric(f'pointsman_downstream_connections_accepted_total{{listener="{listener}"}}')


@pytest.mark.parametrize("how", ["download", "chunked", "gzip"])
def test_downloads(library: Library, how: str) -> None:
    for seed, size in enumerate(SIZES):
        reply = library.request("GET", f"/{how}?size={size}&seed={seed}")
        assert reply.status == 200
        assert len(reply.body) == size
        assert sha256(reply.body) == sha256(content(seed, 0, size))


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_uploads(library: Library, method: str, chunked: bool) -> None:
    for seed, size in enumerate(SIZES):
        body = content(seed, 0, size)
        pieces = (body[at : at + 70_001] for at in range(0, size, 70_001))
        reply = library.request(method, "/upload", pieces if chunked else body)
        assert reply.status == 200
        assert (reply.json["length"], reply.json["sha256"]) == (size, sha256(body))


def test_the_framing_of_an_upload_is_kept(library: Library) -> None:
    fields = dict(library.request("POST", "/headers", b"12345").json)
    assert fields["Content-Length"] == "5"
    assert "Transfer-Encoding" not in fields
    fields = dict(library.request("POST", "/headers", iter([b"12345"])).json)
    assert fields["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in fields


def test_a_form_with_a_file(library: Library) -> None:
    file = content(5, 0, BIG)
    reply = library.form("/form", "žluťoučký kůň", file)
    described = {"filename": "noise.bin", "length": BIG, "sha256": sha256(file)}
    assert reply.json == {"word": "žluťoučký kůň", "file": described}


def test_a_response_is_streamed(library: Library, proxy: Pointsman, key: str) -> None:
    got = bytearray()

    def seen(piece: bytes) -> None:
        got.extend(piece)
        if len(got) == AHEAD:  # all that is sent before the gate opens
            assert ask(proxy.port, f"/open?key={key}", "POST").status == 200

    library.stream(f"/gate?key={key}&size={2 * AHEAD}", seen)
    assert got == content(1, 0, 2 * AHEAD)


def test_a_request_is_streamed(library: Library, proxy: Pointsman, key: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(AHEAD)
        until(lambda: ask(proxy.port, f"/arrived?key={key}").json == AHEAD, "the first piece has arrived")
        yield b"the rest"

    reply = library.request("POST", f"/counted?key={key}", pieces())
    assert (reply.json["length"], reply.json["sha256"]) == (AHEAD + 8, sha256(bytes(AHEAD) + b"the rest"))


def test_a_connection_is_used_again(library: Library, proxy: Pointsman) -> None:
    before = connections(proxy)
    instances = set()
    for number in range(30):
        reply = (
            library.request("POST", "/status/200", bytes(number)) if number % 3 else library.request("GET", "/cookies")
        )
        assert reply.status == 200
        instances.add(reply["x-instance"])
    assert connections(proxy) == before + 1
    assert len(instances) == 3


def test_responses_without_a_body_leave_the_connection_usable(library: Library, proxy: Pointsman) -> None:
    before = connections(proxy)
    for _ in range(3):
        for method, path, status in (
            ("GET", "/status/204", 204),
            ("DELETE", "/status/204", 204),
            ("GET", "/status/304", 304),
            ("HEAD", "/download?size=100000&seed=1", 200),
            ("HEAD", "/status/404", 404),
            ("OPTIONS", "/status/200", 200),
        ):
            reply = library.request(method, path)
            assert (reply.status, reply.body) == (status, b"" if method != "OPTIONS" else reply["x-instance"].encode())
        assert library.request("HEAD", "/download?size=100000&seed=1")["content-length"] == "100000"
        assert library.request("GET", "/download?size=1000&seed=1").body == content(1, 0, 1000)
    assert connections(proxy) == before + 1


def test_a_head_for_what_would_come_in_chunks(library: Library) -> None:
    """The response has neither a length nor chunks; some take that for a reason to connect anew."""
    for _ in range(3):
        assert library.request("HEAD", "/chunked?size=100000&seed=1").body == b""
        assert library.request("GET", "/download?size=1000&seed=1").body == content(1, 0, 1000)


def test_what_has_not_changed_is_not_sent_again(library: Library) -> None:
    asset = next(asset for asset in assets().values() if asset.delivery is Delivery.ETAG)
    first = library.request("GET", asset.path)
    assert (first.status, first.body) == (200, asset.body)
    again = library.request("GET", asset.path, fields={"If-None-Match": first["etag"]})
    assert (again.status, again.body, again["etag"]) == (304, b"", first["etag"])


def test_ranges(library: Library) -> None:
    path, size = "/ranged?size=100000&seed=2", 100_000
    for asked, start, stop in (("0-99", 0, 100), ("99990-", 99_990, size), ("-10", 99_990, size), ("5-5", 5, 6)):
        reply = library.request("GET", path, fields={"Range": f"bytes={asked}"})
        assert reply.status == 206
        assert reply["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert reply.body == content(2, start, stop - start)
    reply = library.request("GET", path, fields={"Range": "bytes=100000-"})
    assert (reply.status, reply["content-range"]) == (416, f"bytes */{size}")
    reply = library.request("GET", path, fields={"Range": "bytes=0-99", "If-Range": '"another"'})
    assert (reply.status, len(reply.body)) == (200, size)


def test_cookies(library: Library) -> None:
    first = library.request("GET", "/cookies")
    assert first.json == {}
    assert len([value for name, value in first.fields if name.lower() == "set-cookie"]) == len(COOKIES)
    assert library.request("GET", "/cookies").json == COOKIES
    (sent,) = (value for name, value in library.request("GET", "/headers").json if name == "Cookie")
    assert "plain=1" in sent
    assert "scoped" not in sent


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [("GET", 301, "GET"), ("GET", 302, "GET"), ("POST", 303, "GET"), ("POST", 307, "POST"), ("PUT", 308, "PUT")],
)
def test_redirects(library: Library, method: str, status: int, then: str) -> None:
    body = content(1, 0, 100_000) if method != "GET" else None
    to = "/upload" if then != "GET" else "/download?size=1000%26seed=3"
    reply = library.request(method, f"/redirect?status={status}&to={to}", body)
    assert reply.status == 200
    if body is not None and then != "GET":
        assert (reply.path, reply.json["sha256"]) == ("/upload", sha256(body))
    else:
        assert (reply.path, reply.body) == ("/download?size=1000&seed=3", content(3, 0, 1000))


def test_a_client_that_does_not_wait(library: Library, proxy: Pointsman) -> None:
    abandoned = 'pointsman_requests_abandoned_total{service="web"}'
    before = proxy.metric(abandoned)
    with pytest.raises(TimeoutError):
        library.request("GET", "/slow?seconds=60", timeout=0.2)
    until(lambda: proxy.metric(abandoned) == before + 1, "pointsman has noticed")
    assert library.request("GET", "/cookies").status == 200


def test_many_at_a_time(library: Library) -> None:
    wanted = [(SIZES[number % 5], number) for number in range(120)]
    paths = [f"/{'chunked' if seed % 2 else 'download'}?size={size}&seed={seed}" for size, seed in wanted]
    replies = library.together(paths)
    assert len(replies) == len(wanted)
    for reply, (size, seed) in zip(replies, wanted, strict=True):
        assert (reply.status, len(reply.body)) == (200, size)
        assert sha256(reply.body) == sha256(content(seed, 0, size))
    assert {reply["x-instance"] for reply in replies} == {"site-1", "site-2", "site-3"}


def test_every_asset_of_the_page(library: Library) -> None:
    replies = library.together([asset.path for asset in assets().values()])
    assert len(replies) == 60
    for reply, asset in zip(replies, assets().values(), strict=True):
        assert (reply.status, reply["content-type"]) == (200, asset.content_type)
        assert sha256(reply.body) == asset.sha256, asset.name


@pytest.mark.parametrize("kind", [HttpxSync, HttpxAsync, Aiohttp])
def test_early_hints(kind: type[Library], proxy: Pointsman) -> None:
    """Of a client that knows them: urllib3 takes any interim response but a 100 for the final one."""
    with kind(proxy.url) as library:
        reply = library.request("GET", "/early")
        assert (reply.status, reply.body.decode()) == (200, reply["x-instance"])
        assert library.request("GET", "/").body.decode() == page()
