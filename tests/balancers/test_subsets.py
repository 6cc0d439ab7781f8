"""A header chooses a part of the endpoints."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, Any

import pytest

from balancers.choice import plainly
from balancers.health import Thresholds
from balancers.maglev import Maglev
from balancers.pool import Pool
from balancers.random import Random
from balancers.round_robin import RoundRobin
from balancers.subsets import Subsets
from balancers.zones import ZonePreference
from tests.balancers.asking import Asked
from tests.balancers.making import instance, snapshot

if TYPE_CHECKING:
    from discovery.instance import Instance


def of_version(version: str, *names: str, **more: Any) -> list[Instance]:
    return [dataclasses.replace(instance(name), metadata={"version": version}, **more) for name in names]


INSTANCES = [*of_version("1", "a", "b"), *of_version("2", "c", "d"), instance("e")]


def pool_of(rule: Subsets, *instances: Instance, policy: Any = RoundRobin) -> Pool:
    thresholds = Thresholds(rise=1, fall=1)
    pool = Pool(policy, random.Random(1), compose=rule.over(plainly), panic_threshold=0, thresholds=thresholds)
    pool.update(snapshot(*(instances or INSTANCES)), 0.0)
    return pool


def asking(version: str) -> Asked:
    return Asked(headers={b"x-version": version.encode()} if version else {})


def picked(pool: Pool, version: str, **options: Any) -> set[str]:
    found = (pool.pick(asking(version), **options) for _ in range(60))
    return {one.instance.id for one in found if one is not None}


BY_VERSION = Subsets(b"x-version", "version")


@pytest.mark.parametrize(
    ("version", "names"), [("1", "ab"), ("2", "cd"), ("", "abcde"), ("3", "abcde")], ids=["1", "2", "none", "unknown"]
)
def test_by_metadata(version: str, names: str) -> None:
    assert picked(pool_of(BY_VERSION), version) == set(names)


def test_by_tag() -> None:
    tagged = [dataclasses.replace(one, tags=(one.metadata.get("version", ""), "x")) for one in INSTANCES]
    pool = pool_of(Subsets(b"x-version"), *tagged)
    assert picked(pool, "2") == set("cd")
    assert picked(pool, "x") == set("abcde")


def test_strictly_nobody_else_gets_it() -> None:
    pool = pool_of(dataclasses.replace(BY_VERSION, strict=True))
    assert picked(pool, "1") == set("ab")
    assert picked(pool, "3") == set()
    assert pool.why_none(asking("3")) == "none of its instances belongs to the subset that the request asks for"
    assert picked(pool, "") == set("abcde")


def test_one_that_was_tried_is_not_replaced_by_one_of_another_subset() -> None:
    pool = pool_of(BY_VERSION)
    one, two = (endpoint for endpoint in pool.endpoints if endpoint.instance.id in "ab")
    assert picked(pool, "1", tried={one}) == {two.instance.id}
    assert picked(pool, "1", tried={one, two}) == set()


def test_ejected_ones_are_left_out() -> None:
    pool = pool_of(BY_VERSION)
    for one in pool.endpoints:
        if one.instance.id in "abc":
            pool.probed(one, False, "HTTP 500", 1.0)
    assert picked(pool, "2") == {"d"}
    assert picked(pool, "1") == {"d", "e"}  # nobody of it is left


def test_the_turn_of_each_subset_survives_a_change() -> None:
    pool = pool_of(BY_VERSION)
    order = []
    for turn in range(12):
        pool.update(snapshot(*INSTANCES, instance(f"new-{turn}")), 0.0)
        one = pool.pick(asking("1"))
        assert one is not None
        order.append(one.instance.id)
    assert "".join(order) in ("ab" * 6, "ba" * 6)


def test_there_are_no_more_choices_than_values_whatever_is_asked_for() -> None:
    pool = pool_of(BY_VERSION, policy=Random)
    for number in range(1000):
        pool.pick(asking(f"made up {number}"))
    assert len(pool._balancer._choices) == 0  # type: ignore[union-attr]


def test_zones_count_within_a_subset() -> None:
    compose = BY_VERSION.over(ZonePreference("eu-1", 1.4, least=1).compose)
    pool = Pool(RoundRobin, random.Random(1), compose=compose)
    pool.update(
        snapshot(
            *of_version("1", "a", zone="eu-1"), *of_version("1", "b", zone="eu-2"), *of_version("2", "c", zone="eu-2")
        ),
        0.0,
    )
    assert picked(pool, "1") == {"a"}
    assert picked(pool, "2") == {"c"}


def test_what_a_policy_has_put_off_is_done() -> None:
    pool = pool_of(BY_VERSION, policy=lambda *world: Maglev(*world, table_size=5003))
    pool.pick(asking("1"))
    pool.update(snapshot(*INSTANCES[1:]), 0.0)
    pool.pick(asking("1"))
    whole = pool._balancer._whole  # type: ignore[union-attr]
    assert whole._filling
    for _ in range(10):
        pool.settle(1.0)
    assert not whole._filling
