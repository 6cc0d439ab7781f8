"""A thousand services with ten thousand instances, all of them replaced within a second: no wrong endpoint is left."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.servers.etcd import MOST_OPERATIONS
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.etcd import EtcdServer

SERVICES = 1000  # s-0 and so on; the first one is asked, and its instances are there
EACH = 10  # instances of a service
GENERATIONS = 3
ROOT = "/thousands/"
MIB = 2**20

Registered = dict[str, str]  # the instances' addresses by their keys


def generation(number: int, real: Instances) -> Registered:
    """Make up the instances of all services, and none that was there before, but for those of the first service."""
    made = {
        f"{ROOT}s-{service}/{number}-{one}": f"10.{number}.{service // 250}.{service % 250}:{8000 + one}"
        for service in range(1, SERVICES)
        for one in range(EACH)
    }
    return {f"{ROOT}s-0/{name}": f"127.0.0.1:{port}" for name, port in real.ports.items()} | made


def replace(etcd: EtcdServer, old: Registered, new: Registered) -> float:
    """Take the old ones out and put the new ones in, those of a service at one moment; return the seconds it took.

    Both have the services in the same order, and as many instances of each.
    """
    half = MOST_OPERATIONS // 2
    puts, gone = list(new.items()), [key if key not in new else "" for key in old]
    began = time.monotonic()
    for start in range(0, len(puts), half):
        etcd.transaction(puts[start : start + half], filter(None, gone[start : start + half]))
    return time.monotonic() - began


def in_force(proxy: Pointsman) -> set[tuple[str, str]]:
    """All services' endpoints that are in traffic."""
    return {
        (service["name"], endpoint["address"])
        for service in proxy.admin("/services")["services"]
        for endpoint in service["endpoints"]
    }


def expected(registered: Registered) -> set[tuple[str, str]]:
    return {(key.split("/")[2], address) for key, address in registered.items()}


@pytest.mark.slow
def test_all_instances_are_replaced_at_once(own_etcd: EtcdServer, tmp_path: Path) -> None:
    services = {
        f"s-{number}": {"discovery": {"etcd": {"prefix": f"{ROOT}s-{number}/", "endpoints": [own_etcd.address]}}}
        for number in range(SERVICES)
    }
    with (
        Instances(tmp_path, *(f"old-{one}" for one in range(EACH))) as old,
        Instances(tmp_path, *(f"new-{one}" for one in range(EACH))) as new,
    ):
        generations = [generation(number, new if number else old) for number in range(GENERATIONS)]
        replace(own_etcd, {}, generations[0])
        began = time.monotonic()
        with Pointsman(tmp_path, services) as proxy:
            ready = time.monotonic() - began
            assert in_force(proxy) == expected(generations[0])
            memory = proxy.memory()
            with Load(tmp_path, proxy.url, clients=4) as load:
                took = [replace(own_etcd, before, after) for before, after in pairwise(generations)]
                done = time.monotonic()
                last = expected(generations[-1])
                until(lambda: in_force(proxy) == last, "the last ones, and no others, are in force")
                seen = time.monotonic() - done
                result = load.finish()
            assert in_force(proxy) == last
            print(f"\n{SERVICES} services with {len(generations[0])} instances, in force {ready:.1f} s after the start")
            print(f"all replaced {len(took)} times, in {', '.join(f'{one:.2f} s' for one in took)}; ", end="")
            print(f"{seen:.2f} s later the admin API shows it, which takes a while to tell")
            print(f"memory: {memory / MIB:.0f} MiB, {proxy.memory() / MIB:.0f} MiB afterwards")
    assert not result.failed
    assert set(result.by_instance(done + seen, float("inf"))) <= set(new.ports)
