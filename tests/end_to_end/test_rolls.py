"""All instances are replaced under load, as a deployment does it in each registry: no request fails."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.discovery.contract.world import Can
from tests.discovery.contract.worlds import worlds
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.discovery.contract.world import World

OLD = ("old-1", "old-2", "old-3")
NEW = ("new-1", "new-2", "new-3")
BODY = 2000  # bytes of each POST


def in_traffic(proxy: Pointsman) -> set[str]:
    """The addresses that are picked from; registries know the instances by different names."""
    return {endpoint["address"] for endpoint in proxy.service("web")["endpoints"] if endpoint["takes_traffic"]}


@worlds()
def test_no_request_fails_while_all_instances_are_replaced(world: World, tmp_path: Path) -> None:
    with Instances(tmp_path, *OLD) as old, Instances(tmp_path, *NEW) as new:
        where = {name: f"127.0.0.1:{port}" for name, port in {**old.ports, **new.ports}.items()}
        running = set(OLD)

        def until_in_traffic() -> None:
            expected = {where[name] for name in running}
            until(lambda: in_traffic(proxy) == expected, f"{', '.join(sorted(running))} in traffic")

        for name in OLD:
            world.put(name, "127.0.0.1", old.ports[name])
        web = {"discovery": world.discovery(), "balancer": "round_robin"}
        with Pointsman(tmp_path, {"web": web}) as proxy:
            until_in_traffic()
            with (
                Load(tmp_path, proxy.url, clients=8) as reading,
                Load(
                    tmp_path, f"{proxy.url}/slow?seconds=0.02", clients=8, method="POST", body=BODY, name="writing"
                ) as writing,
            ):
                for leaves, joins in zip(OLD, NEW, strict=True):
                    world.put(joins, "127.0.0.1", new.ports[joins])
                    running.add(joins)
                    until_in_traffic()
                    running.remove(leaves)
                    if Can.DRAIN in world.can:
                        world.put(leaves, "127.0.0.1", old.ports[leaves], draining=True)
                        until_in_traffic()
                    world.remove(leaves)
                    until_in_traffic()
                old.signal(signal.SIGTERM)
                assert old.wait(10) == 0
                results = [reading.finish(), writing.finish()]
    for result in results:
        assert not result.failed
        assert set(result.by_instance(0, float("inf"))) == {*OLD, *NEW}
