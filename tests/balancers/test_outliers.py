"""Outlier detection by success rate, by failure percentage and by gateway errors."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancers.health import Health, Thresholds
from balancers.outliers import Detection, Sample, outliers
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from tests.balancers.making import endpoint, instance, snapshot

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint


def samples(*counts: tuple[int, int]) -> list[Sample]:
    return [Sample(endpoint(f"e{number}"), *count) for number, count in enumerate(counts)]


def found(counts: list[tuple[int, int]], **options: Any) -> list[tuple[str, str]]:
    return [(one.endpoint.instance.id, one.cause) for one in outliers(samples(*counts), Detection(**options))]


class TestSuccessRate:
    def test_the_one_far_below_the_mean(self) -> None:
        assert found([(100, 0)] * 9 + [(100, 30)]) == [("e9", "success_rate")]
        (one,) = outliers(samples(*[(100, 0)] * 9, (100, 30)), Detection())
        # The mean is 97 %, the standard deviation 9 %, and 97 - 1.9 * 9 = 79.9.
        assert one.reason == "70.0% of its 100 requests went well, of all 97.0%; at least 79.9% must"

    def test_the_boundary_is_that_of_the_formula(self) -> None:
        # Rates 1, 1, 1, 1, r: mean (4 + r) / 5, deviation 0.4 (1 - r); r is 2 deviations below the mean whatever it is.
        counts = [(1000, 0)] * 4 + [(1000, 100)]
        assert found(counts, success_rate_factor=1.99) == [("e4", "success_rate")]
        assert found(counts, success_rate_factor=2.01) == []

    @pytest.mark.parametrize(
        "counts",
        [
            [(100, 0)] * 3 + [(100, 90)],  # too few endpoints
            [(99, 0)] * 9 + [(99, 90)],  # too few requests
            [(100, 50)] * 10,  # all alike
            [(0, 0)] * 10,
            [],
        ],
    )
    def test_nobody_where_there_is_too_little_to_compare(self, counts: list[tuple[int, int]]) -> None:
        assert found(counts) == []

    def test_one_with_few_requests_is_not_judged_by_them(self) -> None:
        assert found([(100, 0)] * 9 + [(5, 5)]) == []

    def test_it_can_be_turned_off(self) -> None:
        assert found([(100, 0)] * 9 + [(100, 30)], success_rate_factor=0.0) == []
        assert not Detection(success_rate_factor=0.0).is_on


class TestFailurePercentage:
    def test_it_is_off_unless_it_is_asked_for(self) -> None:
        assert found([(100, 95)] * 10) == []
        assert len(found([(100, 95)] * 10, failure_share=0.85)) == 10

    def test_at_the_share_and_above(self) -> None:
        counts = [(100, 0)] * 4 + [(100, 84), (100, 85), (100, 99)]
        options = {"failure_share": 0.85, "success_rate_factor": 0.0}
        assert found(counts, **options) == [("e6", "failure_percentage"), ("e5", "failure_percentage")]

    def test_too_little_to_compare(self) -> None:
        options = {"failure_share": 0.5, "success_rate_factor": 0.0}
        assert found([(50, 50)] * 4, **options) == []
        assert found([(49, 49)] * 9, **options) == []

    def test_nobody_is_named_twice(self) -> None:
        assert found([(100, 0)] * 9 + [(100, 90)], failure_share=0.5) == [("e9", "success_rate")]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=30), st.floats(0, 3), st.floats(0, 1))
def test_whatever_the_counts_the_worst_come_first(counts: list[tuple[int, int]], factor: float, share: float) -> None:
    counts = [(requests, min(failures, requests)) for requests, failures in counts]
    detection = Detection(success_rate_factor=factor, failure_share=share, success_rate_volume=1, failure_volume=1)
    all_of_them = samples(*counts)
    rates = {one.endpoint: one.success_rate for one in all_of_them if one.requests}
    for cause in ("success_rate", "failure_percentage"):
        named = [rates[one.endpoint] for one in outliers(all_of_them, detection) if one.cause == cause]
        assert named == sorted(named)


class TestInThePool:
    def pool_of(self, count: int, **options: Any) -> tuple[Pool, list[Endpoint]]:
        pool = Pool(RoundRobin, random.Random(1), **options)
        pool.update(snapshot(*(instance(f"e{number}") for number in range(count))), 0.0)
        pool.settle(0.0)
        return pool, list(pool.endpoints)

    def serve(self, one: Endpoint, requests: int, failures: int = 0) -> None:
        one.requests += requests
        one.server_errors += failures

    def test_an_outlier_is_ejected_when_the_interval_ends(self) -> None:
        pool, members = self.pool_of(10)
        for one in members:
            self.serve(one, 100, 30 if one is members[3] else 1)
        pool.settle(9.9)
        assert members[3].health.state == "healthy"
        pool.settle(10.0)
        assert members[3].health.state == "ejected"
        assert members[3].health.cause == "success_rate"
        assert pool.ejections_by["success_rate"] == 1
        pool.settle(40.0)
        assert members[3].health.state == "healthy"

    def test_what_was_before_the_interval_does_not_count(self) -> None:
        pool, members = self.pool_of(10)
        for one in members:
            self.serve(one, 1000, 999 if one is members[3] else 0)
        members[3].health.state = "ejected"  # so that nothing is said of it
        pool.settle(10.0)
        members[3].health.state = "healthy"
        for one in members:
            self.serve(one, 100)
        pool.settle(20.0)
        assert members[3].health.state == "healthy"

    def test_requests_in_flight_have_not_ended(self) -> None:
        pool, members = self.pool_of(10)
        for one in members:
            self.serve(one, 100)
        self.serve(members[0], 400)
        members[0].in_flight = 400
        members[0].broken = 30
        pool.settle(10.0)
        assert members[0].health.state == "ejected"

    def test_no_more_than_may_be_are_ejected(self) -> None:
        pool, members = self.pool_of(20, detection=Detection(failure_share=0.5), max_ejection=0.1)
        for number, one in enumerate(members):
            self.serve(one, 100, 100 - number)
        pool.settle(10.0)
        out = [one for one in members if one.health.state == "ejected"]
        assert out == members[:2]  # the worst

    def test_jitter_makes_an_ejection_longer(self) -> None:
        ends = set()
        for seed in range(5):
            pool = Pool(RoundRobin, random.Random(seed), jitter=10.0, thresholds=Thresholds(consecutive_5xx=1))
            pool.update(snapshot(instance("a"), instance("b")), 0.0)
            one = next(iter(pool.endpoints))
            pool.failed(one, "5xx", "answered 500", 0.0)
            ends.add(one.health.until)
        assert len(ends) == 5
        assert all(30.0 <= end < 40.0 for end in ends)


class TestGatewayErrors:
    def test_five_in_a_row_by_themselves(self) -> None:
        health = Health(Thresholds(consecutive_5xx=0, consecutive_gateway=5), 0.0)
        assert [bool(health.failed("gateway", "answered 503")) for _ in range(5)] == [False] * 4 + [True]
        assert health.blame == "gateway"

    def test_another_5xx_ends_their_row_and_not_that_of_5xx(self) -> None:
        health = Health(Thresholds(consecutive_5xx=6, consecutive_gateway=4), 0.0)
        kinds = ["gateway"] * 3 + ["5xx"] + ["gateway"] * 2
        assert [bool(health.failed(kind, "")) for kind in kinds] == [False] * 5 + [True]
        assert health.blame == "5xx"

    def test_off_they_count_as_5xx(self) -> None:
        health = Health(Thresholds(), 0.0)
        assert [bool(health.failed("gateway", "")) for _ in range(5)] == [False] * 4 + [True]
        assert health.blame == "5xx"


def test_an_ejection_has_a_longest_time() -> None:
    health = Health(Thresholds(base_ejection_time=30.0, max_ejection_time=45.0), 0.0)
    for now, until in ((0.0, 30.0), (30.0, 75.0), (75.0, 120.0)):
        health.eject("5xx", "for the test", now)
        assert health.until == until
        health.expire(until)
