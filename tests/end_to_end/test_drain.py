"""A signal ends pointsman without losing a request; a second one, or a deadline, ends it at once."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import REFUSED, Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.servers.program import Answer

SLOW = 2.0  # seconds that a slow request takes
CLIENTS = 24


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Instances]:
    with Instances(tmp_path, "drain-1", "drain-2") as instances:
        yield instances


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    """Where blocking requests wait."""
    with ThreadPoolExecutor(4) as clients:
        yield clients


def pointsman(folder: Path, instances: Instances, drain_timeout: str) -> Pointsman:
    discovery = {"static": instances.addresses()}
    services = {"web": {"discovery": discovery}, "slow": {"discovery": discovery}}
    routes = [{"path": "/slow", "service": "slow"}, {"service": "web"}]
    return Pointsman(folder, services, routes=routes, drain_timeout=drain_timeout)


def ask_slowly(clients: ThreadPoolExecutor, proxy: Pointsman, seconds: float) -> Future[Answer]:
    """Have a slow request in flight."""
    asked = clients.submit(ask, proxy.port, f"/slow?seconds={seconds}", timeout=60)
    until(lambda: proxy.service("slow")["in_flight"], "the slow request is in flight")
    return asked


def test_sigterm_under_load(tmp_path: Path, instances: Instances, clients: ThreadPoolExecutor) -> None:
    drain_timeout = 10
    with (
        pointsman(tmp_path, instances, f"{drain_timeout}s") as proxy,
        Load(tmp_path, proxy.url, clients=CLIENTS) as load,
    ):
        time.sleep(1)  # of traffic
        assert proxy.readyz().status == 200
        slow = ask_slowly(clients, proxy, SLOW)
        told = time.monotonic()
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.readyz().status == 503, "not ready any more")
        unready = time.monotonic()
        reasons = proxy.readyz().json["reasons"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        assert not slow.done()
        answer = slow.result()
        status = proxy.wait(drain_timeout + 5)
        took = time.monotonic() - told
        result = load.finish()

    closing = [one for one in result.answered if one.closing]
    refused = [one for one in result.failed if one.reason == REFUSED]
    failed = [one for one in result.failed if one.reason != REFUSED]
    print(f"\n503 after {(unready - told) * 1000:.0f} ms: {', '.join(reasons)}; ended with {status} after {took:.2f} s")
    print(f"{len(result.answered)} answered, {len(closing)} of them with Connection: close; {len(failed)} failed")
    print(f"the slow one: {answer.status} {answer.text!r} Connection: {answer.headers.get('connection')}")
    assert reasons == ["draining"]
    assert answer.status == 200
    assert status == 0
    assert took < drain_timeout
    assert not failed
    assert len(closing) == CLIENTS
    assert all(one.ended > told for one in closing)
    assert all(one.started > told for one in refused)


def test_a_second_signal_ends_at_once(tmp_path: Path, instances: Instances, clients: ThreadPoolExecutor) -> None:
    with pointsman(tmp_path, instances, "60s") as proxy:
        slow = ask_slowly(clients, proxy, 30)
        proxy.signal(signal.SIGTERM)
        until(lambda: proxy.readyz().status == 503, "it drains")
        assert not slow.done()
        again = time.monotonic()
        proxy.signal(signal.SIGTERM)
        status = proxy.wait(10)
        took = time.monotonic() - again
        with pytest.raises((OSError, http.client.HTTPException)):
            slow.result()
    print(f"\nended with {status}, {took * 1000:.0f} ms after the second signal")
    assert status == 0
    assert took < 3


def test_drain_timeout_cuts(tmp_path: Path, instances: Instances, clients: ThreadPoolExecutor) -> None:
    with pointsman(tmp_path, instances, "1s") as proxy:
        slow = ask_slowly(clients, proxy, 30)
        told = time.monotonic()
        proxy.signal(signal.SIGINT)
        status = proxy.wait(10)
        took = time.monotonic() - told
        with pytest.raises((OSError, http.client.HTTPException)):
            slow.result()
        said = proxy.output()
    print(f"\nended with {status}, {took:.2f} s after the signal")
    assert status == 0
    assert 1 <= took < 4
    assert "drain_timeout passed: 1 connections are cut" in said
