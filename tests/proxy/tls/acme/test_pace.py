"""When a certificate is due, and when it may be tried again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from proxy.tls.acme.pace import HOUR, ORDERS_AN_HOUR, Standing, due, pause, room

DAY = 24 * HOUR


def test_what_is_missing_or_a_placeholder_is_due_at_once():
    assert due(None, None) == 0
    assert due(Standing(0, 7 * DAY, placeholder=True), None) == 0


def test_a_third_of_the_lifetime_is_left_at_a_renewal():
    assert due(Standing(0, 90 * DAY), None) == 60 * DAY
    assert due(Standing(0, 90 * DAY), 10 * DAY) == 80 * DAY


def test_a_certificate_is_not_due_as_it_comes_however_early_it_is_to_be_renewed():
    assert due(Standing(0, 8 * DAY), 30 * DAY) == 2 * DAY


@given(st.integers(1, 2000), st.booleans(), st.floats(0, 1e9, allow_nan=False), st.randoms(use_true_random=False))
def test_pauses_grow_within_bounds(failures, ordered, retry_after, source):
    wait = pause(failures, ordered=ordered, retry_after=retry_after, source=source)
    assert (225 if ordered else 0.75) <= wait <= DAY
    assert wait >= min(retry_after, DAY)


def test_an_order_that_failed_is_waited_for_longer_than_an_authority_that_is_away():
    source = random.Random(1)
    away = [pause(n, ordered=False, retry_after=0, source=source) for n in range(1, 20)]
    failed = [pause(n, ordered=True, retry_after=0, source=source) for n in range(1, 20)]
    assert max(away) <= 750
    assert min(failed) >= 225
    assert max(failed) <= 7.5 * HOUR


@given(st.lists(st.floats(0, 10 * HOUR), max_size=50), st.floats(0, 10 * HOUR))
def test_no_hour_has_more_orders_than_it_may(asked, begun):
    made: list[float] = []
    for wish in sorted(asked):
        moment = max(wish, made[-1] if made else begun)
        moment = max(room(made, moment), moment)
        made.append(moment)
    for first, last in zip(made, made[ORDERS_AN_HOUR:], strict=False):
        assert last - first >= HOUR - 1e-6
