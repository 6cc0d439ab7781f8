"""What is in force, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.guard import Guard, Verdict, same_instances
from discovery.instance import Instance, Snapshot

HOLD = 60.0
A, B = Instance("a", "10.0.0.1", 80), Instance("b", "10.0.0.2", 80)


def web(*instances: Instance, continuous: bool = True, unreadable: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot("web", instances, continuous=continuous, unreadable=unreadable)


LOST = web(continuous=False)  # an empty set with nothing to show that its instances were deregistered


@pytest.fixture
def guard() -> Guard:
    """One with `a` in force since 0.0."""
    guard = Guard(HOLD)
    assert guard.answered(web(A, continuous=False), 0.0) is Verdict.CHANGED
    return guard


def test_an_answer_with_other_instances_is_in_force_at_once(guard: Guard):
    assert guard.answered(web(A, B), 1.0) is Verdict.CHANGED
    assert guard.current == web(A, B)


def test_the_order_of_instances_is_no_change_and_the_index_neither(guard: Guard):
    guard.answered(web(A, B), 1.0)
    assert guard.answered(Snapshot("web", (B, A), index="77"), 2.0) is Verdict.UNCHANGED
    assert guard.current is not None
    assert guard.current.index == "77"


def test_an_empty_set_is_accepted_when_we_watched_the_last_instance_go(guard: Guard):
    assert guard.answered(web(), 1.0) is Verdict.CHANGED


def test_an_empty_set_is_accepted_when_there_was_nothing_before():
    assert Guard(HOLD).answered(LOST, 0.0) is Verdict.CHANGED


def test_a_lost_set_is_held_back(guard: Guard):
    assert guard.answered(LOST, 1.0) is Verdict.HELD
    assert guard.current == web(A, continuous=False)
    assert (guard.held_since, guard.deadline) == (1.0, 61.0)


def test_empty_answers_that_follow_a_lost_set_are_held_until_the_first_is_due(guard: Guard):
    guard.answered(LOST, 1.0)
    assert guard.answered(web(), 30.0) is Verdict.HELD
    assert guard.answered(LOST, 60.0) is Verdict.HELD
    assert guard.held_since == 1.0
    assert guard.answered(web(), 61.0) is Verdict.CHANGED
    assert guard.current == web()
    assert guard.held_since is None


def test_a_held_set_is_released_without_a_further_answer(guard: Guard):
    guard.answered(LOST, 1.0)
    assert guard.release(60.9) is None
    assert guard.release(61.0) is LOST
    assert (guard.current, guard.held_since, guard.deadline) == (LOST, None, None)
    assert guard.release(62.0) is None


@pytest.mark.parametrize("continuous", [True, False])
def test_instances_end_a_hold_at_once(guard: Guard, continuous: bool):
    guard.answered(LOST, 1.0)
    assert guard.answered(web(B, continuous=continuous), 2.0) is Verdict.CHANGED
    assert guard.deadline is None
    assert guard.answered(web(), 3.0) is Verdict.CHANGED  # and b was then watched as it went


def test_the_same_instances_after_a_hold_are_no_change(guard: Guard):
    guard.answered(LOST, 1.0)
    assert guard.answered(web(A), 2.0) is Verdict.UNCHANGED


def test_a_watch_that_breaks_stops_the_clock_of_the_hold(guard: Guard):
    guard.answered(LOST, 1.0)
    guard.broken()
    assert guard.deadline is None
    assert guard.release(1000.0) is None
    assert guard.answered(LOST, 1000.0) is Verdict.HELD
    assert guard.deadline == 1000.0 + HOLD


def test_a_set_whose_entries_are_all_unreadable_is_held_though_it_is_continuous(guard: Guard):
    assert guard.answered(web(unreadable=("a: port must be a number",)), 1.0) is Verdict.HELD


def test_a_hold_of_nothing_accepts_every_answer():
    guard = Guard(0.0)
    guard.answered(web(A), 0.0)
    assert guard.answered(LOST, 1.0) is Verdict.CHANGED


def test_a_changed_instance_is_a_change():
    heavier = Instance("a", "10.0.0.1", 80, weight=2)
    assert not same_instances(web(A), web(heavier))
    assert not same_instances(web(A), web(A, B))
    assert same_instances(web(A, B), web(B, A))


answers = st.builds(
    lambda instances, continuous: web(*instances, continuous=continuous),
    st.lists(st.sampled_from([A, B]), unique_by=lambda instance: instance.id),
    st.booleans(),
)
events = st.lists(st.tuples(st.sampled_from(["answer", "break", "tick"]), st.floats(0, 50), answers), max_size=60)


@given(events)
def test_instances_are_only_dropped_for_a_reason(history: list[tuple[str, float, Snapshot]]):
    """An empty set takes the place of instances if they were watched as they went, or after a hold without a break."""
    guard = Guard(HOLD)
    now = 0.0
    empty_since: float | None = None  # in one watch, with nothing but empty answers
    for kind, pause, answer in history:
        now += pause
        had = guard.current is not None and bool(guard.current.instances)
        if kind == "break":
            guard.broken()
            empty_since = None
        elif kind == "tick":
            guard.release(now)
        else:
            verdict = guard.answered(answer, now)
            if answer.instances:
                assert verdict is not Verdict.HELD
                assert guard.current is answer
                empty_since = None
            elif empty_since is None:
                empty_since = now
        assert guard.held_since is None or guard.deadline == guard.held_since + HOLD
        if had and guard.current is not None and not guard.current.instances:
            watched = kind == "answer" and answer.continuous and empty_since == now
            assert watched or (empty_since is not None and now >= empty_since + HOLD)
