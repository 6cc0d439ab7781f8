"""Passive health: what requests met at an endpoint ejects it for a time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancers.health import Health, Thresholds
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from discovery.instance import Availability
from tests.balancers.making import endpoint as an_endpoint
from tests.balancers.making import instance, snapshot

if TYPE_CHECKING:
    from balancers.endpoint import Endpoint

LOCAL = ["connect", "reset", "timeout", "malformed"]
Events = list[tuple[str, str, str]]


def fail(health: Health, *kinds: str) -> list[str]:
    """Have requests fail; return what is said to each of them."""
    return [health.failed(kind, f"{kind} it was") for kind in kinds]


class TestStreaks:
    def test_five_in_a_row_of_either_kind_are_enough(self) -> None:
        said = fail(Health(Thresholds(), 0.0), *["5xx"] * 5)
        assert said == ["", "", "", "", "5 requests in a row failed, the last one: 5xx it was"]
        said = fail(Health(Thresholds(), 0.0), "connect", "reset", "timeout", "malformed", "reset")
        assert said == ["", "", "", "", "5 requests in a row failed, the last one: reset it was"]

    def test_one_may_be_enough(self) -> None:
        thresholds = Thresholds(consecutive_5xx=1, consecutive_local_failures=1)
        assert fail(Health(thresholds, 0.0), "5xx") == ["1 request failed, the last one: 5xx it was"]
        assert fail(Health(thresholds, 0.0), "timeout") == ["1 request failed, the last one: timeout it was"]

    def test_a_good_answer_ends_both_streaks(self) -> None:
        health = Health(Thresholds(), 0.0)
        fail(health, *["5xx"] * 4)
        health.answered_well()
        assert fail(health, *["5xx"] * 4) == [""] * 4
        fail(health, *["reset"] * 4)
        health.answered_well()
        assert fail(health, *["reset"] * 4) == [""] * 4

    def test_an_answer_of_5xx_ends_the_streak_of_those_without_one(self) -> None:
        assert fail(Health(Thresholds(), 0.0), *["reset"] * 4, "5xx", *["reset"] * 4) == [""] * 9

    def test_no_answer_leaves_the_streak_of_5xx_as_it_is(self) -> None:
        health = Health(Thresholds(), 0.0)
        assert fail(health, *["5xx"] * 4, *["reset"] * 4) == [""] * 8
        assert fail(health, "5xx")[0].startswith("5 requests in a row failed")

    @pytest.mark.parametrize("kind", ["5xx", *LOCAL])
    def test_0_does_not_count_them(self, kind: str) -> None:
        thresholds = Thresholds(consecutive_5xx=0, consecutive_local_failures=0)
        assert fail(Health(thresholds, 0.0), *[kind] * 100) == [""] * 100

    def test_one_that_was_not_ejected_is_asked_about_every_so_often(self) -> None:
        said = fail(Health(Thresholds(consecutive_5xx=3), 0.0), *["5xx"] * 9)
        assert [bool(one) for one in said] == [False, False, True] * 3

    def test_one_that_is_out_already_is_not_asked_about(self) -> None:
        health = Health(Thresholds(consecutive_5xx=1), 0.0)
        health.eject("local", "for a reason", 0.0)
        assert fail(health, "5xx", "5xx") == ["", ""]

    @given(st.lists(st.sampled_from(["5xx", "connect", "timeout", "well"]), max_size=60))
    def test_a_row_is_a_row(self, outcomes: list[str]) -> None:
        health = Health(Thresholds(consecutive_5xx=3, consecutive_local_failures=4), 0.0)
        for at, outcome in enumerate(outcomes):
            if outcome == "well":
                health.answered_well()
                continue
            said = health.failed(outcome, "")
            since = outcomes[: at + 1][::-1]
            streak = 0
            for one in since:
                if one == "well" or (outcome != "5xx" and one == "5xx"):
                    break
                streak += (one == "5xx") == (outcome == "5xx")
            assert bool(said) == (streak % (3 if outcome == "5xx" else 4) == 0)

    def test_an_endpoint_counts_each_kind_and_suspects_itself(self) -> None:
        one = an_endpoint("a")
        for kind in ("5xx", "5xx", *LOCAL, "reset"):
            one.failed(kind, "")
        assert (one.server_errors, one.connect_failures, one.broken) == (2, 1, 2)
        assert (one.timeouts, one.malformed, one.suspect) == (1, 1, True)
        one.answered_well()
        assert not one.suspect
        assert one.server_errors == 2


def ejected(health: Health, now: float) -> float:
    """Eject it, and let it back when its time is over; return how long that was."""
    health.eject("5xx", "for a reason", now)
    assert health.state == "ejected"
    seconds = health.until - now
    assert not health.expire(health.until - 0.001)
    assert health.expire(health.until)
    return seconds


class TestTheTime:
    def test_each_further_ejection_in_a_row_lasts_longer(self) -> None:
        health = Health(Thresholds(base_ejection_time=30.0), 0.0)
        now, times = 0.0, []
        for _ in range(12):
            times.append(ejected(health, now))
            now = health.since + 9.0  # not long enough to count as healthy
        assert times == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
        assert health.ejections == 12

    def test_a_base_longer_than_the_longest_time_is_not_cut(self) -> None:
        health = Health(Thresholds(base_ejection_time=400.0), 0.0)
        assert [ejected(health, 0.0), ejected(health, 400.0)] == [400.0, 400.0]

    def test_a_base_that_does_not_go_into_the_longest_time_ends_there_all_the_same(self) -> None:
        health = Health(Thresholds(base_ejection_time=200.0), 0.0)
        assert [ejected(health, 0.0), ejected(health, 200.0), ejected(health, 500.0)] == [200.0, 300.0, 300.0]

    @pytest.mark.parametrize(
        ("healthy_for", "seconds"), [(0.0, 120), (9.5, 120), (10.0, 90), (19.5, 90), (20.0, 60), (30.0, 30), (9e9, 30)]
    )
    def test_each_interval_that_goes_well_takes_one_off(self, healthy_for: float, seconds: float) -> None:
        health = Health(Thresholds(base_ejection_time=30.0, interval=10.0), 0.0)
        for _ in range(3):
            ejected(health, health.since)
        assert ejected(health, health.since + healthy_for) == seconds

    def test_what_was_taken_off_stays_off(self) -> None:
        health = Health(Thresholds(base_ejection_time=30.0), 0.0)
        for _ in range(4):
            ejected(health, health.since)
        assert ejected(health, health.since + 25.0) == 90.0  # 4 - 2 + 1
        assert ejected(health, health.since) == 120.0

    def test_an_ejection_by_probes_lengthens_nothing_and_what_went_well_before_it_counts(self) -> None:
        health = Health(Thresholds(base_ejection_time=30.0, rise=1, fall=1), 0.0)
        for _ in range(3):
            ejected(health, health.since)
        health.probed(False, "HTTP 500", health.since + 20.0)
        assert (health.state, health.cause, health.until) == ("ejected", "probe", float("inf"))
        health.probed(True, "HTTP 200", health.since + 1000.0)
        assert ejected(health, health.since) == 60.0  # 3 - 2 + 1: no time counts while it is out

    def test_it_says_how_long_it_was_out(self) -> None:
        health = Health(Thresholds(base_ejection_time=0.1), 1000.1)
        ejected(health, 1000.1)
        assert health.reason == "0.1 s have passed since it was ejected"
        ejected(health, 1000.2)
        assert health.reason == "0.2 s have passed since it was ejected"
        assert (health.state, health.cause, health.until) == ("healthy", "", float("inf"))

    def test_one_that_is_well_does_not_expire(self) -> None:
        health = Health(Thresholds(), 0.0)
        assert not health.expire(1e9)

    def test_streaks_begin_anew_when_it_is_back(self) -> None:
        health = Health(Thresholds(), 0.0)
        fail(health, *["5xx"] * 5, *["reset"] * 4)
        ejected(health, 0.0)
        assert fail(health, *["5xx"] * 4, *["reset"] * 4) == [""] * 8


class TestProbesMeanwhile:
    def test_probes_that_pass_let_it_back_early(self) -> None:
        health = Health(Thresholds(rise=2, fall=3), 0.0)
        health.probed(True, "HTTP 200", 1.0)
        health.eject("local", "for a reason", 2.0)
        assert not health.probed(True, "HTTP 200", 3.0)  # what passed before counts for nothing
        assert health.probed(True, "HTTP 200", 4.0)
        assert (health.state, health.reason, health.cause) == ("healthy", "2 probes in a row passed", "")

    def test_probes_that_fail_keep_it_out_until_they_pass(self) -> None:
        health = Health(Thresholds(rise=2, fall=3), 0.0)
        health.eject("local", "for a reason", 0.0)
        for second in (1.0, 2.0, 3.0):
            assert not health.probed(False, "HTTP 500", second)
        assert not health.expire(30.0)
        assert (health.state, health.cause) == ("ejected", "probe")
        assert health.reason == "3 probes in a row failed, the last one: HTTP 500"
        assert not health.expire(1e9)
        health.probed(True, "HTTP 200", 31.0)
        assert health.probed(True, "HTTP 200", 32.0)

    def test_fewer_failures_do_not(self) -> None:
        health = Health(Thresholds(rise=2, fall=3), 0.0)
        health.eject("local", "for a reason", 0.0)
        health.probed(False, "HTTP 500", 1.0)
        health.probed(False, "HTTP 500", 2.0)
        assert health.expire(30.0)
        assert not health.probed(False, "HTTP 500", 31.0)  # and count for nothing afterwards


def pool_of(count: int, *, max_ejection: float = 0.1, **options: Any) -> tuple[Pool, list[Endpoint], Events]:
    events: Events = []
    pool = Pool(
        RoundRobin,
        random.Random(1),
        max_ejection=max_ejection,
        thresholds=Thresholds(rise=1, fall=1, consecutive_5xx=2, consecutive_local_failures=2),
        record=lambda kind, name, reason: events.append((kind, name, reason)),
        **options,
    )
    pool.update(snapshot(*(instance(f"e{n}") for n in range(count))), now=0.0)
    events.clear()
    return pool, list(pool.endpoints), events


def break_(pool: Pool, one: Endpoint, kind: str = "5xx", now: float = 0.0, times: int = 2) -> None:
    for _ in range(times):
        pool.failed(one, kind, f"{kind} it was", now)


def out(pool: Pool) -> list[str]:
    return [one.instance.id for one in pool.endpoints if one.health.state == "ejected"]


class TestInThePool:
    def test_one_that_fails_is_picked_no_more_until_its_time_is_over(self) -> None:
        pool, [a, *_], events = pool_of(3)
        break_(pool, a, "timeout", now=100.0)
        assert {pool.pick() for _ in range(30)} == {*pool.endpoints} - {a}
        pool.settle(129.9)
        assert out(pool) == ["e0"]
        pool.settle(130.0)
        assert a in {pool.pick() for _ in range(3)}
        assert events == [
            ("ejected", "e0", "2 requests in a row failed, the last one: timeout it was"),
            ("readmitted", "e0", "30 s have passed since it was ejected"),
        ]

    def test_ejections_are_counted_by_what_was_found(self) -> None:
        pool, [a, b, c], _ = pool_of(3, max_ejection=1.0)
        break_(pool, a, "5xx")
        break_(pool, b, "reset")
        assert {cause for cause, count in pool.ejections_by.items() if count == 1} == {"5xx", "local"}
        pool.probed(c, False, "HTTP 500", 0.0)
        assert {cause for cause, count in pool.ejections_by.items() if count == 1} == {"probe", "5xx", "local"}
        assert pool.ejections == 3

    @pytest.mark.parametrize(
        ("count", "share", "most"),
        [
            (3, 0.1, 1),  # one always may
            (3, 0.0, 1),
            (20, 0.1, 2),
            (29, 0.1, 2),
            (10, 0.3, 3),
            (100, 0.57, 57),
            (100, 0.29, 29),
            (2, 1.0, 1),  # the last one never is
            (5, 1.0, 4),
            (1, 1.0, 0),
        ],
    )
    def test_so_many_may_be_out_at_a_time(self, count: int, share: float, most: int) -> None:
        pool, everyone, _ = pool_of(count, max_ejection=share, panic_threshold=0.0)
        for one in everyone:
            break_(pool, one)
        assert len(out(pool)) == most
        assert pool.pick() is not None

    def test_when_one_is_back_another_one_may_go(self) -> None:
        pool, [a, b, _], _ = pool_of(3)
        break_(pool, a, now=0.0)
        break_(pool, b, now=1.0)
        assert out(pool) == ["e0"]
        pool.settle(30.0)
        break_(pool, b, now=31.0)
        assert out(pool) == ["e1"]

    def test_the_last_healthy_one_is_not_ejected_though_others_are_out_for_their_probes(self) -> None:
        pool, [a, b], _ = pool_of(2)
        pool.probed(a, False, "HTTP 500", 0.0)
        break_(pool, b, times=10)
        assert out(pool) == ["e0"]

    def test_those_whom_the_registry_does_not_offer_are_nobody_to_fall_back_on(self) -> None:
        pool, _, _ = pool_of(0)
        draining = instance("b", availability=Availability.DRAINING)
        pool.update(snapshot(instance("a"), draining, instance("c", weight=0)), now=0.0)
        [a] = [one for one in pool.endpoints if one.instance.id == "a"]
        break_(pool, a, times=10)
        assert out(pool) == []

    def test_those_who_must_pass_their_first_probe_are_nobody_to_fall_back_on_either(self) -> None:
        pool = Pool(RoundRobin, random.Random(1), thresholds=Thresholds(must_pass_first=True, consecutive_5xx=2))
        pool.update(snapshot(instance("a"), instance("b")), now=0.0)
        [a, _] = pool.endpoints
        pool.probed(a, True, "HTTP 200", 0.0)
        break_(pool, a, times=10)
        assert out(pool) == []

    def test_one_that_has_left_ejects_nobody_and_keeps_nobody_s_place(self) -> None:
        pool, [a, b, c], events = pool_of(3)
        break_(pool, a)
        pool.update(snapshot(b.instance, c.instance), now=1.0)
        break_(pool, a, times=10)
        assert [event[0] for event in events] == ["ejected", "left"]
        assert pool.pick() is not None
        pool.update(snapshot(a.instance, b.instance, c.instance), now=2.0)
        break_(pool, b, now=3.0)
        assert out(pool) == ["e1"]

    def test_one_that_comes_back_at_another_address_begins_anew(self) -> None:
        pool, [a, b, c], _ = pool_of(3)
        break_(pool, a)
        pool.update(snapshot(instance("e0", port=81), b.instance, c.instance), now=1.0)
        assert out(pool) == []

    def test_a_passing_probe_lets_it_back_and_settling_then_does_nothing(self) -> None:
        pool, [a, *_], events = pool_of(3)
        break_(pool, a)
        pool.probed(a, True, "HTTP 200", 1.0)
        pool.settle(30.0)
        assert [event[0] for event in events] == ["ejected", "readmitted"]
        assert not pool._timed

    def test_a_failing_probe_keeps_it_out_for_good(self) -> None:
        pool, [a, b, _], events = pool_of(3)
        break_(pool, a)
        pool.probed(a, False, "HTTP 500", 1.0)
        pool.settle(30.0)
        assert out(pool) == ["e0"]
        assert a.health.cause == "probe"
        break_(pool, b, now=31.0)  # whose place in the share is free now
        assert out(pool) == ["e0", "e1"]
        pool.probed(a, True, "HTTP 200", 32.0)
        assert [event[0] for event in events] == ["ejected", "ejected", "readmitted"]

    def test_in_panic_one_that_is_out_is_used_all_the_same(self) -> None:
        pool, [a, b, c], _ = pool_of(3)
        pool.probed(b, False, "HTTP 500", 0.0)
        break_(pool, a)
        assert pool.panic
        assert {pool.pick() for _ in range(9)} == {a, b, c}
        break_(pool, a, times=10)  # and fails there: it is out already
        assert pool.ejections == 2

    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from(["5xx", "reset", "well", "passes", "fails", "settles"])),
            max_size=80,
        ),
        st.floats(0.0, 1.0),
    )
    def test_whatever_happens_one_is_left_and_the_share_is_kept(
        self, events: list[tuple[int, str]], share: float
    ) -> None:
        pool, everyone, _ = pool_of(6, max_ejection=share, panic_threshold=0.0)
        for second, (number, event) in enumerate(events):
            one, now = everyone[number], second * 7.0
            before = {other for other in everyone if other.pickable}
            if event in ("5xx", "reset"):
                pool.failed(one, event, "", now)
                assert any(other.pickable for other in everyone) or not before
            elif event == "well":
                one.answered_well()
            elif event == "settles":
                pool.settle(now)
            else:
                pool.probed(one, event == "passes", "", now)
            assert len(pool._timed) <= max(int(share * 6 + 1e-9), 1)
            assert all(other.health.state == "ejected" for other in pool._timed)
