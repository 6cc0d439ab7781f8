"""pointsman follows a service in etcd, with a login, while requests go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.etcd import EtcdServer

PREFIX = "/services/end-to-end/"
NAMES = ("etcd-1", "etcd-2")


def test_instances_in_etcd_come_and_go_under_load(own_etcd: EtcdServer, tmp_path: Path) -> None:
    own_etcd.add_user("reader", "reader's")
    own_etcd.let_read("reader", PREFIX)
    own_etcd.enable_authentication()
    discovery = {"prefix": PREFIX, "endpoints": [own_etcd.address], "username": "reader", "password": "reader's"}
    with (
        Instances(tmp_path, *NAMES) as instances,
        Pointsman(tmp_path, {"web": {"discovery": {"etcd": discovery}}}) as proxy,
    ):
        values = {name: registered(instances, name) for name in NAMES}
        own_etcd.put(PREFIX + "etcd-1", values["etcd-1"])
        proxy.until_in_traffic("web", "etcd-1")
        with Load(tmp_path, proxy.url) as load:
            own_etcd.put(PREFIX + "etcd-2", values["etcd-2"])
            proxy.until_in_traffic("web", *NAMES)
            until(lambda: proxy.endpoints("web")["etcd-2"]["requests"], "the second one is asked")
            own_etcd.put(PREFIX + "etcd-1", {**values["etcd-1"], "draining": True})
            proxy.until_in_traffic("web", "etcd-2")
            own_etcd.kill()
            until(lambda: proxy.service("web")["registry"]["error"], "the watch's error is shown")
            assert proxy.in_traffic("web") == {"etcd-2"}
            own_etcd.start()
            own_etcd.delete(PREFIX + "etcd-1")
            until(lambda: set(proxy.endpoints("web")) == {"etcd-2"}, "the first one is gone")
            result = load.finish()
        assert proxy.service("web")["registry"]["kind"] == "etcd"
    assert not result.failed


def registered(instances: Instances, name: str) -> dict[str, object]:
    registration = instances.registration("web", name)
    return {"address": registration["Address"], "port": registration["Port"], "weight": 2}
