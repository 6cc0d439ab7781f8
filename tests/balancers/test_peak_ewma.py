from __future__ import annotations

import random
from collections import Counter
from math import exp

import pytest

from balancers.peak_ewma import Ewma, PeakEwma, load
from tests.balancers.making import endpoint, endpoints


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestLatency:
    def test_it_jumps_up_and_comes_down_slowly(self) -> None:
        latency = Ewma(0.0, decay=10.0, failure=1.0)
        latency.observed(0.1, 1.0)
        assert latency.at(1.0) == 0.1
        latency.observed(2.0, 2.0)
        assert latency.at(2.0) == 2.0
        latency.observed(0.1, 7.0)
        assert latency.at(7.0) == pytest.approx(2.0 * exp(-0.5) + 0.1 * (1 - exp(-0.5)))

    def test_it_comes_down_while_nobody_asks(self) -> None:
        latency = Ewma(0.0, decay=10.0, failure=1.0)
        latency.observed(5.0, 0.0)
        assert latency.at(10.0) == pytest.approx(5.0 * exp(-1))
        assert latency.at(100.0) < 0.001

    def test_a_clock_that_stands_still_or_goes_back_does_no_harm(self) -> None:
        latency = Ewma(5.0, decay=10.0, failure=1.0)
        latency.observed(1.0, 5.0)
        latency.observed(0.5, 4.0)
        assert latency.at(3.0) == 1.0

    def test_a_refusal_is_not_a_fast_answer(self) -> None:
        latency = Ewma(0.0, decay=10.0, failure=1.0)
        latency.failed(0.001, 1.0)
        assert latency.at(1.0) == 1.0
        latency.failed(7.0, 1.0)
        assert latency.at(1.0) == 7.0


class TestPicks:
    def test_the_faster_of_two_is_picked(self) -> None:
        clock = Clock()
        fast, slow = endpoints(a=1, b=1)
        balancer = PeakEwma([fast, slow], random.Random(1), clock=clock)
        for one, seconds in ((fast, 0.01), (slow, 0.02)):
            assert one.latency is not None
            one.latency.observed(seconds, 0.0)
        assert {balancer.pick() for _ in range(20)} == {fast}
        fast.in_flight = 2  # 0.03 against 0.02
        assert {balancer.pick() for _ in range(20)} == {slow}

    def test_an_unknown_one_gets_one_request_and_no_second(self) -> None:
        known, new = endpoints(a=1, b=1)
        balancer = PeakEwma([known, new], random.Random(1), clock=lambda: 0.0)
        assert known.latency is not None
        known.latency.observed(0.01, 0.0)
        assert {balancer.pick() for _ in range(20)} == {new}
        new.in_flight = 1
        assert {balancer.pick() for _ in range(20)} == {known}

    def test_one_that_was_slow_once_gets_requests_again(self) -> None:
        """No starvation: without the decay at a read nobody would ever ask it again."""
        clock = Clock()
        members = endpoints(a=1, b=1, c=1)
        balancer = PeakEwma(members, random.Random(1), clock=clock)
        for one in members:
            assert one.latency is not None
            one.latency.observed(10.0 if one is members[0] else 0.01, 0.0)
        counts: Counter[str] = Counter()
        for _ in range(3000):
            clock.now += 0.1
            chosen = balancer.pick()
            counts[chosen.instance.id] += 1
            assert chosen.latency is not None
            chosen.latency.observed(0.01, clock.now)
        assert counts["a"] > 300

    def test_what_was_learned_survives_a_change_of_the_set(self) -> None:
        members = endpoints(a=1, b=1)
        balancer = PeakEwma(members, random.Random(1), clock=lambda: 0.0)
        assert members[0].latency is not None
        members[0].latency.observed(1.0, 0.0)
        PeakEwma([*members, endpoint("c")], random.Random(1), balancer, clock=lambda: 0.0)
        assert load(members[0], 0.0) == 1.0

    def test_a_heavy_one_may_have_more_to_do(self) -> None:
        heavy, light = endpoints(a=3, b=1)
        balancer = PeakEwma([heavy, light], random.Random(1), clock=lambda: 0.0)
        for one in (heavy, light):
            assert one.latency is not None
            one.latency.observed(0.01, 0.0)
        heavy.in_flight = 1
        assert {balancer.pick() for _ in range(20)} == {heavy}
