from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise, takewhile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.simulate.arrivals import Crowd, Rates
from proxy.simulate.world import Arrivals, Clients

BURST = Arrivals.model_validate(
    {
        "rate": 100,
        "changes": [{"at": 10, "rate": 500}, {"at": 20, "rate": 0, "over": 10}, {"at": 40, "rate": 50, "over": 10}],
    }
)


def test_the_rate_jumps_and_ramps() -> None:
    rates = Rates(BURST)
    assert [rates.at(time) for time in (0, 9.9, 10, 25, 35, 45, 99)] == [100, 100, 500, 250, 0, 25, 50]
    assert rates.count(10) == 1000
    assert rates.count(20) == 6000
    assert rates.count(30) == 8500
    assert rates.count(45) == pytest.approx(8500 + 62.5)


@given(count=st.integers(1, 20_000))
@example(count=1000)
@example(count=8500)  # where the rate comes down to 0
def test_so_many_are_expected_until_so_many_have_come(count: int) -> None:
    rates = Rates(BURST)
    time = rates.time_of(count)
    assert time is not None
    assert rates.count(time) == pytest.approx(count)


def test_none_come_once_the_rate_is_zero_for_good() -> None:
    rates = Rates(Arrivals.model_validate({"rate": 10, "changes": [{"at": 10, "rate": 0}]}))
    assert rates.time_of(100) == pytest.approx(10)
    assert rates.time_of(101) is None
    assert len(list(rates.times(random.Random(1), even=True))) == 100


def test_even_ones_follow_the_rate() -> None:
    times = list(takewhile(lambda time: time < 30.0, Rates(BURST).times(random.Random(1), even=True)))
    assert len(times) in (8499, 8500)
    assert all(after - before == pytest.approx(0.01) for before, after in pairwise(times[:999]))
    assert sum(time < 20 for time in times) in (5999, 6000)


def test_those_of_a_poisson_process_follow_it_by_chance() -> None:
    times = list(takewhile(lambda time: time < 30.0, Rates(BURST).times(random.Random(1), even=False)))
    assert len(times) == pytest.approx(8500, rel=0.05)
    gaps = [after - before for before, after in pairwise(times) if before < 10.0]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.01, rel=0.1)
    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.3)  # exponential


def test_some_clients_ask_more() -> None:
    even = Counter(_clients(Clients(count=10)))
    skewed = Counter(_clients(Clients(count=10, skew=1)))
    assert min(even.values()) > 800
    assert skewed["10.0.0.0"] / skewed["10.0.0.9"] == pytest.approx(10, rel=0.25)


def test_a_client_has_the_cookies_and_fields_that_the_balancer_goes_by() -> None:
    options = {"key": ({"cookie": "session"}, {"query": "user"}, {"header": "X-Id"})}
    asked = Crowd(Clients(count=1), options, random.Random(1)).next()
    assert asked.header(b"cookie") == b"session=0"
    assert asked.header(b"x-id") == b"0"
    assert asked.target == b"/0?user=0"


def _clients(clients: Clients) -> list[str]:
    crowd = Crowd(clients, {}, random.Random(1))
    return [crowd.next().client for _ in range(10_000)]
