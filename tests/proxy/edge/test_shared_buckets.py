"""Token buckets that several processes share."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from proxy.edge.buckets import Buckets
from proxy.edge.shared_buckets import SharedBuckets, Table


def let_pass(buckets: Buckets | SharedBuckets, key: str, now: float) -> bool:
    if buckets.wait(key, now):
        return False
    buckets.take(key, now)
    return True


@given(st.integers(1, 20), st.integers(1, 10), st.integers(1, 30), st.lists(st.floats(0, 0.5), min_size=1, max_size=60))
def test_they_let_the_same_pass_as_those_of_one_process(
    requests: int, per: int, burst: int, pauses: list[float]
) -> None:
    alone = Buckets(requests, per, burst, 100)
    shared = SharedBuckets(Table(64), "limit", requests, per, burst)
    now = 1000.0
    for pause in pauses:
        now += pause
        # Whole nanoseconds are coarser than fractions of one: what differs by less than a microsecond is the same.
        mine, theirs = alone.wait("client", now), shared.wait("client", now)
        assert abs(mine - theirs) < 1e-6
        if not mine and not theirs:
            alone.take("client", now)
            shared.take("client", now)


def test_limits_in_one_table_do_not_know_each_others_keys() -> None:
    table = Table(64)
    one, other = SharedBuckets(table, "one", 1, 1.0, 1), SharedBuckets(table, "other", 1, 1.0, 1)
    assert let_pass(one, "client", 5.0)
    assert let_pass(other, "client", 5.0)
    assert not let_pass(one, "client", 5.0)
    assert let_pass(one, "another client", 5.0)


def test_what_one_process_takes_another_misses() -> None:
    buckets = SharedBuckets(Table(64), "limit", 1, 60.0, 3)
    pid = os.fork()
    if not pid:
        buckets.take("client", 100.0)
        buckets.take("client", 100.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert let_pass(buckets, "client", 100.0)
    assert not let_pass(buckets, "client", 100.0)


def test_a_full_table_forgets_the_bucket_that_is_full_the_soonest() -> None:
    buckets = SharedBuckets(Table(8), "limit", 1, 10.0, 10)
    for _ in range(5):
        buckets.take("heavy", 100.0)
    for number in range(50):
        buckets.take(f"light {number}", 100.0)
    assert buckets.forgotten == 43  # of fifty, seven found a place
    for _ in range(5):
        assert let_pass(buckets, "heavy", 100.0)
    assert not let_pass(buckets, "heavy", 100.0)
