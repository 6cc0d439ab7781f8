"""curl, by its options."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.assets import page
from tests.servers.instance import content
from tests.servers.program import until
from tests.servers.site import COOKIES

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.servers.debian import DebianProgram
    from tests.servers.pointsman import Pointsman

BIG = 8_000_009  # bytes
RESULT = r"%{stderr}%{json}\n"  # what curl says of each transfer, after it
TIME_IS_UP = 28  # curl's exit status


class Curl:
    """curl in a folder, asking one server for paths."""

    def __init__(self, program: DebianProgram, url: str, folder: Path) -> None:
        self._program = program
        self._url = url
        self.folder = folder

    def run(self, *arguments: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
        """Run it; an argument that begins with `/` is a path of the server."""
        words = [self._url + word if word.startswith("/") else word for word in arguments]
        options = ["--silent", "--show-error", "--max-time", "20"]
        return self._program.run(*options, *words, timeout=30, stdin=stdin, folder=self.folder)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run it, and return what it was given; it must succeed."""
        done = self.run("--fail", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def results(self, *arguments: str) -> list[dict[str, Any]]:
        """Run it, and return what it says of each transfer."""
        done = self.run("--write-out", RESULT, *arguments)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.fixture
def ask(curl: DebianProgram, proxy: Pointsman, tmp_path: Path) -> Curl:
    return Curl(curl, proxy.url, tmp_path)


def described(body: bytes) -> dict[str, object]:
    return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def uploaded(answer: bytes) -> dict[str, object]:
    told: dict[str, object] = json.loads(answer)
    del told["instance"]
    return told


@pytest.mark.parametrize("how", ["download", "chunked", "gzip"])
def test_downloads(ask: Curl, how: str) -> None:
    assert ask(f"/{how}?size={BIG}&seed=4") == content(4, 0, BIG)


def test_a_compressed_download(ask: Curl) -> None:
    path = "/gzip?size=500000&seed=4"
    assert ask("--compressed", path) == content(4, 0, 500_000)
    assert b"content-encoding: gzip" in ask("--compressed", "--head", path).lower()


def test_a_large_upload_waits_for_100_continue(ask: Curl) -> None:
    body = content(6, 0, BIG)
    (ask.folder / "body").write_bytes(body)
    # Were there no 100, it would wait in vain for longer than it may take.
    done = ask.run("--verbose", "--expect100-timeout", "60", "--data-binary", "@body", "/upload")
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "> Expect: 100-continue" in said
    assert said.index("< HTTP/1.1 100 Continue") < said.index("< HTTP/1.1 200 OK")
    assert uploaded(done.stdout) == described(body)


def test_an_upload_in_chunks(ask: Curl) -> None:
    body = content(7, 0, BIG)
    assert uploaded(ask("--upload-file", "-", "/upload", stdin=body)) == described(body)
    fields = dict(json.loads(ask("--upload-file", "-", "/headers", stdin=b"12345")))
    assert fields["Transfer-Encoding"] == "chunked"


def test_a_form(ask: Curl) -> None:
    body = content(8, 0, BIG)
    answer = json.loads(ask("--form", "word=kůň", "--form", "file=@-;filename=noise.bin", "/form", stdin=body))
    assert answer == {"word": "kůň", "file": {"filename": "noise.bin", **described(body)}}


@pytest.mark.parametrize("how", ["download", "chunked", "ranged"])
def test_http_1_0(ask: Curl, how: str) -> None:
    """An old client gets no chunks, and no interim responses."""
    path = f"/{how}?size={BIG}&seed=4"
    assert ask("--http1.0", path) == content(4, 0, BIG)
    head, _, _ = ask("--http1.0", "--include", path).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert (b"content-length" in head.lower()) == (how != "chunked")
    assert ask("--http1.0", "--include", "/early").startswith(b"HTTP/1.1 200 OK")
    assert uploaded(ask("--http1.0", "--data-binary", "12345", "/upload")) == described(b"12345")


def test_http_1_0_with_keep_alive(ask: Curl) -> None:
    options = ["--http1.0", "--header", "Connection: keep-alive"]
    results = ask.results(*options, *["/download?size=1000&seed=1"] * 5)
    assert [one["num_connects"] for one in results] == [1, 0, 0, 0, 0]


def test_an_offer_of_http_2_is_declined(ask: Curl) -> None:
    results = ask.results("--http2", *["/download?size=1000&seed=1"] * 2)
    assert [one["http_version"] for one in results] == ["1.1", "1.1"]
    assert "Upgrade" not in dict(json.loads(ask("--http2", "/headers")))


def test_heads(ask: Curl) -> None:
    for path in ("/download?size=123456&seed=1", "/ranged?size=123456&seed=1"):
        head = ask("--head", path)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Length: 123456\r\n" in head
        assert head.endswith(b"\r\n\r\n")


def test_ranges(ask: Curl) -> None:
    path, whole = "/ranged?size=100000&seed=3", content(3, 0, 100_000)
    assert ask("--range", "500-599", path) == whole[500:600]
    assert ask("--range", "-7", path) == whole[-7:]
    part = ask.folder / "part"
    part.write_bytes(whole[:30_000])
    ask("--continue-at", "-", "--output", "part", path)
    assert part.read_bytes() == whole


def test_a_connection_is_used_again(ask: Curl) -> None:
    paths = ["/download?size=1000&seed=1", "/chunked?size=100000&seed=1", "/status/204", "/status/404", "/early"] * 4
    results = ask.results("--compressed", *paths)
    assert [one["num_connects"] for one in results] == [1, *[0] * 19]
    assert [one["http_code"] for one in results] == [200, 200, 204, 404, 200] * 4


def test_a_connection_that_the_instance_closes_stays_open_here(ask: Curl) -> None:
    results = ask.results("/assets/image-11.png", "/assets/style-01.css", "/assets/image-11.png", "/status/200")
    assert [one["http_code"] for one in results] == [200] * 4
    assert [one["num_connects"] for one in results] == [1, 0, 0, 0]


def test_many_at_a_time(ask: Curl) -> None:
    ask("--parallel", "--parallel-max", "40", "--output", "#1", "/download?size=100000&seed=[1-120]")
    found = {int(path.name): path.read_bytes() for path in ask.folder.iterdir()}
    assert found == {seed: content(seed, 0, 100_000) for seed in range(1, 121)}


def test_early_hints(ask: Curl) -> None:
    said = ask("--include", "/")
    assert said.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </assets/style-01.css>; rel=preload; as=style\r\n\r\n")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in said
    assert said.endswith(page().encode())


def test_cookies_and_redirects(ask: Curl) -> None:
    assert json.loads(ask("--cookie-jar", "jar", "/cookies")) == {}
    assert json.loads(ask("--cookie", "jar", "--location", "/redirect?to=/cookies")) == COOKIES
    body = content(9, 0, 100_000)
    answer = ask("--location", "--data-binary", "@-", "/redirect?status=307&to=/upload", stdin=body)
    assert uploaded(answer) == described(body)


def test_its_time_is_up(ask: Curl, proxy: Pointsman) -> None:
    abandoned = 'pointsman_requests_abandoned_total{service="web"}'
    before = proxy.metric(abandoned)
    assert ask.run("--max-time", "0.3", "/slow?seconds=60").returncode == TIME_IS_UP
    until(lambda: proxy.metric(abandoned) == before + 1, "pointsman has noticed")
