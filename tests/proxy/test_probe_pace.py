"""When an endpoint is probed next, by its health and its service's traffic."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from balancers.health import Health, Thresholds
from proxy.probe_pace import Intervals, Pace

WELL = Health(Thresholds(), 0.0)


def pace(*, idle: float = 60.0, idle_after: float = 30.0, jitter: float = 0.0) -> Pace:
    return Pace(Intervals(5.0, 1.0, idle, idle_after, jitter), random.Random(1))


def health(*probes: bool, must_pass_first: bool = False) -> Health:
    found = Health(Thresholds(rise=2, fall=2, must_pass_first=must_pass_first), 0.0)
    for passed in probes:
        found.probed(passed, "probe", 1.0)
    return found


def test_doubt_is_cleared_sooner() -> None:
    assert pace().interval(health()) == 5.0
    assert pace().interval(health(True)) == 5.0
    assert pace().interval(health(True, False)) == 1.0  # one more and it is out
    assert pace().interval(health(False, False)) == 1.0  # it is out
    assert pace().interval(health(False, False, True)) == 1.0  # one more and it is back
    assert pace().interval(health(False, False, True, True)) == 5.0
    assert pace().interval(health(must_pass_first=True)) == 1.0
    ejected = health(True)
    ejected.eject("5xx", "5 requests in a row failed", 2.0)
    assert pace().interval(ejected) == 1.0


def test_without_requests_those_that_are_well_are_left_in_peace() -> None:
    one = pace()
    assert [one.traffic(7, 0, now) for now in (0.0, 29.9, 30.0)] == [False, False, False]
    assert one.interval(WELL) == 60.0
    assert one.interval(health(False)) == 1.0
    assert one.interval(health(must_pass_first=True)) == 1.0
    assert one.traffic(8, 0, 100.0)  # a request that ended between two looks
    assert one.interval(WELL) == 5.0
    assert not one.traffic(8, 0, 129.0)


def test_a_tunnel_that_stays_open_is_traffic() -> None:
    one = pace()
    for now in range(0, 100, 10):
        one.traffic(1, 1, float(now))
        assert not one.idle
    one.traffic(1, 0, 119.0)
    assert not one.idle
    one.traffic(1, 0, 120.0)
    assert one.idle


def test_without_an_idle_interval_nothing_is_idle() -> None:
    one = pace(idle=0.0)
    assert [one.traffic(0, 0, now) for now in (0.0, 1000.0)] == [False, False]
    assert not one.idle
    assert one.interval(WELL) == 5.0


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=6), st.randoms(use_true_random=False))
def test_a_pause_strays_no_farther_than_it_may(jitter: float, probes: list[bool], source: random.Random) -> None:
    one = Pace(Intervals(5.0, 1.0, 60.0, 30.0, jitter), source)
    found = health(*probes)
    interval = one.interval(found)
    assert interval * (1 - jitter) <= one.pause(found) <= interval * (1 + jitter)
    assert 0 <= one.soon(found) <= interval
