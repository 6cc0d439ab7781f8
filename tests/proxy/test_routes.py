"""Which service a request goes to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from proxy.edge.rewriting import stripped
from proxy.http.forwarding import Forwarding, Origin
from proxy.routes import Compare, Route, Router


@dataclass(frozen=True)
class Asked:
    """A request, as far as routes look at it."""

    authority: bytes
    target: bytes
    method: bytes = b"GET"
    client: str = "10.0.0.1"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    forwarded: list[tuple[bytes, bytes]] | None = None
    origin: Origin = Origin(Forwarding(), ("10.0.0.1", 1))  # noqa: RUF009

    def values(self, name: bytes) -> list[bytes]:
        return [value for header, value in self.headers if header == name]


ROUTES = [
    Route("exact", b"shop.example.com", b""),
    Route("api", b"example.com", b"/api"),
    Route("slash", b"example.com", b"/docs/"),
    Route("below", b"*.example.com", b""),
    Route("v6", b"[::1]", b""),
    Route("anywhere", b"", b"/status"),
]


@pytest.mark.parametrize(
    ("authority", "target", "service"),
    [
        (b"shop.example.com", b"/", "exact"),
        (b"SHOP.example.com:8080", b"/api", "exact"),
        (b"shop.example.com.", b"/", "exact"),
        (b"a.example.com", b"/", "below"),
        (b"a.b.example.com", b"/", "below"),
        (b".example.com", b"/", None),
        (b"example.com", b"/", None),
        (b"badexample.com", b"/", None),
        (b"example.com", b"/api", "api"),
        (b"example.com", b"/api/x", "api"),
        (b"example.com", b"/api?x=/y", "api"),
        (b"example.com", b"/apis", None),
        (b"example.com", b"/docs", None),
        (b"example.com", b"/docs/x", "slash"),
        (b"[::1]:80", b"/", "v6"),
        (b"[::2]", b"/status", "anywhere"),
        (b"", b"/status", "anywhere"),
        (b"", b"*", None),
    ],
)
def test_the_first_route_that_matches_wins(authority: bytes, target: bytes, service: str | None) -> None:
    assert Router(ROUTES).find(Asked(authority, target)) == service


def test_a_route_without_conditions_takes_everything() -> None:
    assert Router([Route("all")]).find(Asked(b"x", b"*")) == "all"
    assert Router([Route("api", b"", b"/api"), Route("rest")]).find(Asked(b"x", b"/")) == "rest"


def test_no_routes_match_nothing() -> None:
    assert Router[str]([]).find(Asked(b"x", b"/")) is None


@pytest.mark.parametrize(
    ("compare", "taken"),
    [
        (Compare.SEGMENTS, ["/api", "/api/x", "/api?x"]),
        (Compare.LETTERS, ["/api", "/api/x", "/apis", "/api?x"]),
        (Compare.WHOLE, ["/api", "/api?x"]),
    ],
)
def test_how_paths_are_compared(compare: Compare, taken: list[str]) -> None:
    router = Router([Route("api", b"", b"/api", compare)])
    targets = ["/api", "/api/x", "/apis", "/api?x", "/", "/ap", "/x/api"]
    assert [target for target in targets if router.find(Asked(b"x", target.encode()))] == taken


def test_routes_with_a_host_and_without_keep_their_order() -> None:
    router = Router(
        [Route(0, b"", b"/a"), Route(1, b"x"), Route(2, b"*.y", b"/b"), Route(3, b"z.y"), Route(4, b"", b"/b")]
    )
    found = [router.find(Asked(host, path)) for host in (b"x", b"z.y", b"w.y", b"v") for path in (b"/a", b"/b", b"/c")]
    assert found == [0, 1, 1, 0, 2, 3, 0, 2, None, 0, 4, None]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"/api/x", b"/x"), (b"/api", b"/"), (b"/api?a=b", b"/?a=b"), (b"/apis", b"/s"), (b"/other", b"/other"),
        (b"*", b"*"), (b"/api/api/x", b"/api/x"),
    ],
)  # fmt: skip
def test_a_prefix_is_taken_off(target: bytes, sent: bytes) -> None:
    assert stripped(b"GET", target, b"/api") == b"GET %b HTTP/1.1" % sent
