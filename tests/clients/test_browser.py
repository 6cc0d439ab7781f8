"""A real browser loads a real page."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.servers.assets import Delivery, assets, page

if TYPE_CHECKING:
    from tests.clients.browser import Browser, Page
    from tests.servers.pointsman import Pointsman

_WIDTH = slice(16, 20)  # where a PNG says it
CONNECTIONS = 6  # that a browser has to one host at most


def loaded(shown: Page) -> dict[str, dict[str, Any]]:
    """The responses by path."""
    return {urlsplit(one["response"]["url"]).path: one for one in shown.happened("Network.responseReceived")}


def test_a_page_of_many_assets(browser: Browser, proxy: Pointsman) -> None:
    shown = browser.page()
    shown.load(f"{proxy.url}/")
    responses = loaded(shown)
    wanted = {asset.path: asset for asset in assets().values() if asset.content_type != "font/woff2"}
    assert set(responses) == {"/", "/page.js", *wanted}
    assert shown.body(responses["/"]["requestId"]).decode() == page()
    for path, asset in wanted.items():
        response = responses[path]["response"]
        assert (response["status"], response["mimeType"]) == (200, asset.content_type)
        assert shown.body(responses[path]["requestId"]) == asset.body, asset.name
    used = {one["response"]["connectionId"] for one in responses.values()}
    served = {one["response"]["headers"].get("X-Instance") for one in responses.values()}
    assert len(used) <= CONNECTIONS
    assert {"site-1", "site-2", "site-3"} <= served
    assert shown.complaints() == []
    size = sum(len(asset.body) for asset in wanted.values())
    print(f"\n{len(responses)} responses, {size} bytes of assets, on {len(used)} connections")


def test_what_the_page_sees(browser: Browser, proxy: Pointsman) -> None:
    shown = browser.page()
    shown.load(f"{proxy.url}/")
    report = shown.evaluate("report()")
    assert report["scripts"] == list(range(1, 16))
    assert sorted(report["styles"]) == [f"style-{number:02}" for number in range(1, 16)]
    pictures = {name: asset for name, asset in assets().items() if name.startswith("image")}
    widths = {name: int.from_bytes(asset.body[_WIDTH]) for name, asset in pictures.items() if name.endswith("png")}
    widths |= {f"image-{number:02}.svg": number for number in range(1, 10)}
    assert dict(report["images"]) == widths
    fetched = {name: (status, digest) for name, status, digest in report["fetched"]}
    assert fetched == {name: (200, asset.sha256) for name, asset in assets().items()}
    assert [number for number, _ in report["events"]] == ["1", "2", "3", "4", "5", "6"]
    assert [data.rpartition(" of ")[0] for _, data in report["events"]] == [f"event {n}" for n in range(1, 7)]
    uploads = report["uploads"]
    assert (uploads["plain"]["length"], uploads["plain"]["sha256"]) == (3_000_001, uploads["sent"])
    described = {"filename": "noise.bin", "length": 3_000_001, "sha256": uploads["sent"]}
    assert uploads["form"] == {"word": "žluťoučký", "file": described}
    assert (report["streamed"]["length"], report["streamed"]["left"]) == (4_000_037, "AbortError")
    assert report["streamed"]["pieces"] > 1
    assert report["redirected"] == [True, "/headers", 200]
    assert report["nothing"] == [204, 0]
    assert sorted(report["cookies"].split("; ")) == ["plain=1", 'quoted="a b"']
    assert shown.complaints() == []


def test_a_page_that_is_loaded_again(browser: Browser, proxy: Pointsman) -> None:
    shown = browser.page()
    shown.load(f"{proxy.url}/")
    shown.reload()
    paths = {one["requestId"]: path for path, one in loaded(shown).items()}
    found = shown.happened("Network.responseReceivedExtraInfo")
    statuses = {paths[one["requestId"]]: one["statusCode"] for one in found if one["statusCode"] != 103}
    again = {asset.path for asset in assets().values() if asset.delivery is Delivery.ETAG} & set(paths.values())
    assert len(again) >= 5
    assert {path for path, status in statuses.items() if status == 304} == again
    for request, path in paths.items():
        if path in again:
            name = path.rpartition("/")[2]
            assert hashlib.sha256(shown.body(request)).hexdigest() == assets()[name].sha256
    assert shown.evaluate("numbers.length") == 15
    assert shown.complaints() == []
