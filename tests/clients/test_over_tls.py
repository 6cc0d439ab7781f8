"""The clients that people use, by TLS: they verify the certificate, and get what they get without."""

from __future__ import annotations

import hashlib
import json
import ssl
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests
import trustme
from websockets.sync.client import connect

from tests.servers.assets import assets
from tests.servers.instance import content
from tests.servers.pointsman import Pointsman
from tests.servers.ports import free_port
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.browser import Browser
    from tests.servers.debian import DebianProgram
    from tests.servers.instances import Site

MIB = 1024 * 1024
DOWNLOAD = f"/download?size={MIB}&seed=4"


class Secure:
    """A pointsman with a listener that speaks TLS, and the file of the authority that vouches for it."""

    def __init__(self, proxy: Pointsman, port: int, folder: Path) -> None:
        self.proxy = proxy
        self.port = port
        self.folder = folder
        self.ca = folder / "ca.pem"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)


@pytest.fixture(scope="module")
def started(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder, port = tmp_path_factory.mktemp("secure"), free_port()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
    services = {"web": {"discovery": {"static": site.addresses()}, "balancer": "round_robin"}}
    listeners = [{"bind": f"127.0.0.1:{port}", "tls": {"certificates": [{"cert": "tls.pem"}]}}]
    with Pointsman(folder, services, listeners=listeners) as proxy:
        yield Secure(proxy, port, folder)


@pytest.fixture
def secure(started: Secure) -> Iterator[Secure]:
    """One for all tests; each must leave it with nothing under way and no response broken."""
    yield started
    until(lambda: started.proxy.service("web")["in_flight"] == 0, "nothing is under way any more")
    assert started.proxy.metric('pointsman_responses_broken_total{service="web"}') == 0


def described(answer: bytes) -> tuple[int, str]:
    told = json.loads(answer)
    return told["length"], told["sha256"]


@pytest.mark.parametrize("options", [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--http2"]])
def test_curl(secure: Secure, curl: DebianProgram, options: list[str]) -> None:
    body = content(6, 0, MIB)
    common = ["--silent", "--show-error", "--fail", "--max-time", "20", "--cacert", str(secure.ca), *options]
    down = curl.run(*common, secure.url + DOWNLOAD, timeout=30)
    assert (down.returncode, down.stdout == content(4, 0, MIB)) == (0, True), down.stderr
    up = curl.run(*common, "--upload-file", "-", secure.url + "/upload", timeout=30, stdin=body)
    assert described(up.stdout) == (MIB, hashlib.sha256(body).hexdigest())
    paths = [secure.url + "/chunked?size=100000&seed=1", secure.url + "/headers"]
    told = curl.run(*common, "--write-out", r"%{stderr}%{json}\n", *paths, timeout=30)
    results = [json.loads(line) for line in told.stderr.splitlines()]
    assert [(one["http_version"], one["num_connects"]) for one in results] == [("1.1", 1), ("1.1", 0)]
    fields = dict(json.loads(told.stdout[100_000:]))
    assert fields["X-Forwarded-Proto"] == "https"
    refused = curl.run("--silent", "--max-time", "20", secure.url, timeout=30)  # it does not know the authority
    assert refused.returncode == 60


def test_httpx_and_requests(secure: Secure) -> None:
    body = content(6, 0, MIB)
    wanted = (MIB, hashlib.sha256(body).hexdigest())
    with httpx.Client(base_url=secure.url, verify=secure.context, trust_env=False) as client:
        assert client.get(DOWNLOAD).content == content(4, 0, MIB)
        pieces = (body[at : at + 10_000] for at in range(0, MIB, 10_000))
        assert described(client.post("/upload", content=pieces).content) == wanted
        assert client.get("/redirect?to=/headers", follow_redirects=True).status_code == 200
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(secure.ca)
        assert session.get(secure.url + DOWNLOAD, timeout=20).content == content(4, 0, MIB)
        assert described(session.post(secure.url + "/upload", data=body, timeout=20).content) == wanted


async def test_httpx_and_aiohttp_in_a_loop(secure: Secure) -> None:
    async with httpx.AsyncClient(base_url=secure.url, verify=secure.context, trust_env=False) as client:
        assert (await client.get(DOWNLOAD)).content == content(4, 0, MIB)
    async with (
        aiohttp.ClientSession(secure.url, connector=aiohttp.TCPConnector(ssl=secure.context)) as session,
        session.get(DOWNLOAD) as response,
    ):
        assert await response.read() == content(4, 0, MIB)


def test_websockets(secure: Secure) -> None:
    url = f"wss://localhost:{secure.port}/ws"
    with connect(url, ssl=secure.context, max_size=None, proxy=None) as socket:
        for size in (0, 125, 65_536, MIB):
            socket.send(content(1, 0, size))
            assert socket.recv(timeout=20) == content(1, 0, size)


def test_a_browser_loads_a_page_of_many_assets(secure: Secure, browser: Browser) -> None:
    shown = browser.page()
    # It has no way to be told of an authority but its user's own store.
    shown.call("Security.enable")
    shown.call("Security.setIgnoreCertificateErrors", ignore=True)
    shown.load(f"https://127.0.0.1:{secure.port}/")
    found = shown.happened("Network.responseReceived")
    responses = {one["response"]["url"].rpartition("/")[2]: one for one in found}
    wanted = {name for name, asset in assets().items() if asset.content_type != "font/woff2"}
    assert wanted <= set(responses)
    for name in wanted:
        assert shown.body(responses[name]["requestId"]) == assets()[name].body, name
    details = [one["response"]["securityDetails"] for one in found]
    assert {one["protocol"] for one in details} == {"TLS 1.3"}
    assert {one["response"].get("protocol") for one in found} == {"http/1.1"}
    report = shown.evaluate("report()")
    assert report["uploads"]["plain"]["sha256"] == report["uploads"]["sent"]
    assert shown.complaints() == []
