"""The registry dies and comes back with nothing: traffic goes on, and the admin API says what is the matter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent

NAMES = ("loss-1", "loss-2", "loss-3")
AWAY = 15.0  # seconds
EMPTY = 3.0  # seconds from the moment that the empty set is seen to the first instance that registers again


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_consul_comes_back_empty(own_consul: ConsulAgent, tmp_path: Path) -> None:
    with (
        Instances(tmp_path, *NAMES) as instances,
        Pointsman(tmp_path, {"web": in_consul(own_consul.address, "loss")}) as proxy,
    ):
        for name in NAMES:
            own_consul.register(instances.registration("loss", name))
        proxy.until_in_traffic("web", *NAMES)
        with Load(tmp_path, proxy.url) as load:
            killed = time.monotonic()
            own_consul.kill()
            until(lambda: proxy.service("web")["registry"]["error"], "the watch's error is shown")
            error = proxy.service("web")["registry"]["error"]
            while time.monotonic() < killed + AWAY:
                registry = proxy.service("web")["registry"]
                assert registry["error"]
                assert proxy.readyz().status == 200
                assert proxy.in_traffic("web") == set(NAMES)
                time.sleep(0.5)
            age = proxy.service("web")["registry"]["age_seconds"]
            own_consul.start()
            back = time.monotonic()
            seen = until(lambda: proxy.service("web")["registry"]["held_seconds"] is not None, "the empty set is held")
            while time.monotonic() < seen + EMPTY:
                registry = proxy.service("web")["registry"]
                assert registry["held_seconds"] is not None
                assert registry["error"] == ""
                assert proxy.metric('pointsman_discovery_held{registry="consul",service="web"}') == 1
                assert proxy.readyz().status == 200
                assert proxy.in_traffic("web") == set(NAMES)
                time.sleep(0.2)
            held = proxy.service("web")["registry"]["held_seconds"]
            own_consul.register(instances.registration("loss", NAMES[0]))
            until(lambda: proxy.service("web")["registry"]["held"]["instances"] == 1, "the first one is back")
            assert proxy.in_traffic("web") == set(NAMES)  # it does not get the requests of all
            for number in (2, 3):
                own_consul.register(instances.registration("loss", NAMES[number - 1]))
                proxy.until_in_traffic("web", *NAMES[:number])
            refilled = time.monotonic()
            registry = proxy.service("web")["registry"]
            time.sleep(1)  # of traffic after it all
            result = load.finish()
        kinds = [event["kind"] for event in proxy.admin("/events")["events"]]

    print(f"\nConsul away for {back - killed:.1f} s; the age of what we knew was then {age:.1f} s, the error:")
    print(f"  {error}")
    print(f"seen again {seen - back:.1f} s later, the empty set held for {held:.1f} s until the first came back")
    print(f"{result.sent} requests, {len(result.failed)} failed; by instance: {dict(result.by_instance(0, 1e12))}")
    assert not result.failed
    assert AWAY - 2 < age < AWAY + 5
    assert registry["held_seconds"] is None
    assert {"watch_failed", "watch_recovered", "empty_held", "shrink_held"} <= set(kinds)
    assert set(result.by_instance(refilled, refilled + 1)) == set(NAMES)
