"""Every policy at work in a pool that changes: who may not be picked is not, and who may be is not forgotten."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancers.health import Thresholds
from balancers.policies import find, names
from balancers.pool import Pool
from discovery.instance import Availability
from tests.balancers.asking import of_user
from tests.balancers.making import instance, snapshot

OPTIONS: dict[str, dict[str, Any]] = {
    "ring_hash": {"key": {"header": "X-User"}},
    "maglev": {"key": {"header": "X-User"}, "table_size": 503},
}
OURS = [name for name in names() if find(name, {}).__module__.startswith("balancers.")]
every_policy = pytest.mark.parametrize("name", OURS)

# An instance, and what happens to it.
steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["joins", "leaves", "drains", "rests", "weighs 5", "fails", "works"])),
    max_size=25,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pool_of(name: str, clock: Clock, **options: Any) -> Pool:
    policy = find(name, OPTIONS.get(name, {}), clock)
    return Pool(policy, random.Random(1), thresholds=Thresholds(rise=1, fall=1), **options)


def test_all_of_ours_are_tried() -> None:
    assert len(OURS) == 9


@every_policy
@settings(max_examples=25)
@given(steps=steps)
def test_nobody_who_is_ejected_or_not_offered_is_picked(name: str, steps: list[tuple[int, str]]) -> None:
    clock = Clock()
    pool = pool_of(name, clock, panic_threshold=0.0)
    there = {number: instance(f"web-{number}") for number in range(3)}
    unwell: set[str] = set()
    for number, step in steps:
        identity = f"web-{number}"
        match step:
            case "leaves":
                there.pop(number, None)
                unwell.discard(identity)
            case "drains":
                there[number] = instance(identity, availability=Availability.DRAINING)
            case "joins" | "rests" | "weighs 5":
                there[number] = instance(identity, weight={"joins": 1, "rests": 0, "weighs 5": 5}[step])
        pool.update(snapshot(*there.values()), clock.now)
        for one in pool.endpoints:
            if one.instance.id == identity and step in ("fails", "works"):
                pool.probed(one, step == "works", step, clock.now)
                unwell = unwell | {identity} if step == "fails" else unwell - {identity}
        may = {one.id for one in there.values() if one.weight and one.availability is Availability.UP} - unwell
        clock.now += 1.0
        pool.settle(clock.now)
        picked = {one.instance.id for one in (pool.pick(of_user(user)) for user in range(20)) if one is not None}
        assert picked <= may
        assert bool(picked) == bool(may)


@every_policy
def test_nobody_starves(name: str) -> None:
    """Each of those who may be picked gets requests, though some answer slowly or were out for a while."""
    clock = Clock()
    pool = pool_of(name, clock)
    pool.update(snapshot(*(instance(f"web-{number}") for number in range(6))), 0.0)
    slow, out = list(pool.endpoints)[:2]
    pool.probed(out, False, "HTTP 500", 0.0)
    counts: Counter[str] = Counter()
    under_way: list[tuple[float, Any]] = []
    for turn in range(6000):
        clock.now += 0.01
        for ends, one in [entry for entry in under_way if entry[0] <= clock.now]:
            under_way.remove((ends, one))
            one.in_flight -= 1
            one.load.in_flight -= 1
            if one.latency is not None:
                one.latency.observed(1.0 if one is slow else 0.05, clock.now)
        if turn == 2000:
            pool.probed(out, True, "HTTP 200", clock.now)
        chosen = pool.pick(of_user(turn))
        assert chosen is not None
        assert turn >= 2000 or chosen is not out
        chosen.in_flight += 1
        chosen.load.in_flight += 1
        under_way.append((clock.now + (1.0 if chosen is slow else 0.05), chosen))
        counts[chosen.instance.id] += 1
    if name == "first":  # whose purpose it is
        assert counts.keys() == {"web-0", "web-1", "web-2"}  # the third while the second was out
    elif name == "peak_ewma":  # a second is twenty times as long, and has come down to as much some 25 seconds later
        assert 2 <= counts[slow.instance.id] <= 10
    else:
        assert min(counts[f"web-{number}"] for number in range(6)) >= 60, counts


@every_policy
def test_what_was_tried_is_not_picked_again_while_another_is_left(name: str) -> None:
    pool = pool_of(name, Clock())
    pool.update(snapshot(*(instance(f"web-{number}") for number in range(5))), 0.0)
    tried: set[Any] = set()
    for _ in range(5):
        chosen = pool.pick(of_user("one"), tried)
        assert chosen is not None
        assert chosen not in tried
        tried.add(chosen)
    assert pool.pick(of_user("one"), tried) is None
