"""Which service a request goes to."""

from __future__ import annotations

import pytest

from proxy.routes import Route, Router

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
    assert Router(ROUTES).find(authority, target) == service


def test_a_route_without_conditions_takes_everything() -> None:
    assert Router([Route("all")]).find(b"x", b"*") == "all"
    assert Router([Route("api", b"", b"/api"), Route("rest")]).find(b"x", b"/") == "rest"


def test_no_routes_match_nothing() -> None:
    assert Router[str]([]).find(b"x", b"/") is None
