"""Token buckets: never more than burst + rate * t, in bounded memory."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.edge.buckets import Buckets


def take(buckets: Buckets, key: object, now: float) -> bool:
    if buckets.wait(key, now):
        return False
    buckets.take(key, now)
    return True


@given(
    st.integers(1, 50),
    st.integers(1, 5000),
    st.integers(1, 20),
    st.lists(st.integers(0, 2000), min_size=1, max_size=80),
    st.integers(0, 10**9),
)
def test_never_more_than_burst_and_rate_pass_and_never_less_than_a_bucket_lets(
    requests, milliseconds, burst, pauses, start
) -> None:
    per = milliseconds / 1000
    buckets = Buckets(requests, per, burst, 10)
    tokens, before, passed = Fraction(burst), start, []
    moment = start
    for pause in pauses:
        moment += pause
        tokens = min(Fraction(burst), tokens + Fraction((moment - before) * requests, milliseconds))
        before = moment
        took = take(buckets, "client", moment * 0.001 + 1e-9)  # a nanosecond, so that no float is below its number
        if tokens < 1 - Fraction(1, 1000) * requests:
            assert not took
        if tokens >= 1 + Fraction(1, 1000) * requests:
            assert took
        if took:
            tokens -= 1
            passed.append(moment)
    for place, first in enumerate(passed):
        for count, last in enumerate(passed[place:], 1):
            assert count <= burst + (last - first + 0.001) * requests / milliseconds


@pytest.mark.parametrize(("requests", "per", "burst"), [(100, 1.0, 200), (3, 1.0, 3), (7, 60.0, 1), (10**9, 1.0, 5)])
def test_exactly_burst_pass_at_once(requests, per, burst) -> None:
    for now in (0.0, 123456.789, 9.87654321e6):
        buckets = Buckets(requests, per, burst, 10)
        assert sum(take(buckets, "client", now) for _ in range(burst + 5)) == burst


def test_how_long_to_wait() -> None:
    buckets = Buckets(2, 60.0, 2, 10)
    for _ in range(2):
        assert buckets.wait("a", 100.0) == 0.0
        buckets.take("a", 100.0)
    assert buckets.wait("a", 100.0) == pytest.approx(30.0)
    assert buckets.wait("a", 129.0) == pytest.approx(1.0)
    assert buckets.wait("a", 130.0) == 0.0
    assert buckets.wait("b", 100.0) == 0.0


def test_a_full_bucket_is_forgotten_before_one_that_was_used() -> None:
    buckets = Buckets(1, 1.0, 10, 3)
    for key, times in (("busy", 9), ("idle", 1), ("other", 5)):
        for _ in range(times):
            buckets.take(key, 0.0)
    buckets.take("new", 2.0)
    assert len(buckets) == 3
    assert "idle" not in buckets._full_at
    assert buckets.forgotten == 0


def test_a_crowd_drives_out_its_own_and_not_who_used_up_much() -> None:
    buckets = Buckets(1, 1.0, 10, 100)
    for _ in range(10):
        assert take(buckets, "abuser", 0.0)
    for number in range(10_000):
        assert take(buckets, number, number * 1e-6)
    assert len(buckets) == len(buckets._order) == 100
    assert not take(buckets, "abuser", 0.01)
    assert buckets.forgotten > 0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 100)), max_size=200))
def test_there_are_never_more_than_may_be(steps) -> None:
    buckets, now = Buckets(5, 1.0, 3, 4), 0.0
    for key, pause in steps:
        now += pause / 100
        take(buckets, key, now)
        assert len(buckets) <= 4
        assert len(buckets._order) == len(buckets)
        assert {key for _, _, key in buckets._order} == buckets._full_at.keys()
