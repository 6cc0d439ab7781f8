"""Routes from tags, under load: all instances are replaced while the routing table changes, and no request fails."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent

NAMES = ("tagged-1", "tagged-2", "tagged-3")
SERVICE = "tagged"
OURS = f"{SERVICE}@consul"
FILTER = 'Service.Meta.of == "catalog-under-load"'


def test_all_instances_are_replaced_while_the_table_changes(consul: ConsulAgent, tmp_path: Path) -> None:
    def put(instances: Instances, name: str, tag: str, other: str = "") -> None:
        as_other = {"Name": other, "ID": other} if other else {}
        registration = {**instances.registration(SERVICE, name), **as_other}
        consul.register({**registration, "Tags": [tag], "Meta": {"of": "catalog-under-load"}})

    with ExitStack() as stack:
        instances = {name: stack.enter_context(Instances(tmp_path, name)) for name in NAMES}
        for name, one in instances.items():
            put(one, name, "urlprefix-/")
            stack.callback(consul.deregister, name)
        proxy = stack.enter_context(
            Pointsman(
                tmp_path,
                {"other": {"discovery": {"static": []}}},
                routes=[{"host": "other.example", "service": "other"}],
                catalogs=[{"consul": {"address": consul.address, "filter": FILTER}}],
            )
        )
        until(lambda: [route for route in proxy.admin("/routes")["routes"] if route["service"] == OURS], "the route")
        proxy.until_in_traffic(OURS, *NAMES)
        load = stack.enter_context(Load(tmp_path, proxy.url))
        for number, (name, one) in enumerate(instances.items()):
            consul.deregister(name)
            until(lambda: name not in proxy.endpoints(OURS), f"{name} has left")  # noqa: B023
            # Meanwhile other services come and go, and with each the table is a new one.
            others = [f"other-{number}-{place}" for place in range(5)]
            for other in others:
                put(one, name, f"urlprefix-{other}.example/", other)
            until(lambda: len(proxy.admin("/routes")["routes"]) == 7, "five more routes")
            one.signal(signal.SIGTERM)
            assert one.wait(15.0) == 0, one.output()
            one.start()
            for other in others:
                consul.deregister(other)
            put(one, name, "urlprefix-/")
            proxy.until_in_traffic(OURS, *NAMES)
            until(lambda: len(proxy.admin("/routes")["routes"]) == 2, "their end")
        result = load.finish()
    assert not result.failed
