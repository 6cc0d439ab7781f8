"""What a configuration says of the data path, at each of its levels, and what the data path is given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from balancers.health import Thresholds
from config.load import parse
from proxy.assemble.listeners import make_listeners
from proxy.http.places import PlaceLimits
from proxy.http.retries import RetryPolicy
from proxy.http.terms import NEVER, Terms, Timeouts
from proxy.journal import Journal
from proxy.listener import Listener
from proxy.serving import Serving
from tests.proxy.test_routes import Asked

if TYPE_CHECKING:
    from proxy.service import Service

WHOLE = """
listeners:
  - bind: 127.0.0.1:8080
  - bind: 127.0.0.1:8081
    timeouts: {body_idle: 2s, request: 0s, keepalive: 0s, request_head: 4s}
    limits: {body: 2KiB, connections: 7, connections_per_client: 3, requests_per_connection: 9, header_count: 20}
    trusted_proxies: [10.0.0.0/8]
    forwarded: rfc7239
    allow_connect: true
    allow_trace: true
routes:
  - {path: /own, service: own}
  - {service: plain}
services:
  plain:
    discovery: {static: ["127.0.0.1:1"]}
  own:
    discovery: {static: ["127.0.0.1:1"]}
    timeouts: {body_idle: 3s, stream_idle: 0s, request: 9s, queue: 6s, response_head: 0s}
    limits: {body: 0, in_flight: 4, in_flight_per_endpoint: 2, queue: 5, queue_per_endpoint: 1}
    retries: {attempts: 4, on: [timeout, 404, 502-504], backoff: 1s, buffer: 0, hedge_after: 30ms, per_try_timeout: 8s}
    health:
      passive: {consecutive_5xx: 2, consecutive_local_failures: 0, base_ejection_time: 7s, max_ejection_percent: 40%}
timeouts: {body_idle: 1s, response_head: 10s, request: 20s, keepalive: 30s}
limits: {body: 1KiB, in_flight: 0}
retries: {per_try_timeout: 5s, on: []}
request_id: make
forwarded: both
"""


@pytest.fixture
async def parts() -> tuple[list[Listener], dict[str, Service]]:
    await asyncio.sleep(0)
    config = parse(WHOLE, name="test", folder=Path.cwd(), environ={})
    services = Serving(config, Journal()).services
    listeners = [one for one in make_listeners(config, services, None) if isinstance(one, Listener)]
    return listeners, services


def terms(listener: Listener, path: bytes) -> Terms:
    found = listener.router.find(Asked(b"shop", path))
    assert found is not None
    return found


def test_the_service_wins_over_the_listener_and_the_listener_over_the_top(
    parts: tuple[list[Listener], dict[str, Service]],
) -> None:
    [first, second], services = parts
    top = terms(first, b"/")
    assert (top.service, top.body) == (services["plain"], 1024)
    assert top.timeouts == Timeouts(
        body_idle=1.0, response_head=5.0, request=20.0, keepalive=30.0
    )  # an answer must be there within per_try_timeout too
    over = terms(second, b"/")
    assert (over.timeouts.body_idle, over.timeouts.request, over.timeouts.keepalive, over.body) == (
        2.0,
        NEVER,
        NEVER,
        2048,
    )
    for listener in (first, second):
        own = terms(listener, b"/own")
        assert own.body == NEVER
        assert (own.timeouts.body_idle, own.timeouts.stream_idle, own.timeouts.request) == (3.0, NEVER, 9.0)
        assert (own.timeouts.queue, own.timeouts.response_head) == (6.0, 8.0)


def test_a_listener_is_what_its_level_says(parts: tuple[list[Listener], dict[str, Service]]) -> None:
    [first, second], _ = parts
    options = first.options
    assert (options.connections, options.connections_per_client, options.requests_per_connection) == (0, 0, 0)
    assert (options.allow_connect, options.allow_trace, options.request_id) == (False, False, "make")
    assert (options.forwarding.x_forwarded, options.forwarding.rfc7239) == (True, True)
    assert not options.forwarding.trusts("10.0.0.1")
    options = second.options
    assert (options.connections, options.connections_per_client, options.requests_per_connection) == (7, 3, 9)
    assert (options.allow_connect, options.allow_trace, options.limits.header_count) == (True, True, 20)
    assert (options.forwarding.x_forwarded, options.forwarding.rfc7239) == (False, True)
    assert options.forwarding.trusts("10.0.0.1")
    assert (options.timeouts.keepalive, options.timeouts.request_head) == (NEVER, 4.0)


def test_a_service_is_what_its_level_says(parts: tuple[list[Listener], dict[str, Service]]) -> None:
    _, services = parts
    plain, own = services["plain"], services["own"]
    assert (plain.places, plain.retries) == (None, RetryPolicy(on_reset=False))
    assert own.places is not None
    assert own.places.limits == PlaceLimits(4, 2, 5, 1)
    statuses = frozenset([404, 502, 503, 504])
    assert own.retries == RetryPolicy(4, False, True, statuses, backoff=1.0, buffer=0, hedge_after=0.03)
    assert plain.pool._thresholds == Thresholds(rise=1, fall=1)
    assert own.pool._thresholds == Thresholds(1, 1, False, 2, 0, base_ejection_time=7.0)
    assert (plain.pool._max_ejection, own.pool._max_ejection) == (0.1, 0.4)
