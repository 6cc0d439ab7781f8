"""Instances are replaced, killed, frozen and made to misbehave under load: no request fails that need not.

A request may fail only if it was in flight on the instance that failed and is not idempotent, or if the client has seen
the beginning of its response; the latter must break off visibly. A table at the end shows what was measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.servers.faults import SERVICE, Fault, Scene, after_ms, count_methods
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.faults import Outcome

NAMES = ("one", "two", "three")
VICTIM = NAMES[1]
PROBE = {"http": "/healthz", "interval": "300ms", "timeout": "500ms", "fall": 2, "rise": 2}
CLIENTS = 12  # reading, and as many writing
ROUNDS = 4  # in which every instance is replaced
CALM = 1.5  # seconds of traffic before and after
DYING = 0.1  # seconds that the kernel may take to close a killed process's connections
DOWNLOAD = 50_000  # bytes
BAD_STREAK = 5  # failures of requests in a row that eject an instance
AWAY = {"passive": {"base_ejection_time": "60s"}}  # who was ejected for what requests found stays away

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@dataclass
class Table:
    rows: list[str] = field(default_factory=list)

    def add(self, scenario: str, outcome: Outcome, retries: float, said: str) -> None:
        broken = [failure for failure in outcome.failures if failure.seen.broken or not failure.seen.status]
        failed = count_methods(failure for failure in outcome.failures if failure not in broken)
        numbers = f"{outcome.results['GET'].sent:>6} {outcome.results['POST'].sent:>6}"
        numbers += (
            f" {failed['GET']:>6} {failed['POST']:>6} {len(broken):>6} {retries:>7.0f} {outcome.p99 * 1000:>7.1f}"
        )
        self.rows.append(f"{scenario:<28} {numbers}   {said}")
        self.rows += [f"{'':<28}   {count} x {why}" for why, count in sorted(outcome.why().items())]

    def show(self) -> None:
        print(f"\n{'':<28} {'sent':^13} {'failed':^13}")
        print(f"{'':<28} {'GET':>6} {'POST':>6} {'GET':>6} {'POST':>6} {'broken':>6} {'retries':>7} {'p99 ms':>7}")
        print("\n".join(self.rows))


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    table = Table()
    yield table
    table.show()


def retries(scene: Scene) -> float:
    return scene.proxy.metric(f'pointsman_retries_total{{service="{SERVICE}"}}')


def test_all_instances_are_replaced(tmp_path: Path, table: Table) -> None:
    with Scene(tmp_path, *NAMES, health={"probe": PROBE}) as scene:
        time.sleep(CALM)
        began = time.monotonic()
        for _ in range(ROUNDS):
            for name in NAMES:
                scene.fleet.roll(name, scene.proxy, SERVICE)
        took = time.monotonic() - began
        scene.until_asked(VICTIM)
        retried = retries(scene)
        outcome = scene.finish()
    table.add("roll all instances", outcome, retried, f"{ROUNDS} x {len(NAMES)} replaced in {took:.1f} s")
    assert not outcome.failures
    assert set(outcome.results["POST"].by_instance(0, began)) == set(NAMES)


def test_an_instance_is_killed(tmp_path: Path, table: Table) -> None:
    with Scene(tmp_path, *NAMES, health={"probe": PROBE}, slow=0.1) as scene:
        time.sleep(CALM)
        until(lambda: scene.in_flight(VICTIM) > CLIENTS // len(NAMES) + 1, "it has GETs and POSTs in flight")
        killed, killed_at = time.monotonic(), time.time()
        scene.fleet.kill(VICTIM)
        dead = time.monotonic()
        ejected = scene.ejection(VICTIM)
        time.sleep(CALM)
        scene.fleet.start(VICTIM)
        scene.readmission(VICTIM, ejected["number"])
        scene.until_asked(VICTIM)
        retried = retries(scene)
        outcome = scene.finish()
    table.add("kill one (SIGKILL)", outcome, retried, f"ejected after {after_ms(ejected, killed_at):.0f} ms")
    assert not outcome.unexcused(Fault("kill", VICTIM, killed, dead + DYING))
    # Round robin has a third of those that write in flight on each instance, give or take a few.
    assert count_methods(outcome.failures)["POST"] <= CLIENTS


def test_an_instance_is_frozen(tmp_path: Path, table: Table) -> None:
    more = {"attempts": 2, "on": ["reset", "timeout", "5xx"], "per_try_timeout": "500ms"}
    with Scene(tmp_path, *NAMES, health={"probe": PROBE}, retries=more) as scene:
        time.sleep(CALM)
        frozen, frozen_at = time.monotonic(), time.time()
        scene.fleet.freeze(VICTIM)
        ejected = scene.ejection(VICTIM)
        out = time.monotonic()
        time.sleep(CALM)
        scene.fleet.thaw(VICTIM)
        scene.readmission(VICTIM, ejected["number"])
        scene.until_asked(VICTIM)
        retried = retries(scene)
        outcome = scene.finish()
    table.add("freeze one (SIGSTOP)", outcome, retried, f"ejected after {after_ms(ejected, frozen_at):.0f} ms")
    assert not outcome.unexcused(Fault("freeze", VICTIM, frozen, out))
    # Each client that writes meets it once at most in each half second until it is ejected.
    assert count_methods(outcome.failures)["POST"] <= CLIENTS * ((out - frozen) // 0.5 + 1)


def test_an_instance_answers_500(tmp_path: Path, table: Table) -> None:
    with Scene(tmp_path, *NAMES, health=AWAY, retries={"attempts": 2, "on": ["5xx"]}) as scene:
        time.sleep(CALM)
        told, told_at = time.monotonic(), time.time()
        scene.fleet.behave(VICTIM, "500")
        ejected = scene.ejection(VICTIM)
        out = time.monotonic()
        time.sleep(CALM)
        retried = retries(scene)
        outcome = scene.finish()
    table.add("one answers 500", outcome, retried, f"ejected after {after_ms(ejected, told_at):.0f} ms")
    assert not outcome.unexcused(Fault("500", VICTIM, told, out))
    assert count_methods(outcome.failures)["POST"] <= BAD_STREAK + CLIENTS


def test_an_instance_resets_in_mid_body(tmp_path: Path, table: Table) -> None:
    with Scene(tmp_path, *NAMES, download=DOWNLOAD, health=AWAY) as scene:
        time.sleep(CALM)
        told, told_at = time.monotonic(), time.time()
        scene.fleet.behave(VICTIM, "reset")
        ejected = scene.ejection(VICTIM)
        out = time.monotonic()
        time.sleep(CALM)
        retried = retries(scene)
        outcome = scene.finish()
    table.add("one resets in mid-body", outcome, retried, f"ejected after {after_ms(ejected, told_at):.0f} ms")
    # Every download that ended was compared with what was asked for: none was half of one.
    assert not outcome.unexcused(Fault("reset", VICTIM, told, out))
    assert any(failure.method == "GET" and failure.seen.broken for failure in outcome.failures)
    assert len(outcome.failures) <= BAD_STREAK + 2 * CLIENTS
