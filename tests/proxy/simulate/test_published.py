"""The two scenarios of bench/scenarios come to what is published of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.service import Balancer
from proxy.simulate.reading import load
from proxy.simulate.results import CURVE, Outcome, Report, simulate

FOLDER = Path(__file__).parents[3] / "bench/scenarios"


def by_name(report: Report) -> dict[str, Outcome]:
    return {outcome.policy: outcome for outcome in report.outcomes}


def supermarket_time(rate: float, choices: int) -> float:
    """Mitzenmacher's mean time in the system, in mean service times, of many servers."""
    if choices == 1:
        return 1 / (1 - rate)
    terms = (rate ** ((choices**i - choices) / (choices - 1)) for i in range(1, 12))
    return float(sum(terms))


def supermarket_tail(rate: float, choices: int, least: int) -> float:
    """Mitzenmacher's share of servers with at least so many requests."""
    return float(rate ** ((choices**least - 1) / (choices - 1) if choices > 1 else least))


@pytest.fixture(scope="module")
def two_choices() -> Report:
    scenario = load(FOLDER / "two_choices.yaml")
    return simulate(scenario, [Balancer(type="random"), Balancer(type="least_request")])


@pytest.fixture(scope="module")
def slow_replica() -> Report:
    scenario = load(FOLDER / "slow_replica.yaml")
    return simulate(scenario, scenario.policies)


class TestTwoChoices:
    def test_the_formula_is_that_of_the_paper(self) -> None:
        assert supermarket_time(0.9, 2) == pytest.approx(2.6141, abs=1e-4)
        assert supermarket_time(0.99, 2) == pytest.approx(5.4320, abs=1e-4)

    @pytest.mark.parametrize(("policy", "choices", "tolerance"), [("random", 1, 0.12), ("least_request", 2, 0.04)])
    def test_the_mean_time_is_that_of_the_formula(
        self, two_choices: Report, policy: str, choices: int, tolerance: float
    ) -> None:
        mean = by_name(two_choices)[policy].latency.mean
        assert mean is not None
        assert mean / 0.010 == pytest.approx(supermarket_time(0.9, choices), rel=tolerance)

    def test_the_queues_are_those_of_the_formula(self, two_choices: Report) -> None:
        for policy, choices, longest in (("random", 1, 8), ("least_request", 2, 5)):
            lengths = by_name(two_choices)[policy].lengths
            for least in range(1, longest + 1):
                assert lengths[least] == pytest.approx(supermarket_tail(0.9, choices, least), abs=0.03), (policy, least)

    def test_two_choices_have_the_published_advantage(self, two_choices: Report) -> None:
        (comparison,) = two_choices.comparisons
        assert comparison.mean == pytest.approx(supermarket_time(0.9, 2) / supermarket_time(0.9, 1), rel=0.15)
        assert comparison.p99 is not None
        assert comparison.p99 < 0.3
        outcomes = by_name(two_choices)
        assert outcomes["least_request"].most_queue <= 8  # log log n and a little
        assert outcomes["random"].most_queue >= 30


class TestSlowReplica:
    def test_round_robin_sends_it_its_share(self, slow_replica: Report) -> None:
        outcome = by_name(slow_replica)["round_robin"]
        assert all(one.share == pytest.approx(1 / 11, rel=0.01) for one in outcome.endpoints)

    # Published: slow above the 95th, the 99th and the 99.9th percentile.
    @pytest.mark.parametrize(("policy", "fast"), [("round_robin", 0.95), ("least_request", 0.99), ("peak_ewma", 0.999)])
    def test_so_many_are_answered_within_a_second(self, slow_replica: Report, policy: str, fast: float) -> None:
        outcome = by_name(slow_replica)[policy]
        points = dict(zip(CURVE, outcome.curve, strict=False))
        within = max(share for share, seconds in points.items() if seconds < 1.0)
        assert within >= fast
        assert within < 1 - (1 - fast) / 12  # and it is slow above, as was published

    def test_the_report_says_by_how_much(self, slow_replica: Report) -> None:
        least_request, peak_ewma = slow_replica.comparisons
        assert peak_ewma.p99 is not None
        assert peak_ewma.p999 is not None
        assert least_request.p99 is not None
        assert peak_ewma.p99 < 0.1
        assert peak_ewma.p999 < 0.1
        assert least_request.p99 < 0.1

    def test_the_slow_one_gets_requests_again_when_it_is_fast_again(self, slow_replica: Report) -> None:
        outcome = by_name(slow_replica)["peak_ewma"]
        slow = [row[3] for row in outcome.timeline.queues]
        assert sum(slow[60:88]) / 28 < 4  # 30 s to 44 s: avoided
        assert slow[-1] > 3  # its average has come down, and it is asked
