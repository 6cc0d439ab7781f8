"""Who has a bucket, and what becomes of a request that finds it empty."""

from __future__ import annotations

import asyncio

import pytest

from proxy.edge.buckets import Buckets
from proxy.edge.guard import Guard
from proxy.edge.rate_limit import RateLimit, RateLimits, by_client, by_header, by_route
from tests.proxy.edge.guarding import guarded, request_of
from tests.proxy.http.scripted import GET, OK, OK_SENT
from tests.proxy.running import instance, running


def limits(key, requests=1, per=60.0, most=100) -> RateLimits:
    return RateLimits([RateLimit(key, Buckets(requests, per, requests, most), f"more than {requests}")])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "", True),
        ("", "10.0.0.1", False),
    ],
)
def test_a_client_is_an_address_or_a_64_of_ipv6(one, other, same) -> None:
    assert (by_client(request_of(one)) == by_client(request_of(other))) is same


def test_a_header_is_known_by_its_value_and_a_long_one_by_its_hash() -> None:
    key = by_header("X-Key")
    values = [b"a", b"b", b"x" * 1000, b"x" * 999 + b"y", b""]
    keys = [key(request_of("10.0.0.1", b"x-key: " + value)) for value in values]
    assert len(set(keys)) == len(values)
    assert all(len(known) <= 64 for known in keys if isinstance(known, bytes))
    assert key(request_of()) == keys[-1]
    assert by_header("Host")(request_of()) == b"shop"


def test_retry_after_is_whole_seconds_rounded_up() -> None:
    one = limits(by_route)
    assert one.refuses(request_of(), 100.0) is None
    for now, wait in ((100.0, b"60"), (100.1, b"60"), (159.9, b"1")):
        answer = one.refuses(request_of("10.0.0.9"), now)
        assert answer is not None
        assert answer.status == 429
        assert b"Retry-After: " + wait in answer.fields
    assert one.refused == 3
    assert one.refuses(request_of(), 160.0) is None


def test_a_request_that_one_limit_refuses_takes_no_token_of_another() -> None:
    wide, narrow = Buckets(2, 60.0, 2, 10), Buckets(1, 1.0, 1, 10)
    both = RateLimits([RateLimit(by_route, wide, "wide"), RateLimit(by_route, narrow, "narrow")])
    assert both.refuses(request_of(), 0.0) is None
    refused = both.refuses(request_of(), 0.5)
    assert refused is not None
    assert refused.error == "narrow"
    assert both.refuses(request_of(), 1.0) is None
    refused = both.refuses(request_of(), 1.1)
    assert refused is not None
    assert (refused.error, refused.fields[-1]) == ("wide", b"Retry-After: 29")


async def test_a_refused_request_leaves_the_connection_and_the_log_says_why() -> None:
    async with guarded(Guard("", limits=limits(by_client, requests=2)), logged=True) as proxy:
        client, peer = await proxy.asking(GET * 4)
        for number in range(2):
            await peer.through()
            await peer.send(OK)
            await client.gets(OK_SENT)
            assert number < 2
        for _ in range(2):
            status, head, _ = await client.response()
            assert (status, b"Connection: close" in head, b"Retry-After: 30" in head) == (429, False, True)
        assert [(record.status, record.error) for record in proxy.records[2:]] == [(429, "more than 2")] * 2
        assert proxy.listener.refused == 2


async def test_a_refused_body_is_not_waited_for() -> None:
    async with guarded(Guard("", limits=limits(by_client))) as proxy:
        client, peer = await proxy.asking()
        await peer.through()
        await peer.send(OK)
        await client.gets(OK_SENT)
        await client.send(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\nx")
        status, head, _ = await client.response()
        assert (status, b"Connection: close" in head) == (429, True)
        assert await client.rest() == b""


async def test_a_listener_limits_all_routes_and_what_has_none_and_a_route_all_listeners() -> None:
    async with instance("web") as at:
        config = {
            "listeners": [
                {"bind": "127.0.0.1:0", "rate_limit": {"requests": 3, "per": "1h"}},
                {"bind": "127.0.0.1:0"},
            ],
            "routes": [
                {"path": "/few", "service": "web", "rate_limit": [{"requests": 2, "per": "1h", "by": "route"}]},
                {"path": "/many", "service": "web"},
            ],
            "services": {"web": {"discovery": {"static": [at]}}},
        }
        async with running(config) as pointsman:
            ports = [listener.ports[0] for listener in pointsman.application.listeners]

            async def get(listener: int, path: str) -> int:
                url = f"http://127.0.0.1:{ports[listener]}{path}"
                async with pointsman.session.get(url, headers={"X-Forwarded-For": "1.2.3.4"}) as response:
                    return response.status

            assert [await get(0, path) for path in ("/few", "/nowhere", "/many", "/many", "/nowhere")] == [
                200, 404, 200, 429, 429,
            ]  # fmt: skip
            assert [await get(1, path) for path in ("/few", "/few", "/many")] == [200, 429, 200]
            text = (await pointsman.admin("/metrics"))[1]
            assert 'pointsman_requests_limited_total{listener="127.0.0.1:0",route=""} 2.0' in text
            assert 'pointsman_requests_limited_total{listener="",route="/few"} 1.0' in text


async def test_a_listener_lets_in_whom_its_lists_do_and_a_route_believes_trusted_proxies() -> None:
    async with instance("web") as at:
        config = {
            "listeners": [
                {"bind": "127.0.0.1:0", "deny": ["127.0.0.0/8"]},
                {"bind": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"], "allow": ["127.0.0.1"]},
            ],
            "routes": [{"service": "web", "allow": ["10.0.0.0/8"]}],
            "services": {"web": {"discovery": {"static": [at]}}},
        }
        async with running(config) as pointsman:
            ports = [listener.ports[0] for listener in pointsman.application.listeners]
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 403 ")  # before a byte was sent
            writer.close()
            for client, status in (("10.1.2.3", 200), ("11.1.2.3", 403), ("10.1.2.3, 11.0.0.1", 403)):
                url = f"http://127.0.0.1:{ports[1]}/"
                async with pointsman.session.get(url, headers={"X-Forwarded-For": client}) as response:
                    assert response.status == status
            text = (await pointsman.admin("/metrics"))[1]
            assert 'pointsman_requests_denied_total{listener="",route=""} 2.0' in text
            assert 'pointsman_requests_denied_total{listener="127.0.0.1:0",route=""} 1.0' in text
