"""A registry loses instances that are well: they stay in traffic for as long as they answer probes, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.etcd import EtcdServer

PREFIX = "/services/lost/"
NAMES = ("lost-1", "lost-2", "lost-3", "lost-4")
HEALTH = {"probe": {"http": "/healthz", "interval": "50ms", "timeout": "1s", "fall": 2, "rise": 1}}
HEALTH_ALONE = {**HEALTH, "panic_threshold": "0%"}


def feel(instances: Instances, how: str, *names: str) -> None:
    for name in names:
        assert ask(instances.ports[name], how, "POST").status == 200


def test_keys_that_vanish_at_once_are_kept_while_their_instances_answer_probes(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    service = {
        "discovery": {"etcd": {"prefix": PREFIX, "endpoints": [etcd.address]}},
        "health": HEALTH_ALONE,
        "guard": {"hold": "10m", "max_shrink": "40%"},
    }
    with Instances(tmp_path, *NAMES) as instances, Pointsman(tmp_path, {"web": service}) as proxy:
        try:
            keys = [(PREFIX + name, f"127.0.0.1:{port}") for name, port in instances.ports.items()]
            etcd.transaction(keys)
            proxy.until_in_traffic("web", *NAMES)
            until(
                lambda: all(one["health"]["last_probe"] for one in proxy.endpoints("web").values()),
                "all have been probed",
            )
            with Load(tmp_path, proxy.url) as load:
                etcd.transaction([], [key for key, _ in keys[1:]])  # at one revision, while we watch
                until(lambda: proxy.service("web")["registry"]["held"], "the small set is held")
                held = proxy.service("web")["registry"]["held"]
                assert 500 < held.pop("accepted_in_seconds") <= 600
                assert held == {"instances": 1, "kept": 3, "reason": "they still answer probes"}
                assert proxy.in_traffic("web") == set(NAMES)
                assert proxy.metric('pointsman_discovery_held{registry="etcd",service="web"}') == 1
                assert proxy.metric('pointsman_discovery_kept{registry="etcd",service="web"}') == 3

                etcd.put(PREFIX + "lost-9", f"127.0.0.1:{instances.ports['lost-1']}")  # what is new loses no time
                until(lambda: "lost-9" in proxy.in_traffic("web"), "the new one is in traffic")
                etcd.delete(PREFIX + "lost-9")

                feel(instances, "/unwell", "lost-4")
                until(lambda: "lost-4" not in proxy.endpoints("web"), "the one that is unwell is let go")
                assert proxy.in_traffic("web") >= set(NAMES[:3])
                assert proxy.service("web")["registry"]["held"]["kept"] >= 2
                feel(instances, "/unwell", "lost-2", "lost-3")
                until(lambda: proxy.endpoints("web").keys() == {"lost-1"}, "the small set is in force")
                result = load.finish()
            assert proxy.service("web")["registry"]["held"] is None
            kinds = [event["kind"] for event in proxy.admin("/events?service=web")["events"]]
            assert {"shrink_held", "let_go", "shrink_accepted"} <= set(kinds)
            assert "/services/lost/ in the registry shrank to 1" in proxy.output()
        finally:
            etcd.delete_below(PREFIX)
    assert not result.failed


def test_instances_that_a_registry_forgot_are_let_go_when_they_end(own_consul: ConsulAgent, tmp_path: Path) -> None:
    names = NAMES[:2]
    web = in_consul(own_consul.address, "lost", health=HEALTH_ALONE, guard={"hold": "10m"})
    with Instances(tmp_path, *names) as instances, Pointsman(tmp_path, {"web": web}) as proxy:
        for name in names:
            own_consul.register(instances.registration("lost", name))
        proxy.until_in_traffic("web", *names)
        own_consul.kill()
        own_consul.start()  # without its data
        until(lambda: proxy.service("web")["registry"]["held"], "the empty set is held")
        assert proxy.service("web")["registry"]["held"]["reason"] == "nobody saw them go"
        assert proxy.in_traffic("web") == set(names)
        feel(instances, "/unwell", *names)
        until(lambda: not proxy.endpoints("web"), "the empty set is in force")
        assert ask(proxy.port, "/").status == 503
        (accepted,) = proxy.events("empty_accepted")
    assert accepted["reason"].endswith("the probes of all that it lost fail")


def test_an_operator_ends_a_hold(own_consul: ConsulAgent, tmp_path: Path) -> None:
    web = in_consul(own_consul.address, "lost", guard={"hold": "10m"})
    with Instances(tmp_path, "lost-1") as instances, Pointsman(tmp_path, {"web": web}) as proxy:
        own_consul.register(instances.registration("lost", "lost-1"))
        proxy.until_in_traffic("web", "lost-1")
        own_consul.kill()
        own_consul.start()
        until(lambda: proxy.service("web")["registry"]["held"], "the empty set is held")
        answer = ask(proxy.admin_port, "/api/v1/services/web/accept", "POST")
        assert (answer.status, answer.json["endpoints"]) == (200, [])
        assert ask(proxy.port, "/").status == 503
