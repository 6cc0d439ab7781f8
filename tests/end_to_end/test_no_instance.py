"""Nobody to ask: the client is told at once, whom it wanted and why not, and other services do not suffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.consul import ConsulAgent
    from tests.servers.program import Answer

NAMES = ("well-1", "well-2", "well-3")
PROBE = {"http": "/healthz", "interval": "100ms", "timeout": "1s", "fall": 2, "rise": 2}


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Instances]:
    with Instances(tmp_path, *NAMES) as instances:
        yield instances


def service(instances: Instances, panic_threshold: str, **probe: object) -> dict[str, object]:
    health = {"probe": {**PROBE, **probe}, "panic_threshold": panic_threshold}
    return {"discovery": {"static": instances.addresses()}, "balancer": "round_robin", "health": health}


def feel(instances: Instances, how: str, *names: str) -> None:
    for name in names:
        assert ask(instances.ports[name], how, "POST").status == 200


def states(proxy: Pointsman) -> list[str]:
    return [endpoint["health"]["state"] for endpoint in proxy.endpoints("web").values()]


def asked(proxy: Pointsman, times: int = 6) -> set[str]:
    """Return who answers."""
    answers = [ask(proxy.port, "/") for _ in range(times)]
    assert [answer.status for answer in answers] == [200] * times
    return {answer.text for answer in answers}


def assert_refused(answer: Answer, name: str, why: str) -> None:
    print(f"\n{answer.status}, Retry-After: {answer.headers.get('retry-after')}, {answer.text}", end="")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["service"] == name
    assert answer.json["error"].startswith(why)


def test_a_service_without_instances(consul: ConsulAgent, instances: Instances, tmp_path: Path) -> None:
    services = {
        "web": {"discovery": {"static": instances.addresses()}},
        "lonely.example": in_consul(consul.address, "lonely"),
        "resting.example": in_consul(consul.address, "resting"),
    }
    routes = [{"path": "/lonely", "service": "lonely.example"}, {"path": "/resting", "service": "resting.example"}]
    consul.register({"Name": "resting", "ID": "resting-1", "Address": "127.0.0.1", "Port": 9})
    consul.maintenance("resting-1", True, "moving house")
    with Pointsman(tmp_path, services, routes=[*routes, {"service": "web"}]) as proxy:
        assert_refused(ask(proxy.port, "/lonely"), "lonely.example", "no instance is registered")
        why = "its only instance is not offered by the registry: draining, down or of weight 0"
        until(lambda: proxy.endpoints("resting.example"), "the resting instance is seen")
        assert_refused(ask(proxy.port, "/resting"), "resting.example", why)
        assert proxy.endpoints("resting.example")["resting-1"]["reason"] == "maintenance: moving house"
        assert asked(proxy) == set(NAMES)


def test_all_ejected_without_panic(instances: Instances, tmp_path: Path) -> None:
    with Pointsman(tmp_path, {"web": service(instances, "0%")}) as proxy:
        assert asked(proxy) == set(NAMES)
        feel(instances, "/unwell", *NAMES)
        until(lambda: states(proxy) == ["ejected"] * 3, "all are ejected")
        assert_refused(ask(proxy.port, "/"), "web", "none of its 3 instances is healthy; well-")
        assert proxy.service("web")["panic"] is False
        feel(instances, "/well", NAMES[0])
        proxy.until_in_traffic("web", NAMES[0])
        assert asked(proxy) == {NAMES[0]}


def test_panic_uses_all(instances: Instances, tmp_path: Path) -> None:
    panic = 'pointsman_panic{service="web"}'
    with Pointsman(tmp_path, {"web": service(instances, "50%")}) as proxy:
        feel(instances, "/unwell", NAMES[0])
        until(lambda: states(proxy) == ["ejected", "healthy", "healthy"], "one of three is ejected")
        assert asked(proxy) == set(NAMES[1:])
        assert (proxy.service("web")["panic"], proxy.metric(panic)) == (False, 0)
        feel(instances, "/unwell", NAMES[1], NAMES[2])
        until(lambda: states(proxy) == ["ejected"] * 3, "all are ejected")
        assert asked(proxy) == set(NAMES)
        assert (proxy.service("web")["panic"], proxy.metric(panic)) == (True, 1)
        assert proxy.metric('pointsman_ejections_total{reason="probe",service="web"}') == 3
        feel(instances, "/well", *NAMES)
        until(lambda: states(proxy) == ["healthy"] * 3, "all are well again")
        assert asked(proxy) == set(NAMES)
        assert (proxy.service("web")["panic"], proxy.metric(panic)) == (False, 0)
        events = [event for event in proxy.admin("/events")["events"] if event["kind"] in ("panic", "calm")]
    for event in events:
        print(f"\n{event['kind']}: {event['reason']}", end="")
    assert [event["kind"] for event in events] == ["panic", "calm"]


def test_a_new_instance_that_must_pass_first(instances: Instances, tmp_path: Path) -> None:
    feel(instances, "/unwell", NAMES[1])
    with Pointsman(tmp_path, {"web": service(instances, "50%", initial="fail")}) as proxy:
        proxy.until_in_traffic("web", NAMES[0], NAMES[2])
        assert asked(proxy) == {NAMES[0], NAMES[2]}
        waiting = proxy.endpoints("web")[NAMES[1]]
        print(f"\n{waiting['state']}: {waiting['reason']}", end="")
        assert waiting["state"] == "waiting"
        assert "503" in waiting["reason"]
        feel(instances, "/well", NAMES[1])
        proxy.until_in_traffic("web", *NAMES)
        assert asked(proxy) == set(NAMES)
