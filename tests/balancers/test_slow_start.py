"""An endpoint that has just come counts with a part of its weight."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.slow_start import SlowStart
from balancers.weighted_random import WeightedRandom
from balancers.weighted_round_robin import WeightedRoundRobin
from tests.balancers.making import instance, snapshot


@pytest.mark.parametrize(
    ("age", "aggression", "factor"),
    [(0, 1, 0.1), (3, 1, 0.1), (15, 1, 0.5), (30, 1, 1), (99, 1, 1), (15, 2, 0.5**0.5), (15, 0.5, 0.25), (-1, 1, 0.1)],
)
def test_the_formula(age: float, aggression: float, factor: float) -> None:
    assert SlowStart(30.0, aggression, 0.1).factor(age) == pytest.approx(factor)


def test_a_weight_never_falls_to_nothing() -> None:
    assert SlowStart(30.0, 1.0, 0.0).factor(0.0) > 0


def pool_of(*names: str, **thresholds: Any) -> Pool:
    options = Thresholds(rise=1, fall=1, **thresholds)
    pool = Pool(WeightedRoundRobin, random.Random(1), slow_start=SlowStart(30.0), thresholds=options)
    pool.update(snapshot(*map(instance, names)), 0.0)
    return pool


def weights(pool: Pool) -> dict[str, float]:
    return {one.instance.id: one.weight for one in pool.endpoints}


def share(pool: Pool, name: str) -> float:
    picked = [pool.pick() for _ in range(1000)]
    return sum(one is not None and one.instance.id == name for one in picked) / 1000


def test_the_first_set_is_not_slowed_down() -> None:
    assert weights(pool_of("a", "b")) == {"a": 1, "b": 1}


def test_one_that_joins_gets_its_share_little_by_little() -> None:
    pool = pool_of("a", "b")
    pool.update(snapshot(instance("a"), instance("b"), instance("new")), 100.0)
    assert weights(pool) == {"a": 1, "b": 1, "new": 0.1}
    assert share(pool, "new") == pytest.approx(0.1 / 2.1, abs=0.01)
    pool.settle(115.0)
    assert share(pool, "new") == pytest.approx(0.5 / 2.5, abs=0.01)
    pool.settle(130.0)
    assert weights(pool) == {"a": 1, "b": 1, "new": 1}
    assert share(pool, "new") == pytest.approx(1 / 3, abs=0.01)


def test_a_set_that_is_all_new_is_not_slowed_down() -> None:
    pool = pool_of("a", "b")
    pool.update(snapshot(instance("c"), instance("d")), 100.0)
    assert weights(pool) == {"c": 1, "d": 1}


def test_one_that_is_readmitted_begins_anew() -> None:
    pool = pool_of("a", "b")
    one = next(iter(pool.endpoints))
    pool.probed(one, False, "HTTP 500", 50.0)
    pool.probed(one, True, "HTTP 200", 60.0)
    assert weights(pool) == {"a": 0.1, "b": 1}
    pool.settle(75.0)
    assert weights(pool) == {"a": 0.5, "b": 1}


def test_one_that_waits_for_its_first_probe_begins_when_that_passed() -> None:
    pool = pool_of("a", must_pass_first=True)
    for one in pool.endpoints:
        pool.probed(one, True, "HTTP 200", 0.0)
    pool.settle(40.0)
    pool.update(snapshot(instance("a"), instance("new")), 50.0)
    pool.settle(90.0)
    new = next(one for one in pool.endpoints if one.instance.id == "new")
    pool.probed(new, True, "HTTP 200", 100.0)
    assert new.weight == 0.1
    pool.settle(115.0)
    assert new.weight == 0.5


def test_a_weight_that_changes_meanwhile_is_taken_over() -> None:
    pool = pool_of("a")
    pool.update(snapshot(instance("a"), instance("new", weight=10)), 100.0)
    pool.settle(115.0)
    assert weights(pool)["new"] == 5
    pool.update(snapshot(instance("a"), instance("new", weight=4)), 115.0)
    assert weights(pool)["new"] == 2
    pool.update(snapshot(instance("a")), 116.0)
    pool.settle(200.0)
    assert weights(pool) == {"a": 1}


def test_the_policy_is_not_built_anew_for_nothing() -> None:
    built = 0

    def counted(*world: Any) -> WeightedRandom:
        nonlocal built
        built += 1
        return WeightedRandom(*world)

    pool = Pool(counted, random.Random(1), slow_start=SlowStart(100.0))
    pool.update(snapshot(instance("a")), 0.0)
    pool.update(snapshot(instance("a"), dataclasses.replace(instance("b"))), 0.0)
    pool.settle(0.0)
    before = built
    for tick in range(400):
        pool.settle(tick / 4)
    assert 20 <= built - before <= 60
