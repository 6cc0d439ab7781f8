"""A service moves from Consul to etcd and back, by shares, under load: nobody notices but the shares."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer

PREFIX = "/services/moving/"
SETTLE = 0.2  # seconds between a change of weights and its window
WINDOW = 1.2  # seconds
TOLERANCE = 0.04  # of a share, absolute
ENOUGH = 200  # requests in a window; fewer measure nothing


def test_a_service_moves_by_shares_and_no_request_fails(consul: ConsulAgent, etcd: EtcdServer, tmp_path: Path) -> None:
    sources = [
        {"consul": {"service": "moving", "address": consul.address}, "weight": 100},
        {"etcd": {"prefix": PREFIX, "endpoints": [etcd.address]}, "weight": 0},
    ]
    with ExitStack() as stack:
        stack.callback(etcd.delete_below, PREFIX)
        old = stack.enter_context(Instances(tmp_path, "old-1", "old-2"))
        new = stack.enter_context(Instances(tmp_path, "new-1", "new-2", "new-3"))
        for name in old.ports:
            consul.register(old.registration("moving", name))
            stack.callback(consul.deregister, name)
        for name, port in new.ports.items():
            etcd.put(PREFIX + name, f"127.0.0.1:{port}")
        etcd.put(PREFIX + "old-2-too", f"127.0.0.1:{old.ports['old-2']}")  # one instance is in both
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": {"discovery": sources}}))
        proxy.until_in_traffic("web", *(f"127.0.0.1:{port}" for port in old.ports.values()))
        load = stack.enter_context(Load(tmp_path, proxy.url))
        windows = []
        for share in (10, 50, 100, 50, 0):  # per cent in etcd
            answer = ask(
                proxy.admin_port, "/api/v1/services/web/sources", "PATCH", {"consul": 100 - share, "etcd": share}
            )
            assert answer.status == 200, answer
            begin = time.monotonic() + SETTLE
            time.sleep(SETTLE + WINDOW)  # the window itself
            windows.append((share / 100, begin, begin + WINDOW))
        result = load.finish()
        assert len(proxy.service("web")["endpoints"]) == 5
    assert not result.failed
    for moved, begin, end in windows:
        counts = result.by_instance(begin, end)
        assert counts.total() >= ENOUGH
        assert abs(counts["new-1"] + counts["new-2"] + counts["new-3"] - 0.75 * moved * counts.total()) <= (
            TOLERANCE * counts.total()
        )
        both = (1 - moved) / 2 + moved / 4
        assert abs(counts["old-2"] - both * counts.total()) <= TOLERANCE * counts.total()
