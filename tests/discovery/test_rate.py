import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.rate import TokenBucket


def test_a_burst_is_let_through_and_what_follows_is_spaced():
    bucket = TokenBucket(rate=20, burst=3)
    assert [round(bucket.take(100.0), 3) for _ in range(6)] == [0, 0, 0, 0.05, 0.1, 0.15]


def test_what_is_seldom_never_waits():
    bucket = TokenBucket(rate=20, burst=1)
    assert [bucket.take(float(second)) for second in range(100)] == [0.0] * 100


def test_tokens_come_back_with_time_up_to_the_burst():
    bucket = TokenBucket(rate=10, burst=2)
    for _ in range(2):
        bucket.take(0.0)
    assert bucket.take(1000.0) == 0.0
    assert bucket.take(1000.0) == 0.0
    assert bucket.take(1000.0) == pytest.approx(0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.integers(1, 10), st.floats(1, 100))
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(pauses: list[float], burst: int, rate: float):
    bucket = TokenBucket(rate, burst)
    now = 0.0
    acts = []
    for pause in pauses:
        now += pause
        now += bucket.take(now)
        acts.append(now)
    for begin in range(len(acts)):
        for end in range(begin, len(acts)):
            assert end - begin + 1 <= burst + rate * (acts[end] - acts[begin]) + 1e-6
