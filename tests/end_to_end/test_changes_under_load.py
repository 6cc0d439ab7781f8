"""Instances come, go, change weight and rest, under load: nobody notices but the shares."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent

SERVICE = "changes"
SETTLE = 0.3  # seconds between a change and the begin of its quiet window
WINDOW = 1.2  # seconds
FAREWELL = 1.0  # seconds that an instance lives on after it deregistered
TOLERANCE = 0.02  # of a share, absolute
ENOUGH = 300  # requests in a window; fewer measure nothing


class Scene:
    """The instances of the service, and the weights that they should get by what was last told to Consul."""

    def __init__(self, consul: ConsulAgent, folder: Path, stack: ExitStack) -> None:
        self._consul = consul
        self._folder = folder
        self._stack = stack
        self._running: dict[str, Instances] = {}
        self._leaving: list[tuple[float, Instances]] = []
        self._weights: dict[str, int] = {}
        self._resting: set[str] = set()

    def expected(self) -> dict[str, float]:
        """Each instance's share."""
        taking = {name: weight for name, weight in self._weights.items() if name not in self._resting}
        return {name: weight / sum(taking.values()) for name, weight in taking.items()}

    def join(self, name: str, weight: int) -> None:
        self._running[name] = self._stack.enter_context(Instances(self._folder, name))
        self.weigh(name, weight)

    def weigh(self, name: str, weight: int) -> None:
        self._consul.register(self._running[name].registration(SERVICE, name, weight))
        self._weights[name] = weight

    def rest(self, name: str) -> None:
        self._consul.maintenance(name, True, "resting")
        self._resting.add(name)

    def wake(self, name: str) -> None:
        self._consul.maintenance(name, False)
        self._resting.remove(name)

    def leave(self, name: str) -> None:
        self._consul.deregister(name)
        del self._weights[name]
        self._leaving.append((time.monotonic() + FAREWELL, self._running.pop(name)))

    def bury(self) -> None:
        """End the processes of those who left a while ago."""
        while self._leaving and self._leaving[0][0] < time.monotonic():
            self._leaving.pop(0)[1].stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_shares_follow_the_weights_and_no_request_fails(consul: ConsulAgent, tmp_path: Path) -> None:
    steps = [
        ("four joins with weight 2", lambda scene: scene.join("changes-4", 2)),
        ("one weighs 4", lambda scene: scene.weigh("changes-1", 4)),
        ("two rests", lambda scene: scene.rest("changes-2")),
        ("five joins with weight 7", lambda scene: scene.join("changes-5", 7)),
        ("two wakes", lambda scene: scene.wake("changes-2")),
        ("three leaves", lambda scene: scene.leave("changes-3")),
        ("four leaves, one weighs 1", lambda scene: (scene.leave("changes-4"), scene.weigh("changes-1", 1))),
        ("five rests", lambda scene: scene.rest("changes-5")),
        ("three joins with weight 3", lambda scene: scene.join("changes-3", 3)),
        ("five wakes, and leaves", lambda scene: (scene.wake("changes-5"), scene.leave("changes-5"))),
    ]
    windows: list[tuple[str, float, float, dict[str, float]]] = []
    with ExitStack() as stack:
        scene = Scene(consul, tmp_path, stack)
        for number in (1, 2, 3):
            scene.join(f"changes-{number}", number)
        proxy = stack.enter_context(
            Pointsman(tmp_path, {"web": in_consul(consul.address, SERVICE, balancer="weighted_round_robin")})
        )
        reading = stack.enter_context(Load(tmp_path, proxy.url, clients=16))
        writing = stack.enter_context(
            Load(tmp_path, proxy.url, clients=8, method="POST", body=2000, name="load-post")
        )  # fmt: skip

        def watch(what: str) -> None:
            time.sleep(SETTLE)
            since = time.monotonic()
            time.sleep(WINDOW)
            windows.append((what, since, time.monotonic(), scene.expected()))
            scene.bury()

        watch("one, two, three with these weights")
        for what, change in steps:
            change(scene)
            watch(what)
        proxy.until_in_traffic("web", *scene.expected())
        results = [reading.finish(), writing.finish()]

    print(f"\n{'change':<36} {'requests':>8}  shares, wanted and measured")
    worst = 0.0
    for what, since, end, expected in windows:
        counts = results[0].by_instance(since, end) + results[1].by_instance(since, end)
        total = counts.total()
        assert total >= ENOUGH
        shares = {name: counts[name] / total for name in {*expected, *counts}}
        worst = max([worst, *(abs(share - expected.get(name, 0.0)) for name, share in shares.items())])
        row = "  ".join(f"{name[-1]}: {expected.get(name, 0):.1%} {shares[name]:.1%}" for name in sorted(shares))
        print(f"{what:<36} {total:>8}  {row}")
    failed = [*results[0].failed, *results[1].failed]
    print(f"{sum(result.sent for result in results)} requests, {len(failed)} failed, worst share off by {worst:.2%}")
    assert not failed
    assert worst <= TOLERANCE
