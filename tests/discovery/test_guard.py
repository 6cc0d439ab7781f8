"""What is in force, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.guard import Guard, Verdict, same_instances
from discovery.instance import Availability, Instance, Snapshot

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


def instances(count: int, first: int = 0) -> list[Instance]:
    return [Instance(f"web-{number}", f"10.0.1.{number}", 80) for number in range(first, first + count)]


TEN = instances(10)


class Probes:
    """What probes say of instances: those that are `well` answer, those that are `ill` do not, others had none."""

    def __init__(self, *, well: list[Instance] | None = None, ill: list[Instance] | None = None) -> None:
        self.found = {one.id: True for one in well or []} | {one.id: False for one in ill or []}

    def __call__(self, instance: Instance) -> bool | None:
        return self.found.get(instance.id)


def in_force(guard: Guard) -> set[str]:
    assert guard.current is not None
    return {instance.id for instance in guard.current.instances}


def of_ten(answers: Probes | None = None, max_shrink: float = 0.5) -> Guard:
    """A guard with TEN in force for a long time."""
    guard = Guard(HOLD, max_shrink, answers or Probes())
    guard.answered(web(*TEN, continuous=False), 0.0)
    return guard


class TestShare:
    """A set that shrinks."""

    @pytest.mark.parametrize(("left", "verdict"), [(5, Verdict.CHANGED), (4, Verdict.HELD), (1, Verdict.HELD)])
    def test_more_than_the_share_must_be_gone(self, left: int, verdict: Verdict):
        assert of_ten().answered(web(*TEN[:left], continuous=False), 10.0) is verdict

    def test_a_share_is_not_lost_to_rounding(self):
        hundred = instances(100)
        guard = Guard(HOLD, 0.57)
        guard.answered(web(*hundred, continuous=False), 0.0)
        assert guard.answered(web(*hundred[:43], continuous=False), 10.0) is Verdict.CHANGED

    def test_a_share_of_all_doubts_only_empty_sets(self):
        assert of_ten(max_shrink=1.0).answered(web(TEN[0], continuous=False), 10.0) is Verdict.CHANGED

    def test_what_was_lost_stays_in_force_beside_what_is_new_and_what_changed(self):
        guard = of_ten()
        heavier = Instance("web-0", "10.0.1.0", 80, weight=7)
        assert guard.answered(web(heavier, A, continuous=False), 10.0) is Verdict.HELD
        assert in_force(guard) == {one.id for one in TEN} | {"a"}
        assert guard.current is not None
        assert heavier in guard.current.instances
        assert (guard.kept, guard.reason) == (9, "nobody saw them go")

    def test_an_instance_that_came_back_under_another_identity_is_not_kept_twice(self):
        guard = of_ten()
        again = Instance("session-2", TEN[0].address, TEN[0].port)
        guard.answered(web(again, continuous=False), 10.0)
        assert in_force(guard) == {one.id for one in TEN[1:]} | {"session-2"}

    def test_another_set_of_the_same_size_has_not_shrunk(self):
        guard = of_ten(Probes(well=TEN))
        assert guard.answered(web(*instances(10, 10)), 10.0) is Verdict.CHANGED
        assert guard.kept == 0

    def test_enough_instances_end_the_hold_whoever_they_are(self):
        guard = of_ten()
        guard.answered(web(continuous=False), 10.0)
        assert guard.answered(web(*instances(4, 10)), 11.0) is Verdict.HELD
        assert guard.answered(web(*instances(5, 10)), 12.0) is Verdict.CHANGED
        assert in_force(guard) == {one.id for one in instances(5, 10)}
        assert (guard.held, guard.ending) == (None, "")

    def test_the_hold_ends_and_the_small_set_counts_from_then_on(self):
        guard = of_ten()
        small = web(*TEN[:3], continuous=False)
        guard.answered(small, 10.0)
        assert guard.release(69.9) is None
        assert guard.release(70.0) is small
        assert guard.ending == "it was held for 60 s"
        assert guard.answered(web(*TEN[:2], continuous=False), 80.0) is Verdict.CHANGED

    def test_a_watch_that_breaks_leaves_what_is_in_force_and_what_it_is_measured_by(self):
        guard = of_ten()
        guard.answered(web(TEN[0], A, continuous=False), 10.0)
        guard.broken()
        assert in_force(guard) == {one.id for one in TEN} | {"a"}
        assert guard.answered(web(*TEN[:4], A, continuous=False), 100.0) is Verdict.CHANGED

    def test_an_operator_may_say_that_it_is_right(self):
        guard = of_ten()
        assert guard.accept(5.0, "so they say") is None
        held = web(TEN[0], continuous=False)
        guard.answered(held, 10.0)
        assert guard.accept(11.0, "so they say") is held
        assert (guard.current, guard.ending) == (held, "so they say")

    def test_those_that_took_no_requests_are_not_kept(self):
        gone = [
            Instance("a", "10.0.0.1", 80, availability=Availability.DRAINING),
            Instance("b", "10.0.0.2", 80, availability=Availability.DOWN),
            Instance("c", "10.0.0.3", 80, weight=0),
        ]
        guard = Guard(HOLD, 0.5)
        guard.answered(web(*gone, TEN[0], continuous=False), 0.0)
        assert guard.answered(web(TEN[0], continuous=False), 10.0) is Verdict.CHANGED


class TestContinuity:
    """We watched them go: then only probes can say that it is not so."""

    def test_without_probes_it_is_so(self):
        assert of_ten().answered(web(TEN[0]), 10.0) is Verdict.CHANGED

    def test_many_that_go_at_once_and_answer_probes_are_kept(self):
        guard = of_ten(Probes(well=TEN))
        assert guard.answered(web(TEN[0]), 10.0) is Verdict.HELD
        assert in_force(guard) == {one.id for one in TEN}
        assert guard.reason == "they still answer probes"

    def test_in_however_many_answers_a_registry_says_it(self):
        guard = of_ten(Probes(well=TEN))
        verdicts = [guard.answered(web(*TEN[:left]), 10.0 + 0.01 * (9 - left)) for left in range(9, -1, -1)]
        assert verdicts == [Verdict.CHANGED] * 5 + [Verdict.HELD] * 5
        assert in_force(guard) == {one.id for one in TEN[:5]}

    def test_one_after_the_other_they_go(self):
        guard = of_ten(Probes(well=TEN))
        for left in range(9, 0, -1):
            assert guard.answered(web(*TEN[:left]), 10.0 * (10 - left)) is Verdict.CHANGED

    def test_a_single_one_goes_however_small_the_share(self):
        guard = Guard(HOLD, 0.1, Probes(well=TEN))
        guard.answered(web(*TEN[:2], continuous=False), 0.0)
        assert guard.answered(web(TEN[0]), 10.0) is Verdict.CHANGED

    def test_the_last_one_is_kept_while_it_answers(self):
        probes = Probes(well=TEN)
        guard = Guard(HOLD, 0.5, probes)
        guard.answered(web(TEN[0], continuous=False), 0.0)
        assert guard.answered(web(), 10.0) is Verdict.HELD
        probes.found["web-0"] = False
        assert guard.release(11.0) == web()

    def test_entries_that_could_not_be_read_may_be_those_that_are_gone(self):
        guard = of_ten()
        assert guard.answered(web(*TEN[:4], unreadable=("web-4: no port",)), 10.0) is Verdict.HELD
        assert guard.reason == "entries could not be read"

    def test_too_few_of_them_explain_nothing(self):
        assert of_ten().answered(web(*TEN[:2], unreadable=("x: no port",)), 10.0) is Verdict.CHANGED


class TestProbes:
    """What probes say of instances that the registry does not name."""

    def test_those_that_fail_are_let_go(self):
        probes = Probes(well=TEN[:8], ill=TEN[8:])
        guard = of_ten(probes)
        assert guard.answered(web(continuous=False), 10.0) is Verdict.HELD
        assert in_force(guard) == {one.id for one in TEN[:8]}
        probes.found["web-7"] = False
        assert guard.release(11.0) is guard.current
        assert in_force(guard) == {one.id for one in TEN[:7]}
        assert guard.release(12.0) is None
        assert guard.held_since == 10.0

    def test_a_set_whose_lost_instances_all_fail_is_accepted_at_once(self):
        guard = of_ten(Probes(ill=TEN))
        assert guard.answered(web(continuous=False), 10.0) is Verdict.CHANGED

    def test_and_so_it_is_when_the_last_one_fails_during_the_hold(self):
        probes = Probes(ill=TEN[1:], well=TEN[:1])
        guard = of_ten(probes)
        held = web(continuous=False)
        guard.answered(held, 10.0)
        probes.found["web-0"] = False
        assert guard.release(11.0) is held
        assert guard.ending == "the probes of all that it lost fail"

    def test_the_same_is_found_out_by_an_answer(self):
        probes = Probes(well=TEN)
        guard = of_ten(probes)
        guard.answered(web(continuous=False), 10.0)
        probes.found = dict.fromkeys(probes.found, False)
        assert guard.answered(web(), 11.0) is Verdict.CHANGED
        assert guard.ending == "the probes of all that it lost fail"

    def test_one_that_was_not_probed_yet_stays(self):
        guard = of_ten(Probes(ill=TEN[1:]))
        assert guard.answered(web(continuous=False), 10.0) is Verdict.HELD
        assert in_force(guard) == {"web-0"}


def test_what_an_earlier_process_knew_is_what_the_first_answer_is_measured_by():
    guard = Guard(HOLD, 0.5)
    guard.restored(web(*TEN, continuous=False))
    assert in_force(guard) == {one.id for one in TEN}
    assert guard.answered(web(continuous=False), 1.0) is Verdict.HELD
    assert guard.answered(web(*TEN[:5], continuous=False), 2.0) is Verdict.CHANGED


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


sizes = st.lists(st.sampled_from(TEN), unique_by=lambda instance: instance.id)
those_ill = st.sets(st.sampled_from([one.id for one in TEN]))
turns = st.lists(st.tuples(st.floats(0, 40), sizes, st.booleans(), those_ill), max_size=40)


@given(turns, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_what_a_registry_names_is_in_force_and_what_else_is_was_so_before(
    history: list[tuple[float, list[Instance], bool, set[str]]], max_shrink: float
):
    """Whatever happens: no instance is missing, none is made up, none that fails its probes is kept, none for long."""
    probes = Probes()
    guard = Guard(HOLD, max_shrink, probes)
    now = 0.0
    named_at: dict[str, float] = {}  # when an answer last named it
    for pause, answer, continuous, ill in history:
        now += pause
        probes.found = {one.id: one.id not in ill for one in TEN}
        guard.answered(web(*answer, continuous=continuous), now)
        names = {one.id for one in answer}
        named_at |= dict.fromkeys(names, now)
        kept = in_force(guard) - names
        assert names <= in_force(guard)
        assert len(kept) == guard.kept
        assert (guard.held is not None) == bool(kept)
        assert not kept & ill
        assert all(name in named_at for name in kept)
        assert not kept or (guard.held_since is not None and now < guard.held_since + HOLD)
