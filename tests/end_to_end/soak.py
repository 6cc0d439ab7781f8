"""A long mixture of all faults under load, with memory and descriptors watched: `make soak`, or with SOAK_SECONDS=60.

One fault after the other, at random, is done to an instance chosen at random, which is well again before the next one
comes. At the end stands what was done and what became of each request. The exit status is 1 when one failed that must
not, when memory grew without end, or when something is left behind.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.servers.crowd import Crowd
from tests.servers.faults import SERVICE, Fault, Scene
from tests.servers.load import Load
from tests.servers.program import until
from tests.servers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.faults import Outcome
    from tests.servers.pointsman import Pointsman

NAMES = ("soak-1", "soak-2", "soak-3", "soak-4", "soak-5")
HEALTH = {
    "probe": {"http": "/healthz", "interval": "500ms", "timeout": "1s", "fall": 2, "rise": 2},
    "passive": {"base_ejection_time": "2s"},
}
RETRIES = {"attempts": 2, "on": ["reset", "timeout", "5xx"], "per_try_timeout": "1s"}
TIMEOUTS = {"stream_idle": "5s", "request_head": "3s"}
DOWNLOAD = 50_000  # bytes
LASTS = 2.0  # seconds of traffic while an instance is in trouble
SETTLE = 1.0  # seconds of traffic between two faults
DYING = 0.1  # seconds that the kernel may take to close a killed process's connections
LATE = 2.0  # seconds for which a request may still be under way on an instance that is well again
MIB = 2**20
MAY_GROW = 4 * MIB  # from the middle third of the time to the last one, by the medians
QUESTION = 2  # descriptors that our own question to the admin API takes
WARM = 10.0  # seconds before which memory means nothing


class Watch(Watching):
    """Looks once a second at memory and descriptors, and tells of them now and then."""

    def __init__(self, proxy: Pointsman) -> None:
        super().__init__(1.0)
        self._proxy = proxy
        self.began = time.monotonic()
        self.memory: list[tuple[float, int]] = []
        self.descriptors: list[int] = []

    def growth(self) -> float:
        """Bytes from the middle third to the last one."""
        looks = [memory for moment, memory in self.memory if moment > self.began + WARM]
        third = len(looks) // 3
        return statistics.median(looks[-third:]) - statistics.median(looks[third : 2 * third]) if third else 0.0

    def say(self, what: str) -> None:
        elapsed = time.monotonic() - self.began
        memory = self.memory[-1][1] if self.memory else 0
        descriptors = self.descriptors[-1] if self.descriptors else 0
        print(f"{elapsed:>6.0f} s  {memory / MIB:>6.1f} MiB  {descriptors:>5} descriptors  {what}", flush=True)

    def look(self) -> bool:
        try:
            self.memory.append((time.monotonic(), self._proxy.memory()))
            self.descriptors.append(self._proxy.descriptors())
        except OSError:
            return False  # it is gone, which the others notice
        return True


class Soak:
    """What is done to the instances. Each act returns the fault that requests may fail of meanwhile, if any may."""

    def __init__(self, scene: Scene, folder: Path, chance: random.Random) -> None:
        self._scene = scene
        self._folder = folder
        self._chance = chance
        self._number = 0
        self.acts: dict[str, Callable[[str], Fault | None]] = {
            "roll": self.roll,
            "kill": self.kill,
            "freeze": self.freeze,
            "500": lambda victim: self.misbehave(victim, "500"),
            "reset": lambda victim: self.misbehave(victim, "reset"),
            "idle crowd": lambda victim: self.crowd("idle", 1000),
            "slow crowd": lambda victim: self.crowd("slow", 200),
            "clients vanish": lambda victim: self.vanish(),
        }

    def act(self, what: str) -> Fault | None:
        """Do it, and wait until all are well."""
        fault = self.acts[what](self._chance.choice(NAMES))
        proxy = self._scene.proxy
        until(lambda: proxy.in_traffic(SERVICE) == set(NAMES), f"all are in traffic after {what}", 30)
        time.sleep(SETTLE)
        return fault

    def roll(self, victim: str) -> None:
        self._scene.fleet.roll(victim, self._scene.proxy, SERVICE)

    def kill(self, victim: str) -> Fault:
        began = time.monotonic()
        self._scene.fleet.kill(victim)
        dead = time.monotonic()
        time.sleep(LASTS)
        self._scene.fleet.start(victim)
        return Fault("kill", victim, began, dead + DYING)

    def freeze(self, victim: str) -> Fault:
        began = time.monotonic()
        self._scene.fleet.freeze(victim)
        time.sleep(LASTS)
        self._scene.fleet.thaw(victim)
        return Fault("freeze", victim, began, time.monotonic() + LATE)

    def misbehave(self, victim: str, how: Literal["500", "reset"]) -> Fault:
        began = time.monotonic()
        self._scene.fleet.behave(victim, how)
        time.sleep(LASTS)
        self._scene.fleet.behave(victim, "well")
        return Fault(how, victim, began, time.monotonic() + LATE)

    def crowd(self, kind: Literal["idle", "slow"], count: int) -> None:
        with Crowd(self._own_folder(), self._scene.proxy.port, count, kind, every=0.5) as crowd:
            if kind == "slow":
                crowd.until_gone()
            members = crowd.finish()
        expected = [408] if kind == "slow" else [200]
        assert [list(member.answers) for member in members] == [expected] * count

    def vanish(self) -> None:
        """Have clients end in the middle of their requests."""
        with Load(
            self._own_folder(), f"{self._scene.proxy.url}/slow?seconds=0.2", clients=50, method="POST", body=100_000
        ) as load:
            time.sleep(LASTS)
            load.kill()

    def _own_folder(self) -> Path:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        return folder


def show(done: Counter[str], outcome: Outcome, faults: list[Fault], watch: Watch) -> None:
    print(f"\n{'done':<16} {'times':>6}  requests that it may answer for")
    for what, times in sorted(done.items()):
        of_this = [fault for fault in faults if fault.kind == what]
        failures = [failure for failure in outcome.failures if any(fault.excuses(failure) for fault in of_this)]
        reasons = Counter(f"{failure.method} {failure.why}" for failure in failures)
        for number, (why, count) in enumerate(sorted(reasons.items()) or [("none", 0)]):
            print(f"{'' if number else what:<16} {'' if number else times:>6}  {f'{count} x ' if count else ''}{why}")
    sent = " and ".join(f"{result.sent} {method}s" for method, result in outcome.results.items())
    print(f"{sent}, {len(outcome.failures)} failed; p99 of the others {outcome.p99 * 1000:.1f} ms")
    memory = [memory / MIB for _, memory in watch.memory]
    print(f"memory: {memory[0]:.1f} MiB at first, {max(memory):.1f} at the most, {memory[-1]:.1f} at last; ", end="")
    print(f"{watch.growth() / MIB:+.2f} MiB from the middle third to the last one")
    print(f"descriptors: {watch.descriptors[0]} at first, {max(watch.descriptors)} at the most", flush=True)


def left_behind(scene: Scene) -> list[str]:
    """Say what should be gone now that no client is there any more, and is not."""
    proxy, found, idle = scene.proxy, [], 0
    service = proxy.service(SERVICE)
    if service["in_flight"]:
        found.append(f"{service['in_flight']} requests in flight")
    for endpoint in service["endpoints"]:
        connections = endpoint["connections"]
        idle += connections["idle"]
        if endpoint["in_flight"] or connections["open"] != connections["idle"]:
            found.append(f"{endpoint['id']}: {endpoint['in_flight']} in flight, connections: {connections}")
    descriptors = proxy.descriptors()
    if descriptors > scene.descriptors + idle + QUESTION:
        found.append(f"{descriptors} descriptors, {scene.descriptors} at first, {idle} idle connections to instances")
    if "Traceback" in proxy.log.read_text():
        found.append("a traceback in the log")
    return found


def main() -> int:
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    seed = int(os.environ.get("SOAK_SEED", random.randrange(10_000)))
    print(f"{seconds:g} s, with SOAK_SEED={seed}", flush=True)
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    faults: list[Fault] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        scene = stack.enter_context(
            Scene(folder, *NAMES, health=HEALTH, clients=10, download=DOWNLOAD, retries=RETRIES, timeouts=TIMEOUTS)
        )
        with Watch(scene.proxy) as watch:
            soak = Soak(scene, folder, chance)
            left: list[str] = []
            while time.monotonic() < watch.began + seconds:
                left = left or chance.sample(list(soak.acts), len(soak.acts))  # each of them once, and then again
                what = left.pop()
                fault = soak.act(what)
                if fault is not None:
                    faults.append(fault)
                done[what] += 1
                watch.say(f"{what} of {fault.victim}" if fault else what)
            outcome = scene.finish()
        until(lambda: not scene.proxy.clients(), "all clients have left")
        wrong = [str(failure) for failure in outcome.unexcused(*faults)] + left_behind(scene)
    show(done, outcome, faults, watch)
    if watch.growth() > MAY_GROW:
        wrong.append("memory has grown")
    for what in wrong:
        print(f"WRONG: {what}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
