"""Two datacenters of Consul: the second one answers when the first one's instances are gone."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.servers.consul import two_datacenters
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path


def test_the_second_datacenter_takes_over_without_a_failed_request(consul_program: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        here, there = stack.enter_context(two_datacenters(tmp_path))
        near = stack.enter_context(Instances(tmp_path, "near"))
        far = stack.enter_context(Instances(tmp_path, "far"))
        here.register(near.registration("web", "near"))
        there.register(far.registration("web", "far"))
        consul = {"service": "web", "address": here.address, "datacenters": ["dc1", "dc2"]}
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": {"discovery": {"consul": consul}}}))
        until(lambda: len(proxy.endpoints("web")) == 2, "both are known to the proxy")
        proxy.until_in_traffic("web", "near")
        load = stack.enter_context(Load(tmp_path, proxy.url))
        here.maintenance("near", enable=True)
        proxy.until_in_traffic("web", "far")
        there.kill()
        until(lambda: proxy.service("web")["registry"]["unreadable"], "the loss of the datacenter is named")
        assert proxy.in_traffic("web") == {"far"}
        here.maintenance("near", enable=False)
        proxy.until_in_traffic("web", "near")
        result = load.finish()
    assert not result.failed
