"""What it costs to find a request's route, by the number of routes: `python -m bench.routes`.

No sockets: the router alone. A third of the routes has a host, a third a host and a path, a third a path alone; the
last route takes everything. Requests ask for the first route, one in the middle, one near the end, and for none of
them. The figures are CPU time, the median of several rounds.
"""

from __future__ import annotations

import dataclasses
import statistics
import time

from proxy.http.forwarding import Forwarding, Origin
from proxy.routes import Route, Router

COUNTS = (1, 10, 100, 1000, 10_000)
FINDS = 5_000
ROUNDS = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A request as routes see it."""

    authority: bytes
    target: bytes
    method: bytes = b"GET"
    client: str = ""
    forwarded: list[tuple[bytes, bytes]] | None = None
    origin: Origin = Origin(Forwarding(), "")  # noqa: RUF009

    def values(self, name: bytes, /) -> list[bytes]:
        return []


def table(count: int, *, odd: bool = False) -> tuple[Router[int], list[Asked]]:
    """Make a router of so many routes, and the requests that are looked up in it, which it has seen once."""
    routes = [_route(number) for number in range(count - 1)]
    router = Router([*routes, Route(count)])
    end = "%2e" if odd else ""
    asked = [Asked(f"host-{n}.test".encode(), f"/app-{n}/x{end}".encode()) for n in (0, count // 2, count - 3, -1)]
    for request in asked:
        router.find(request)
    return router, asked


def measure(count: int, *, odd: bool = False) -> float:
    """Return the microseconds of one look with so many routes; `odd` for paths that have to be interpreted first."""
    router, asked = table(count, odd=odd)
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(FINDS // len(asked)):
            for request in asked:
                router.find(request)
        taken.append((time.process_time() - begin) / FINDS)
    return statistics.median(taken) * 1e6


def _route(number: int) -> Route[int]:
    host, path = f"host-{number}.test".encode(), f"/app-{number}".encode()
    return Route(number, host if number % 3 < 2 else b"", path if number % 3 else b"")


def main() -> None:
    """Print the table."""
    print(f"{'routes':>8}{'a look':>12}{'with %':>12}")
    for count in COUNTS:
        print(f"{count:>8}{measure(count):>9.2f} µs{measure(count, odd=True):>9.2f} µs", flush=True)


if __name__ == "__main__":
    main()
