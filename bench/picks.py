"""What a pick and a change of one endpoint cost the loop, for each policy: `python -m bench.picks [COUNT]`.

No sockets: the pool and the policies alone, with COUNT endpoints (10,000). A change is one endpoint that joins, leaves
or changes its weight, from the snapshot until the next pick has gone by it. The figures are medians, in CPU time.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING

from balancers.policies import find, names
from balancers.pool import Pool
from discovery.instance import Instance, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNT = 10_000
PICKS = 5_000
CHANGES = 45


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A request as policies see it."""

    client: str
    method: bytes = b"GET"
    target: bytes = b"/"

    def header(self, name: bytes, /) -> bytes:
        return b""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of a pick; milliseconds of a change, in the median and at worst."""

    policy: str
    pick: float
    change: float
    worst: float


def filled(policy: str, count: int) -> tuple[Pool, list[Instance]]:
    """Make a pool with so many endpoints, of different weights."""
    instances = [Instance(f"web-{number}", address(number), 80, weight=number % 7 + 1) for number in range(count)]
    pool = Pool(find(policy, {}, time.monotonic), random.Random(1))
    pool.update(Snapshot("web", tuple(instances)), 0.0)
    return pool, instances


def measure(policy: str, count: int) -> Cost:
    """Measure one policy with so many endpoints."""
    pool, instances = filled(policy, count)
    pool.pick(Asked("10.9.0.1"))
    requests = [Asked(address(number)) for number in range(PICKS)]
    begin = time.process_time()
    for request in requests:
        pool.pick(request)
    pick = (time.process_time() - begin) / PICKS
    changes: list[float] = []
    for number in range(CHANGES):
        snapshot = Snapshot("web", tuple(_changed(instances, number)))
        begin = time.process_time()
        pool.update(snapshot, 1.0)
        pool.pick(requests[number])
        changes.append(time.process_time() - begin)
    return Cost(policy, pick * 1e6, statistics.median(changes) * 1e3, max(changes) * 1e3)


def _changed(instances: Sequence[Instance], number: int) -> list[Instance]:
    changed = list(instances)
    match number % 3:
        case 0:
            del changed[number % len(changed)]
        case 1:
            changed[-1] = dataclasses.replace(changed[-1], weight=9 + number)
        case 2:
            changed.append(Instance(f"new-{number}", "10.9.9.9", 1000 + number))
    return changed


def address(number: int) -> str:
    """Make an address of this number, below 2**24."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    print(f"{count} endpoints")
    print(f"{'policy':<22}{'a pick':>12}{'one change':>14}{'at worst':>12}")
    for policy in names():
        cost = measure(policy, count)
        print(f"{cost.policy:<22}{cost.pick:>9.2f} µs{cost.change:>11.2f} ms{cost.worst:>9.2f} ms", flush=True)


if __name__ == "__main__":
    main()
