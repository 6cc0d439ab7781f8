from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from balancers.draws import distinct
from balancers.least_request import LeastRequest
from tests.balancers.making import endpoint, endpoints

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint


def test_the_less_busy_of_two_is_picked() -> None:
    one, two = endpoints(a=1, b=1)
    one.in_flight = 3
    balancer = LeastRequest([one, two], random.Random(1))
    assert {balancer.pick() for _ in range(50)} == {two}


def test_a_busy_one_is_avoided_and_not_shut_out() -> None:
    members = endpoints(a=1, b=1, c=1, d=1)
    members[0].in_flight = 100
    balancer = LeastRequest(members, random.Random(1))
    counts = Counter(balancer.pick() for _ in range(50))
    assert members[0] not in counts
    assert len(counts) == 3
    members[0].in_flight = 0
    assert members[0] in {balancer.pick() for _ in range(50)}


def test_more_choices_find_the_least_busy_sooner() -> None:
    members = [endpoint(str(number)) for number in range(20)]
    for number, one in enumerate(members):
        one.in_flight = number
    found = {
        choices: sum(LeastRequest(members, random.Random(1), choices=choices).pick().in_flight for _ in range(1))
        + sum(one.in_flight for one in _picks(members, choices, 2000)) / 2000
        for choices in (2, 5, 20)
    }
    assert found[2] > found[5] > found[20]
    assert {one.in_flight for one in _picks(members, 20, 50)} == {0}


def _picks(members: list[Endpoint], choices: int, count: int) -> list[Endpoint]:
    balancer = LeastRequest(members, random.Random(1), choices=choices)
    return [balancer.pick() for _ in range(count)]


def test_two_choices_keep_the_longest_queue_short() -> None:
    """Mitzenmacher's result: 10,000 requests to 10,000 endpoints; the fullest has about log log n, not log n."""
    most = {}
    for name in ("random", "two"):
        source = random.Random(7)
        members = [endpoint(str(number)) for number in range(10_000)]
        balancer = LeastRequest(members, source)
        for _ in range(10_000):
            chosen = balancer.pick() if name == "two" else members[int(source.random() * 10_000)]
            chosen.in_flight += 1
        most[name] = max(one.in_flight for one in members)
    assert most["two"] <= 4
    assert most["random"] >= 6


class TestWeights:
    def test_a_busy_one_gets_fewer_turns(self) -> None:
        a, b, c = endpoints(a=2, b=1, c=1)
        a.in_flight = 3  # 2 / 4 counts half of 1
        balancer = LeastRequest([a, b, c], random.Random(1))
        counts = Counter(balancer.pick().instance.id for _ in range(5000))
        assert counts["a"] / 5000 == pytest.approx(0.2, abs=0.02)

    def test_bias_0_is_plain_weights(self) -> None:
        a, b, c = endpoints(a=2, b=1, c=1)
        a.in_flight = 30
        balancer = LeastRequest([a, b, c], random.Random(1), bias=0)
        counts = Counter(balancer.pick().instance.id for _ in range(4000))
        assert counts["a"] / 4000 == pytest.approx(0.5, abs=0.02)

    def test_turns_survive_a_change(self) -> None:
        members = endpoints(a=5, b=3, c=2)
        source = random.Random(1)
        balancer = LeastRequest(members, source)
        counts: Counter[str] = Counter()
        for turn in range(5000):
            balancer = LeastRequest([*members, endpoint(f"new-{turn}", 1)], source, balancer)
            counts[balancer.pick().instance.id] += 1
        assert counts["a"] / counts["b"] == pytest.approx(5 / 3, abs=0.2)


def test_distinct_draws_are_distinct_and_fair() -> None:
    source = random.Random(1)
    counts: Counter[int] = Counter()
    for _ in range(5000):
        drawn = list(distinct(3, 10, source.random))
        assert len(set(drawn)) == 3
        counts.update(drawn)
    assert all(count / 5000 == pytest.approx(0.3, abs=0.03) for count in counts.values())
    assert len(counts) == 10
