"""The own zone first, and as much to the others as it cannot bear."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from balancers.zones import ZonePreference
from tests.balancers.making import instance, snapshot

if TYPE_CHECKING:
    from discovery.instance import Instance


def in_zone(zone: str, *names: str) -> list[Instance]:
    return [dataclasses.replace(instance(name), zone=zone) for name in names]


def pool_of(*instances: Instance, least: int = 6) -> Pool:
    compose = ZonePreference("eu-1", 1.4, least).compose
    pool = Pool(RoundRobin, random.Random(1), compose=compose, panic_threshold=0, thresholds=Thresholds(rise=1, fall=1))
    pool.update(snapshot(*instances), 0.0)
    return pool


def shares(pool: Pool, picks: int = 5000) -> dict[str, float]:
    counts = Counter(one.instance.zone for one in (pool.pick() for _ in range(picks)) if one is not None)
    return {zone: count / picks for zone, count in counts.items()}


def break_down(pool: Pool, *names: str) -> None:
    for one in pool.endpoints:
        if one.instance.id in names:
            pool.probed(one, False, "HTTP 500", 1.0)


NEAR = in_zone("eu-1", "a", "b", "c", "d", "e")
FAR = [*in_zone("eu-2", "f", "g"), *in_zone("us-1", "h")]


def test_a_healthy_zone_gets_everything() -> None:
    assert shares(pool_of(*NEAR, *FAR)) == {"eu-1": 1.0}


def test_some_that_are_out_change_nothing_yet() -> None:
    pool = pool_of(*NEAR, *FAR)
    break_down(pool, "a")  # 80 % times 1.4
    assert shares(pool) == {"eu-1": 1.0}


def test_what_the_zone_cannot_bear_goes_to_the_others_by_their_number() -> None:
    pool = pool_of(*NEAR, *FAR)
    break_down(pool, "a", "b", "c")  # 40 % times 1.4
    found = shares(pool)
    assert found["eu-1"] == pytest.approx(0.56, abs=0.02)
    assert found["eu-2"] == pytest.approx(0.44 * 2 / 3, abs=0.02)


def test_a_zone_without_anybody_healthy_is_no_preference() -> None:
    pool = pool_of(*NEAR, *FAR)
    break_down(pool, "a", "b", "c", "d", "e")
    assert shares(pool).keys() == {"eu-2", "us-1"}
    assert shares(pool_of(*FAR, *in_zone("eu-3", "x", "y", "z"))).keys() == {"eu-2", "us-1", "eu-3"}


def test_with_few_instances_zones_are_ignored() -> None:
    assert shares(pool_of(*NEAR[:1], *FAR)).keys() == {"eu-1", "eu-2", "us-1"}
    assert shares(pool_of(*NEAR[:1], *FAR, least=2)) == {"eu-1": 1.0}


def test_turns_survive_changes_of_the_spill() -> None:
    pool = pool_of(*NEAR, *FAR)
    counts: Counter[str] = Counter()
    names = ["a", "b", "c"]
    for turn in range(2000):
        for one in pool.endpoints:
            if one.instance.id in names:
                pool.probed(one, turn % 2 == 0, "probe", 1.0)
        picked = pool.pick()
        assert picked is not None
        counts[picked.instance.id] += 1
    assert min(counts["d"], counts["e"]) > 300
