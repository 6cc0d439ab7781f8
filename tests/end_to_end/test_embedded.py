"""With the embedded registry in the same process: the same changes, and a memory that survives a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.ports import free_port
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("own-1", "own-2", "own-3")


class Registry:
    """The embedded registry's HTTP API."""

    def __init__(self) -> None:
        self.port = free_port()

    def put(self, path: str, body: object = None) -> None:
        answer = ask(self.port, path, "PUT", body)
        assert answer.status == 200, answer

    def services(self) -> set[str]:
        return set(ask(self.port, "/v1/agent/services").json)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def pointsman(folder: Path, registry: Registry) -> Pointsman:
    bind = f"127.0.0.1:{registry.port}"
    web = in_consul(f"http://{bind}", "own", balancer="round_robin")
    return Pointsman(folder, {"web": web}, registry={"bind": bind, "data_dir": "registry"})


def until_asked(proxy: Pointsman, name: str, times: int) -> None:
    """Wait until an instance has got so many more requests."""
    before = proxy.endpoints("web")[name]["requests"]
    until(lambda: proxy.endpoints("web")[name]["requests"] >= before + times, f"{times} more requests to {name}")


def test_traffic_follows_the_embedded_registry(registry: Registry, tmp_path: Path) -> None:
    with Instances(tmp_path, *NAMES) as instances, pointsman(tmp_path, registry) as proxy:
        assert ask(proxy.port, "/").status == 503
        registry.put("/v1/agent/service/register", instances.registration("own", NAMES[0]))
        proxy.until_in_traffic("web", NAMES[0])
        with Load(tmp_path, proxy.url) as load:
            for name in NAMES[1:]:
                registry.put("/v1/agent/service/register", instances.registration("own", name))
            proxy.until_in_traffic("web", *NAMES)
            until_asked(proxy, NAMES[1], 50)
            registry.put(f"/v1/agent/service/deregister/{NAMES[0]}")
            two_left = proxy.until_in_traffic("web", *NAMES[1:])
            registry.put(f"/v1/agent/service/maintenance/{NAMES[1]}?enable=true&reason=rest")
            one_left = proxy.until_in_traffic("web", NAMES[2])
            until_asked(proxy, NAMES[2], 100)
            result = load.finish()
    print(f"\n{result.sent} requests, {len(result.failed)} failed: {dict(result.by_instance(0, float('inf')))}")
    assert not result.failed
    assert set(result.by_instance(two_left, one_left)) <= set(NAMES[1:])
    assert set(result.by_instance(one_left, float("inf"))) == {NAMES[2]}


def test_registrations_survive_a_crash(registry: Registry, tmp_path: Path) -> None:
    with Instances(tmp_path, *NAMES) as instances, pointsman(tmp_path, registry) as proxy:
        for name in NAMES:
            registry.put("/v1/agent/service/register", instances.registration("own", name))
        registry.put(f"/v1/agent/service/maintenance/{NAMES[2]}?enable=true&reason=rest")
        proxy.kill()
        proxy.start()
        assert registry.services() == set(NAMES)
        proxy.until_in_traffic("web", *NAMES[:2])
        assert {ask(proxy.port, "/").text for _ in range(4)} == set(NAMES[:2])
        assert proxy.endpoints("web")[NAMES[2]]["reason"] == "maintenance: rest"
