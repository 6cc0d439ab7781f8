"""The state machine of an endpoint's health."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancers.health import Health, Thresholds

PASS, FAIL = True, False


def after(outcomes: list[bool], thresholds: Thresholds) -> Health:
    health = Health(thresholds, now=0.0)
    for second, outcome in enumerate(outcomes, start=1):
        health.probed(outcome, "HTTP 200" if outcome else "HTTP 500", now=float(second))
    return health


@pytest.mark.parametrize(
    ("outcomes", "state", "since"),
    [
        ([], "healthy", 0),
        ([FAIL, FAIL], "healthy", 0),
        ([FAIL, FAIL, FAIL], "ejected", 3),
        ([FAIL, FAIL, PASS, FAIL, FAIL], "healthy", 0),
        ([FAIL, FAIL, FAIL, FAIL, FAIL], "ejected", 3),
        ([FAIL, FAIL, FAIL, PASS], "ejected", 3),
        ([FAIL, FAIL, FAIL, PASS, FAIL, PASS], "ejected", 3),
        ([FAIL, FAIL, FAIL, PASS, PASS], "healthy", 5),
        ([FAIL, FAIL, FAIL, PASS, PASS, FAIL, FAIL, FAIL], "ejected", 8),
    ],
)
def test_rise_and_fall(outcomes: list[bool], state: str, since: float) -> None:
    health = after(outcomes, Thresholds(rise=2, fall=3))
    assert (health.state, health.since) == (state, since)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [([], "waiting"), ([FAIL] * 9, "waiting"), ([PASS], "healthy"), ([FAIL, FAIL, PASS], "healthy")],
)
def test_one_that_must_pass_first(outcomes: list[bool], state: str) -> None:
    assert after(outcomes, Thresholds(rise=2, fall=3, must_pass_first=True)).state == state


@pytest.mark.parametrize(
    ("outcomes", "answers"),
    [
        ([], None),
        ([PASS], True),
        ([FAIL, FAIL], True),
        ([FAIL, FAIL, FAIL], False),
        ([FAIL, FAIL, FAIL, PASS], False),
        ([FAIL, FAIL, FAIL, PASS, PASS], True),
    ],
)
def test_whether_it_answers_its_probes(outcomes: list[bool], answers: bool | None) -> None:
    assert after(outcomes, Thresholds(rise=2, fall=3)).answers is answers


def test_one_that_has_yet_to_pass_does_not_answer() -> None:
    assert after([], Thresholds(must_pass_first=True)).answers is None
    assert after([FAIL], Thresholds(must_pass_first=True)).answers is False


def test_what_requests_met_says_nothing_of_its_probes() -> None:
    health = after([PASS], Thresholds(rise=2, fall=3))
    health.eject("local", "5 requests failed", now=2.0)
    assert health.answers is True
    for second in (3.0, 4.0, 5.0):
        health.probed(FAIL, "HTTP 500", now=second)
    assert health.answers is False


def test_it_says_why() -> None:
    health = after([FAIL, FAIL, FAIL], Thresholds())
    assert health.reason == "3 probes in a row failed, the last one: HTTP 500"
    assert health.ejections == 1
    health.probed(PASS, "HTTP 200", now=4.0)
    health.probed(PASS, "HTTP 200", now=5.0)
    assert health.reason == "2 probes in a row passed"
    waiting = after([FAIL], Thresholds(must_pass_first=True))
    assert waiting.reason == "its first probe has not passed yet: HTTP 500"


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_a_change_needs_its_row_of_evidence(outcomes: list[bool], rise: int, fall: int) -> None:
    health = Health(Thresholds(rise, fall), now=0.0)
    for index, outcome in enumerate(outcomes):
        before = health.state
        changed = health.probed(outcome, "", now=float(index))
        assert changed == (health.state != before)
        if changed:
            needed = fall if health.state == "ejected" else rise
            assert outcomes[index + 1 - needed : index + 1] == [health.state == "healthy"] * needed
