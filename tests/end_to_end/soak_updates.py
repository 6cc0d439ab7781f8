"""A hundred thousand updates of services in a registry, with memory watched: part of `make soak`, or SOAK_UPDATES=5000.

Instances come, go, move and change their weight, one after the other, in services chosen at random, while another
service is asked. The exit status is 1 when what is in force in the end is not what is registered, when memory grew
from the middle third of the time to the last one, or when a request failed.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.end_to_end.soak import MAY_GROW, MIB, Watch
from tests.servers.etcd import EtcdServer
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = 100
EACH = 10  # instances of a service, at most
AT_ONCE = 20  # updates of a transaction, all of different services
RATE = 1000.0  # updates a second, if the machine keeps up
TOLD = 10.0  # seconds from one line of output to the next
ROOT = "/soak/"


class Updates:
    """Makes up one update after the other; `truth` is what they add up to: address and weight by key."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.truth: dict[str, tuple[str, int]] = {}

    def some(self) -> Iterator[tuple[str, str]]:
        """Make up an update of each of several services: a key, and its value, which is empty when it goes."""
        for service in self._chance.sample(range(SERVICES), AT_ONCE):
            key = f"{ROOT}s-{service}/{self._chance.randrange(EACH)}"
            if key in self.truth and self._chance.random() < 0.3:
                del self.truth[key]
                yield key, ""
            else:
                address = f"10.0.{service}.{self._chance.randrange(256)}:{self._chance.randrange(1, 65536)}"
                weight = self._chance.randrange(1, 10)
                self.truth[key] = address, weight
                yield key, f'{{"address": "{address}", "weight": {weight}}}'


def in_force(proxy: Pointsman) -> dict[str, tuple[str, int]]:
    return {
        f"{ROOT}{service['name']}/{endpoint['id']}": (endpoint["address"], endpoint["weight"])
        for service in proxy.admin("/services")["services"]
        for endpoint in service["endpoints"]
        if service["name"] != "asked"
    }


def publish(etcd: EtcdServer, updates: Updates, count: int, watch: Watch) -> None:
    """Write so many updates, no faster than RATE."""
    next_line = watch.began
    for number in range(0, count, AT_ONCE):
        some = list(updates.some())
        etcd.transaction([(key, value) for key, value in some if value], [key for key, value in some if not value])
        time.sleep(max(0.0, watch.began + number / RATE - time.monotonic()))
        if time.monotonic() > next_line:
            next_line += TOLD
            watch.say(f"{number} updates")


def main() -> int:
    count = int(os.environ.get("SOAK_UPDATES", "100000"))
    seed = int(os.environ.get("SOAK_SEED", random.randrange(10_000)))
    print(f"{count} updates, with SOAK_SEED={seed}", flush=True)
    updates = Updates(random.Random(seed))
    wrong: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        etcd = EtcdServer(folder)
        stack.callback(etcd.stop)
        etcd.start()
        asked = stack.enter_context(Instances(folder, "asked-1", "asked-2"))
        services: dict[str, object] = {"asked": {"discovery": {"static": asked.addresses()}}}
        for number in range(SERVICES):
            where = {"prefix": f"{ROOT}s-{number}/", "endpoints": [etcd.address]}
            services[f"s-{number}"] = {"discovery": {"etcd": where}}
        proxy = stack.enter_context(Pointsman(folder, services, log={"format": "text", "level": "warning"}))
        load = stack.enter_context(Load(folder, proxy.url, clients=4))
        with Watch(proxy) as watch:
            publish(etcd, updates, count, watch)
            until(lambda: in_force(proxy) == updates.truth, "what is registered is in force")
            watch.say(f"{count} updates, and what is registered is in force")
        result = load.finish()
        if result.failed:
            wrong.append(f"{len(result.failed)} requests failed, the first of them: {result.failed[0]}")
        if "Traceback" in proxy.log.read_text():
            wrong.append("a traceback in the log")
    print(f"{result.sent} requests, {len(result.failed)} failed")
    print(f"memory: {watch.growth() / MIB:+.2f} MiB from the middle third to the last one", flush=True)
    if watch.growth() > MAY_GROW:
        wrong.append("memory has grown")
    for what in wrong:
        print(f"WRONG: {what}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
