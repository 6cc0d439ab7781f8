"""A client goes back to the endpoint that answered it before."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from balancers.choice import plainly
from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from balancers.sticky import Cookie, Sticky
from balancers.subsets import Subsets
from tests.balancers.asking import Asked
from tests.balancers.making import instance, snapshot


def pool_of(*names: str, key: bytes = b"", **options: Any) -> tuple[Pool, Sticky]:
    sticky = Sticky(Cookie("sid"), key)
    pool = Pool(RoundRobin, random.Random(1), sticky=sticky, thresholds=Thresholds(rise=1, fall=1), **options)
    pool.update(snapshot(*map(instance, names)), 0.0)
    return pool, sticky


def named(sticky: Sticky, name: str) -> Asked:
    return Asked(headers={b"cookie": b"a=b; sid=" + sticky.mark(name)})


def picked(pool: Pool, request: Asked, **options: Any) -> set[str]:
    return {one.instance.id for one in (pool.pick(request, **options) for _ in range(9)) if one is not None}


def test_the_cookie_leads_back() -> None:
    pool, sticky = pool_of("a", "b", "c")
    assert picked(pool, named(sticky, "b")) == {"b"}
    assert picked(pool, Asked()) == {"a", "b", "c"}


@pytest.mark.parametrize("cookie", [b"", b"sid", b"sid=", b"sid=nonsense", b"other=1", b"sid=\xff\x00"])
def test_a_cookie_of_no_use_counts_for_nothing(cookie: bytes) -> None:
    pool, _ = pool_of("a", "b", "c")
    assert picked(pool, Asked(headers={b"cookie": cookie})) == {"a", "b", "c"}


def test_who_is_ejected_full_tried_or_gone_is_replaced() -> None:
    pool, sticky = pool_of("a", "b", "c")
    b = next(one for one in pool.endpoints if one.instance.id == "b")
    request = named(sticky, "b")
    assert picked(pool, request, tried={b}) == {"a", "c"}
    b.in_flight = 5
    assert "b" not in picked(pool, request, most=5)
    assert picked(pool, request, most=6) == {"b"}
    pool.probed(b, False, "HTTP 500", 1.0)
    assert picked(pool, request) == {"a", "c"}
    pool.probed(b, True, "HTTP 200", 2.0)
    assert picked(pool, request) == {"b"}
    pool.update(snapshot(instance("a"), instance("c")), 3.0)
    assert picked(pool, request) == {"a", "c"}
    pool.update(snapshot(instance("a"), instance("b", port=81)), 4.0)  # the same identity at another address
    assert picked(pool, request) == {"b"}


def test_a_response_sets_the_cookie_only_where_it_is_not_right_already() -> None:
    pool, sticky = pool_of("a", "b")
    a, b = pool.endpoints
    field = sticky.set_cookie(Asked(), a)
    assert field == b"Set-Cookie: sid=%b; Path=/; HttpOnly; SameSite=Lax" % sticky.mark("a")
    assert sticky.set_cookie(named(sticky, "a"), a) == b""
    assert sticky.set_cookie(named(sticky, "a"), b).startswith(b"Set-Cookie: sid=%b;" % sticky.mark("b"))


def test_attributes() -> None:
    cookie = Cookie("sid", "/shop", "example.com", 3600, secure=True, http_only=False, same_site="None")
    assert cookie.attributes == b"; Path=/shop; Domain=example.com; Max-Age=3600; Secure; SameSite=None"
    assert Cookie("sid", same_site="", http_only=False).attributes == b"; Path=/"


def test_proxies_agree_and_only_the_key_can_make_a_signed_one() -> None:
    plain, signed, other = (Sticky(Cookie("sid"), key) for key in (b"", b"secret", b"another"))
    assert plain.mark("n/web-1") == Sticky(Cookie("else")).mark("n/web-1")
    assert len({one.mark("n/web-1") for one in (plain, signed, other)}) == 3
    assert b"web" not in plain.mark("n/web-1")
    pool, _ = pool_of("a", "b", key=b"secret")
    assert picked(pool, named(plain, "a")) == {"a", "b"}
    assert picked(pool, named(signed, "a")) == {"a"}


def test_a_subset_goes_before_the_cookie() -> None:
    pool, sticky = pool_of("a", compose=Subsets(b"x-tag").over(plainly))
    pool.update(snapshot(instance("a"), *(_tagged(name) for name in "bc")), 1.0)
    request = named(sticky, "a")
    assert picked(pool, request) == {"a"}
    request.headers[b"x-tag"] = b"new"
    assert picked(pool, request) == {"b", "c"}


def _tagged(name: str) -> Any:
    return dataclasses.replace(instance(name), tags=("new",))
