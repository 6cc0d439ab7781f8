"""Ten thousand idle connections, and two thousand that never finish what they say: others do not notice.

Each test prints what it measured.
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.crowd import Crowd
from tests.servers.instances import Instances
from tests.servers.load import Load, percentile
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.load import Result

KIB = 1024
IDLE = 10_000
MAY_TAKE = 4 * KIB  # bytes of memory a connection
SLOW = 2_000
REQUEST_HEAD = 4.0  # seconds
LATE = 5.0  # seconds that a busy machine may take longer
LIGHT = 2.5  # seconds of a light load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def light_load(folder: Path, proxy: Pointsman, name: str) -> Result:
    with Load(folder, proxy.url, clients=8, name=name) as load:
        time.sleep(LIGHT)
        return load.finish()


def milliseconds(result: Result) -> str:
    latencies = result.latencies()
    median, p99, worst = (percentile(latencies, share) * 1000 for share in (0.5, 0.99, 1))
    return (
        f"{result.sent:>6} sent {len(result.failed):>3} failed   p50 {median:.2f}  p99 {p99:.2f}  worst {worst:.1f} ms"
    )


def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE * 1.5:
        pytest.skip(f"a process may have no more than {most} file descriptors here")
    with (
        Instances(tmp_path, "patient") as instances,
        Pointsman(tmp_path, {"web": {"discovery": {"static": instances.addresses()}}}, descriptors=most) as proxy,
    ):
        before = light_load(tmp_path, proxy, "before")  # which warms it up, too
        until(lambda: not proxy.clients(), "nobody is connected")
        base = proxy.memory()
        began = time.monotonic()
        with Crowd(tmp_path, proxy.port, IDLE, "idle") as crowd:
            took = time.monotonic() - began
            grown = proxy.memory() - base
            held = proxy.clients()
            beside = light_load(tmp_path, proxy, "beside")
            crowd.ask_again()
            until(lambda: proxy.clients() == IDLE, "the light load has left, and nobody else")
            members = crowd.finish()
        until(lambda: not proxy.clients(), "they have left")
        after = proxy.memory() - base
    print(f"\n{IDLE} connections, each after a request, in {took:.1f} s")
    print(
        f"memory: {base / KIB**2:.1f} MiB before, {grown / IDLE / KIB:.2f} KiB a connection, "
        f"{after / KIB**2:.1f} MiB more when they had left"
    )
    print(f"a light load without them: {milliseconds(before)}")
    print(f"a light load beside them:  {milliseconds(beside)}")
    assert held == IDLE
    assert grown <= IDLE * MAY_TAKE
    assert not before.failed
    assert not beside.failed
    assert all(member.answers == [200, 200] for member in members)


def test_two_thousand_slow_clients(tmp_path: Path) -> None:
    with (
        Instances(tmp_path, "brisk") as instances,
        Pointsman(
            tmp_path,
            {"web": {"discovery": {"static": instances.addresses()}}},
            timeouts={"request_head": f"{REQUEST_HEAD}s"},
        ) as proxy,
    ):
        before = light_load(tmp_path, proxy, "before")
        with Crowd(tmp_path, proxy.port, SLOW, "slow", every=0.5) as crowd:
            until(lambda: proxy.clients() >= SLOW, "all are connected at once")
            beside = light_load(tmp_path, proxy, "beside")
            crowd.until_gone()
            members = crowd.finish()
        until(lambda: not proxy.clients(), "nobody is connected any more")
    waited = sorted(member.ended - member.began for member in members)
    print(f"\n{SLOW} clients with a byte each half second, all connected at once")
    print(f"each got 408, {waited[0]:.2f} to {waited[-1]:.2f} s after it connected; request_head is {REQUEST_HEAD} s")
    print(f"a light load without them: {milliseconds(before)}")
    print(f"a light load beside them:  {milliseconds(beside)}")
    assert not before.failed
    assert not beside.failed
    assert [member.answers for member in members] == [[408]] * SLOW
    assert waited[0] >= REQUEST_HEAD
    assert waited[-1] <= REQUEST_HEAD + LATE
