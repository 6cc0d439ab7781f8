"""The registry is away when pointsman starts: it serves what it knew the last time, and says so."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer

NAMES = ("kept-1", "kept-2", "kept-3")
PREFIX = "/services/kept/"


def test_a_start_without_consul_and_consul_back_without_its_memory(own_consul: ConsulAgent, tmp_path: Path) -> None:
    services = {"web": in_consul(own_consul.address, "kept", guard={"hold": "10m", "max_shrink": "50%"})}
    more: dict[str, Any] = {"state_dir": "state", "ready_from_state": True}
    with Instances(tmp_path, *NAMES) as instances:
        with Pointsman(tmp_path, services, **more) as proxy:
            for name in NAMES:
                own_consul.register(instances.registration("kept", name))
            proxy.until_in_traffic("web", *NAMES)
            until(lambda: stored(proxy) and known(tmp_path) == len(NAMES), "all three are on the disk")
            proxy.signal(signal.SIGKILL)  # it gets no chance to write anything more
            proxy.wait(5)
        own_consul.kill()
        with Pointsman(tmp_path, services, **more) as proxy:
            assert proxy.readyz().status == 200
            with Load(tmp_path, proxy.url) as load:
                until(lambda: proxy.service("web")["registry"]["error"], "the watch's error is shown")
                registry = proxy.service("web")["registry"]
                assert registry["stored"]
                assert registry["age_seconds"] > 0
                assert proxy.in_traffic("web") == set(NAMES)
                series = '{registry="consul",service="web"}'
                assert proxy.metric("pointsman_discovery_stored" + series) == 1
                assert proxy.metric("pointsman_discovery_snapshot_age_seconds" + series) > 0
                (event,) = proxy.events("restored")
                assert event["reason"].startswith("3 instances are in force, stored ")
                assert "3 instances are in force, stored " in proxy.output()

                own_consul.start()  # it remembers nothing, and so its first answer is held
                until(lambda: proxy.service("web")["registry"]["held"], "the empty set is held")
                assert proxy.in_traffic("web") == set(NAMES)
                assert proxy.service("web")["registry"]["stored"]
                for name in NAMES[:2]:
                    own_consul.register(instances.registration("kept", name))
                until(lambda: not proxy.service("web")["registry"]["held"], "most of them are back")
                proxy.until_in_traffic("web", *NAMES[:2])
                assert not proxy.service("web")["registry"]["stored"]
                result = load.finish()
    assert not result.failed


def test_a_start_without_etcd(own_etcd: EtcdServer, tmp_path: Path) -> None:
    discovery = {"etcd": {"prefix": PREFIX, "endpoints": [own_etcd.address]}}
    services: dict[str, object] = {"web": {"discovery": discovery}}
    more: dict[str, Any] = {"state_dir": "state", "ready_from_state": True}
    with Instances(tmp_path, *NAMES[:2]) as instances:
        own_etcd.transaction([(PREFIX + name, f"127.0.0.1:{port}") for name, port in instances.ports.items()])
        with Pointsman(tmp_path, services, **more) as proxy:
            proxy.until_in_traffic("web", *NAMES[:2])
        own_etcd.kill()
        with Pointsman(tmp_path, services, **more) as proxy, Load(tmp_path, proxy.url) as load:
            until(lambda: proxy.service("web")["registry"]["error"], "the watch's error is shown")
            proxy.until_in_traffic("web", *NAMES[:2])
            own_etcd.start()
            own_etcd.delete(PREFIX + "kept-1")
            proxy.until_in_traffic("web", "kept-2")
            assert not proxy.service("web")["registry"]["stored"]
            result = load.finish()
    assert not result.failed


def stored(proxy: Pointsman) -> bool:
    return proxy.metric('pointsman_state_writes_total{result="written"}') > 0


def known(folder: Path) -> int:
    """How many instances the only file of the state holds."""
    (path,) = (folder / "state").iterdir()
    return path.read_text().count('"id": ')
