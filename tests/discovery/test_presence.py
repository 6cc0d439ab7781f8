"""What is to be done about an instance's place in a registry, and when."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from discovery.backoff import Backoff
from discovery.presence import LAST_WORDS, Act, Presence


def presence(rise: int = 1, fall: int = 3) -> Presence:
    return Presence(rise, fall, Backoff(random.Random(1), cap=10.0))


def registered(now: float = 0.0, interval: float = 5.0) -> Presence:
    one = presence()
    one.probed(True, now)
    one.done(Act.REGISTER, now, interval)
    return one


def due(one: Presence) -> float:
    step = one.next()
    assert step is not None
    return step[1]


def test_nothing_is_done_before_the_first_probe_has_passed():
    one = presence()
    assert one.next() is None
    assert not one.probed(False, 1.0)
    assert one.next() is None
    assert one.probed(True, 2.0)
    assert one.next() == (Act.REGISTER, 2.0)


def test_rise_probes_must_pass_in_a_row():
    one = presence(rise=3)
    turned = [one.probed(passed, 0.0) for passed in (True, True, False, True, True, True)]
    assert turned == [False] * 5 + [True]


def test_what_is_registered_is_renewed_at_its_interval():
    one = registered(now=10.0, interval=5.0)
    assert one.is_in
    assert one.next() == (Act.RENEW, 15.0)
    one.done(Act.RENEW, 15.2, 5.0)
    assert one.next() == (Act.RENEW, 20.2)


def test_fall_failures_in_a_row_take_it_out_and_a_pass_puts_it_in_again():
    one = registered()
    assert [one.probed(passed, 1.0) for passed in (False, False, True, False, False)] == [False] * 5
    assert one.probed(False, 2.0)
    assert one.next() == (Act.REVOKE, 2.0)
    one.done(Act.REVOKE, 2.1)
    assert one.next() is None
    assert one.probed(True, 9.0)
    assert one.next() == (Act.REGISTER, 9.0)


def test_what_was_lost_is_registered_anew_at_once():
    one = registered()
    one.lost(5.0)
    assert not one.is_in
    assert one.next() == (Act.REGISTER, 5.0)


def test_failures_wait_longer_and_longer_and_success_forgets_them():
    one = presence()
    one.probed(True, 0.0)
    waits = []
    for _ in range(12):
        one.failed(Act.REGISTER, 0.0)
        waits.append(due(one))
    assert waits[0] <= 0.2
    assert waits[6] > 5.0 * waits[0]
    assert max(waits) <= 10.0
    one.done(Act.REGISTER, 0.0, 5.0)
    one.failed(Act.RENEW, 0.0)
    assert due(one) <= 0.2


def test_a_renewal_that_fails_is_tried_again_within_the_interval():
    one = registered(interval=1.0)
    for _ in range(20):
        one.failed(Act.RENEW, 0.0)
        assert one.next() == (Act.RENEW, due(one))
        assert due(one) <= 1.0


def test_a_probe_that_turns_does_not_wait_for_the_back_off():
    one = presence(fall=1)
    one.probed(True, 0.0)
    for _ in range(10):
        one.failed(Act.REGISTER, 0.0)
    one.probed(False, 0.1)
    assert one.next() is None
    one.probed(True, 0.2)
    assert one.next() == (Act.REGISTER, 0.2)


def test_the_end_takes_it_out_at_once_and_for_good():
    one = registered()
    one.end(1.0)
    assert one.next() == (Act.REVOKE, 1.0)
    assert not one.is_over
    one.done(Act.REVOKE, 1.1)
    assert one.is_over
    one.probed(True, 2.0)
    one.want(2.0)
    assert one.next() is None


def test_the_end_of_what_was_never_in_is_over():
    one = presence()
    one.end(0.0)
    assert one.is_over


def test_what_is_registered_while_the_end_comes_is_taken_out():
    one = presence()
    one.probed(True, 0.0)
    one.end(1.0)
    one.done(Act.REGISTER, 2.0, 5.0)
    assert one.next() == (Act.REVOKE, 2.0)


def test_when_it_ends_tries_follow_each_other_quickly():
    one = registered()
    one.end(0.0)
    for _ in range(10):
        one.failed(Act.REVOKE, 0.0)
        assert due(one) <= LAST_WORDS


def test_what_cannot_be_taken_out_counts_as_gone_after_three_intervals():
    one = registered(interval=5.0)
    for _ in range(3):
        one.probed(False, 0.0)
    one.failed(Act.REVOKE, 1.0)
    one.failed(Act.REVOKE, 15.9)
    assert one.is_in
    one.failed(Act.REVOKE, 16.0)
    assert not one.is_in
    assert one.next() is None


def test_a_lease_that_could_not_be_revoked_is_never_renewed():
    one = registered()
    for _ in range(3):
        one.probed(False, 0.0)
    one.failed(Act.REVOKE, 1.0)
    one.probed(True, 2.0)
    assert one.next() == (Act.REGISTER, 2.0)
    one.done(Act.REGISTER, 2.0, 5.0)
    assert one.next() == (Act.RENEW, 7.0)


@given(st.lists(st.sampled_from(["pass", "fail", "done", "lost", "away", "end"]), max_size=60), st.randoms())
def test_whatever_happens_it_is_in_only_while_that_is_wanted_or_being_ended(events: list[str], source: random.Random):
    one, now = presence(rise=2, fall=2), 0.0
    for event in events:
        now += source.random()
        step = one.next()
        match event:
            case "pass" | "fail":
                one.probed(event == "pass", now)
            case "end":
                one.end(now)
            case _ if step is None:
                continue
            case "done":
                one.done(step[0], now, 1.0)
            case "away":
                one.failed(step[0], now)
            case "lost" if step[0] is Act.RENEW:
                one.lost(now)
        step = one.next()
        if one.wanted:
            assert step is not None
            assert step[0] in (Act.REGISTER, Act.RENEW)
        elif one.is_in:
            assert step is not None
            assert step[0] is Act.REVOKE
        else:
            assert step is None
        assert one.is_over == (one.ending and not one.is_in)
        assert step is None or step[1] <= now + 10.0


def test_a_presence_without_a_probe_is_wanted_at_once():
    one = presence()
    one.want(3.0)
    assert one.next() == (Act.REGISTER, 3.0)
