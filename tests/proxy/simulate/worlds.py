"""Scenarios for tests, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.service import Balancer
from proxy.simulate.engine import Engine
from proxy.simulate.reading import parse

if TYPE_CHECKING:
    from proxy.simulate.world import Scenario

# Ten requests a second, one every 100 ms from 0.1 s on, each of which takes 50 ms.
EVEN = """\
duration: 10s
arrivals: {rate: 10, process: even}
endpoints:
  a: {service_time: 50ms}
  b: {service_time: 50ms}
"""


def scenario(text: str) -> Scenario:
    return parse(text, name="s.yaml", environ={})


def ran(text: str, policy: str = "round_robin", **options: object) -> Engine:
    """Run a scenario with one policy."""
    engine = Engine(scenario(text), Balancer(type=policy, options=options))
    engine.run()
    return engine


def failures(engine: Engine) -> dict[str, int]:
    """Count what requests failed of."""
    found: dict[str, int] = {}
    for kind in engine.recording.failed_of:
        found[kind] = found.get(kind, 0) + 1
    return found


def latencies(engine: Engine) -> dict[float, float]:
    """Return, by the time at which each request came, how long it took; in seconds, to the millisecond."""
    recording = engine.recording
    pairs = zip(recording.arrived, recording.latency, strict=True)
    return {round(arrived, 3): round(seconds, 3) for arrived, seconds in pairs}
