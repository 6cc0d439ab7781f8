"""The index finds what a plain scan of all routes finds, and no spelling of a path gets round a route."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.trusted import parse_trusted_proxies
from proxy.conditions import Clients, Conditions, Field
from proxy.http.fields import BadMessageError
from proxy.http.forwarding import Forwarding, Origin
from proxy.routes import Compare, Route, Router, host_of
from tests.proxy.test_routes import Asked

HOSTS = ["", "a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test", "x"]
PATHS = ["", "/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/a/b/"]
CONDITIONS = [None, Conditions(frozenset([b"GET"])), Conditions(headers=(Field(b"x", value=b"1"),))]

routes = st.lists(
    st.builds(
        lambda host, path, compare, conditions, expression: Route(
            0, host.encode(), b"" if expression else path.encode(), compare, expression, conditions
        ),
        st.sampled_from(HOSTS), st.sampled_from(PATHS), st.sampled_from(list(Compare)), st.sampled_from(CONDITIONS),
        st.sampled_from([None, None, None, re.compile(b"^/a"), re.compile(b"b$")]),
    ),
    max_size=12,
)  # fmt: skip
requests = st.builds(
    lambda host, path, method, headers: Asked(host.encode(), path.encode(), method, headers=headers),
    st.sampled_from(["a.test", "b.a.test:80", "C.b.a.test", "x", "", ".test", "test", "y"]),
    st.sampled_from([*PATHS[1:], "/a/b/c/d", "/abc", "/ba", "*", "/c?/a", "/a?x"]),
    st.sampled_from([b"GET", b"POST"]), st.sampled_from([(), ((b"x", b"1"),)]),
)  # fmt: skip


def scanned(table: list[Route[int]], request: Asked) -> int | None:
    """Look at one route after the other."""
    host, path = host_of(request.authority), request.target.partition(b"?")[0]
    for route in table:
        if route.host.startswith(b"*."):
            if not (host.endswith(route.host[1:]) and len(host) > len(route.host) - 1):
                continue
        elif route.host and route.host != host:
            continue
        if route.expression is not None:
            if not route.expression.search(path):
                continue
        elif route.path:
            rest = path[len(route.path) :] if path.startswith(route.path) else None
            if route.compare is Compare.WHOLE and rest != b"":
                continue
            if rest is None:
                continue
            if route.compare is Compare.SEGMENTS and rest and rest[:1] != b"/" and not route.path.endswith(b"/"):
                continue
        if route.conditions is None or route.conditions.hold(request):
            return route.goal
    return None


@given(routes, st.lists(requests, min_size=1, max_size=6))
def test_the_index_finds_what_a_scan_finds(table: list[Route[int]], asked: list[Asked]) -> None:
    table = [replace(route, goal=place) for place, route in enumerate(table)]
    router = Router(table)
    for request in asked:
        assert router.find(request) == scanned(table, request)


ADMIN = Router([Route("admin", b"", b"/admin"), Route("rest")])


@pytest.mark.parametrize(
    "target",
    [
        b"/%61dmin", b"/x/../admin", b"/./admin", b"//admin", b"/x/%2e%2e/admin/x", b"/x/.%2E/admin?y", b"/../admin",
        b"/%61%64min/", b"/x/./../admin",
    ],
)  # fmt: skip
def test_no_spelling_gets_round_a_route(target: bytes) -> None:
    assert ADMIN.find(Asked(b"h", target)) == "admin"


@pytest.mark.parametrize(
    "target", [b"/%2561dmin", b"/x%2fadmin", b"/.well-known/x", b"/adm%20in", b"/admin/../x", b"*"]
)
def test_what_is_another_path_stays_one(target: bytes) -> None:
    assert ADMIN.find(Asked(b"h", target)) == "rest"


@pytest.mark.parametrize(
    "target",
    [
        b"/x/..%2fadmin",
        b"/x/..%5Cadmin",
        b"/x\\..\\admin",
        b"/x/..;/admin",
        b"/x//../admin",
        b"/admin%00",
        b"/%2e%2e%2fa",
        b"/admin%2fx",
        b"/%5cadmin",
        b"/admin\\x",
        b"/%2f/admin",
    ],
)
def test_a_path_that_servers_read_differently_is_refused(target: bytes) -> None:
    with pytest.raises(BadMessageError) as refused:
        ADMIN.find(Asked(b"h", target))
    assert refused.value.status == 400
    assert Router([Route("all")]).find(Asked(b"h", target)) == "all"  # where there is nothing to get round


def test_an_escaped_slash_that_changes_no_route_passes() -> None:
    assert ADMIN.find(Asked(b"h", b"/admin/a%2fb")) == "admin"
    assert ADMIN.find(Asked(b"h", b"/projects/a%2Fb\\c%5cd")) == "rest"


def holds(conditions: Conditions, target: bytes = b"/", **asked: object) -> bool:
    router = Router([Route("here", conditions=conditions)])
    return router.find(Asked(b"h", target, **asked)) == "here"  # type: ignore[arg-type]


def test_headers_and_the_query() -> None:
    canary = ((b"x-canary", b"no"), (b"x-canary", b"yes"))
    assert holds(Conditions(headers=(Field(b"x-canary", value=b"yes"),)), headers=canary)
    assert not holds(Conditions(headers=(Field(b"x-canary", value=b"y"),)), headers=canary)
    assert holds(Conditions(headers=(Field(b"x-canary", expression=re.compile(b"^y")),)), headers=canary)
    assert holds(Conditions(headers=(Field(b"x-canary"),)), headers=canary)
    assert not holds(Conditions(headers=(Field(b"x-canary", present=False),)), headers=canary)
    assert holds(Conditions(headers=(Field(b"x-other", present=False),)), headers=canary)
    for target, there in (
        (b"/?de%62ug=%31", True),
        (b"/?a&debug=1", True),
        (b"/?debug=2", False),
        (b"/debug=1", False),
    ):
        assert holds(Conditions(query=(Field(b"debug", value=b"1"),)), target) is there
    assert holds(Conditions(query=(Field(b"a"),)), b"/?a")
    assert holds(Conditions(query=(Field(b"a", present=False),)), b"/?b")


def test_clients_are_whom_they_can_be_believed_to_be() -> None:
    inside = Conditions(clients=Clients(parse_trusted_proxies(["10.0.0.0/8"])))
    assert holds(inside, client="10.1.2.3")
    assert holds(inside, client="::ffff:10.1.2.3")
    assert not holds(inside, client="192.0.2.1")
    assert not holds(inside, client="")
    assert holds(Conditions(clients=Clients(parse_trusted_proxies(["unix"]))), client="")
    assert Origin(Forwarding(), ("192.0.2.1", 5)).address == "192.0.2.1"


def test_what_is_too_long_for_an_expression_is_refused_only_where_it_comes_to_one() -> None:
    router = Router([Route("first", b"", b"/first"), Route("regex", expression=re.compile(b"x$")), Route("rest")])
    assert router.find(Asked(b"h", b"/first/" + b"a" * 2000)) == "first"
    with pytest.raises(BadMessageError) as refused:
        router.find(Asked(b"h", b"/" + b"a" * 1024))
    assert refused.value.status == 414
    assert router.find(Asked(b"h", b"/" + b"a" * 1023)) == "rest"
