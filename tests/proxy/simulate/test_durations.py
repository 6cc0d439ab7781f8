from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from proxy.simulate.durations import duration_of
from proxy.simulate.results import quantile
from proxy.simulate.world import ServiceTime


def drawn(written: Any) -> list[float]:
    times, source = duration_of(ServiceTime.model_validate(written)), random.Random(1)
    return sorted(times(source.random()) for _ in range(20_000))


def test_a_duration_alone_is_always_the_same() -> None:
    assert set(drawn("250ms")) == set(drawn({"constant": 0.25})) == {0.25}


def test_exponential() -> None:
    times = drawn({"exponential": "100ms"})
    assert statistics.fmean(times) == pytest.approx(0.1, rel=0.03)
    assert statistics.pstdev(times) == pytest.approx(0.1, rel=0.05)


def test_normal() -> None:
    times = drawn({"normal": {"mean": "167ms", "deviation": "5ms"}})
    assert statistics.fmean(times) == pytest.approx(0.167, rel=0.01)
    assert statistics.pstdev(times) == pytest.approx(0.005, rel=0.05)
    assert min(drawn({"normal": {"mean": "1ms", "deviation": "5ms"}})) == 0.0
    assert set(drawn({"normal": {"mean": "1ms", "deviation": 0}})) == {0.001}


def test_lognormal() -> None:
    times = drawn({"lognormal": {"median": "10ms", "p99": "200ms"}})
    assert quantile(times, 0.5) == pytest.approx(0.01, rel=0.05)
    assert quantile(times, 0.99) == pytest.approx(0.2, rel=0.1)


def test_bimodal() -> None:
    times = drawn({"bimodal": {"fast": "10ms", "slow": "1s", "slow_share": "5%"}})
    assert set(times) == {0.01, 1.0}
    assert times.count(1.0) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1 - 2**-53])
@pytest.mark.parametrize(
    "written",
    [
        {"exponential": "1s"},
        {"normal": {"mean": "1s", "deviation": "1s"}},
        {"lognormal": {"median": "1s", "p99": "2s"}},
        {"bimodal": {"fast": "1s", "slow": "2s", "slow_share": "100%"}},
    ],
)
def test_what_is_drawn_at_the_edge_is_a_time(written: Any, value: float) -> None:
    assert 0 <= duration_of(ServiceTime.model_validate(written))(value) < 100
