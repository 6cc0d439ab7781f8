"""What an operator drained stays drained, whatever the registry says meanwhile."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from balancers import drains as module
from balancers.drains import Drains
from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from balancers.slow_start import SlowStart
from balancers.sticky import Cookie, Sticky
from balancers.weighted_round_robin import WeightedRoundRobin
from discovery.instance import Availability
from tests.balancers.asking import Asked
from tests.balancers.making import instance, snapshot
from tests.balancers.test_pool import Events, picked, pool_of, probe

WHY = "drained by an operator since noon"


def drain(pool: Pool, name: str, why: str = WHY) -> bool:
    endpoint = pool.endpoint(name)
    assert endpoint is not None
    return pool.drain(endpoint, why)


def test_a_drained_endpoint_gets_nothing_until_it_is_undrained() -> None:
    pool, events = pool_of(instance("a"), instance("b"))
    assert drain(pool, "a")
    assert picked(pool) == {"b"}
    assert pool.undrain("a", "by an operator", now=1.0)
    assert picked(pool) == {"a", "b"}
    assert events[2:] == [("drained", "a", WHY), ("undrained", "a", "by an operator")]


def test_saying_it_again_changes_nothing() -> None:
    pool, events = pool_of(instance("a"), instance("b"))
    assert not pool.undrain("a", "by an operator", now=1.0)
    assert drain(pool, "a")
    assert not drain(pool, "a", "drained once more")
    assert pool.drains.reasons == {"a": WHY}
    assert [kind for kind, _, _ in events[2:]] == ["drained"]


def test_it_stays_drained_through_updates_and_when_it_comes_back_elsewhere() -> None:
    pool, _ = pool_of(instance("a"), instance("b"))
    drain(pool, "a")
    for then in (
        instance("a", weight=9),
        instance("a", availability=Availability.DRAINING),
        instance("a"),
        instance("a", port=81),
        None,
        instance("a", port=82),
    ):
        pool.update(snapshot(instance("b"), *([then] if then else [])), now=1.0)
        assert picked(pool) == {"b"}
        assert ("a" in pool.drains.away) == (then is None)
    pool.undrain("a", "by an operator", now=2.0)
    assert picked(pool) == {"a", "b"}


def test_one_that_is_away_can_be_undrained() -> None:
    pool, _ = pool_of(instance("a"), instance("b"))
    drain(pool, "a")
    pool.update(snapshot(instance("b")), now=1.0)
    assert pool.undrain("a", "by an operator", now=2.0)
    pool.update(snapshot(instance("a"), instance("b")), now=3.0)
    assert picked(pool) == {"a", "b"}


def test_one_that_has_left_cannot_be_drained() -> None:
    pool, _ = pool_of(instance("a"), instance("b"))
    gone = pool.endpoint("a")
    assert gone is not None
    pool.update(snapshot(instance("b")), now=1.0)
    assert not pool.drain(gone, WHY)
    assert not pool.drains.reasons


def test_of_those_that_are_away_the_last_are_remembered() -> None:
    pool, _ = pool_of(*(instance(f"{number}") for number in range(5)))
    pool.drains = Drains(most_away=3)
    for number in range(5):
        drain(pool, f"{number}")
    for left in range(5):
        pool.update(snapshot(*(instance(f"{number}") for number in range(left + 1, 5))), now=1.0)
    assert list(pool.drains.away) == list(pool.drains.reasons) == ["2", "3", "4"]
    assert module.MOST_AWAY == 1000


def test_panic_leaves_the_drained_alone() -> None:
    pool, _ = pool_of(instance("a"), instance("b"), instance("c"))
    drain(pool, "a")
    assert not pool.panic  # two of two that are offered are healthy
    probe(pool, "b", passed=False)
    probe(pool, "c", passed=False)
    assert pool.panic
    assert picked(pool) == {"b", "c"}


def test_the_client_is_told_why_nobody_answers() -> None:
    pool, _ = pool_of(instance("a"))
    drain(pool, "a")
    assert pool.why_none() == f"its only instance is {WHY}"
    pool, _ = pool_of(instance("a"), instance("b"), panic_threshold=0.0)
    drain(pool, "a")
    drain(pool, "b")
    assert pool.pick() is None
    assert pool.why_none() == f"all of its 2 instances are drained; a: {WHY}"
    pool.update(snapshot(instance("a"), instance("b"), instance("c", weight=0)), now=1.0)
    others = "and the registry offers none of the others: draining, down or of weight 0"
    assert pool.why_none() == f"2 of its 3 instances are drained (a: {WHY}), {others}"
    pool.update(snapshot(instance("a"), instance("d")), now=1.0)
    probe(pool, "d", passed=False)
    assert pool.pick() is None
    assert pool.why_none().startswith("its only instance is not healthy; d: ")


def test_probes_of_a_drained_one_still_count() -> None:
    pool, _ = pool_of(instance("a"), instance("b"), panic_threshold=0.0)
    drain(pool, "a")
    probe(pool, "a", passed=False)
    pool.undrain("a", "by an operator", now=1.0)
    assert picked(pool) == {"b"}


def test_sessions_move() -> None:
    sticky = Sticky(Cookie("sid"), b"")
    pool = Pool(RoundRobin, random.Random(1), sticky=sticky)
    pool.update(snapshot(instance("a"), instance("b")), now=0.0)
    request = Asked(headers={b"cookie": b"sid=" + sticky.mark("a")})
    assert {pool.pick(request) for _ in range(9)} == {pool.endpoint("a")}
    drain(pool, "a")
    assert {pool.pick(request) for _ in range(9)} == {pool.endpoint("b")}


def test_an_undrained_one_starts_slowly() -> None:
    pool = Pool(WeightedRoundRobin, random.Random(1), slow_start=SlowStart(10.0, 1.0, 0.1))
    pool.update(snapshot(instance("a", weight=10), instance("b", weight=10)), now=0.0)
    drain(pool, "a")
    pool.undrain("a", "by an operator", now=5.0)
    a = pool.endpoint("a")
    assert a is not None
    assert a.weight == pytest.approx(1.0)
    pool.settle(now=20.0)
    assert a.weight == 10


NAMES = st.sampled_from("abcd")


class Operator(RuleBasedStateMachine):
    """An operator, a registry and probes at once, against the simplest account of who may be picked."""

    @initialize()
    def begin(self) -> None:
        events: Events = []
        self.pool = Pool(
            RoundRobin,
            random.Random(1),
            panic_threshold=0.0,
            thresholds=Thresholds(rise=1, fall=1),
            record=lambda kind, endpoint, reason: events.append((kind, endpoint, reason)),
        )
        self.pool.drains = Drains(most_away=2)
        self.events = events
        self.there: dict[str, int] = {}
        self.sick: set[str] = set()

    @rule(there=st.dictionaries(NAMES, st.integers(80, 81)))
    def registry(self, there: dict[str, int]) -> None:
        self.pool.update(snapshot(*(instance(name, port=port) for name, port in there.items())), now=0.0)
        self.sick = {name for name in self.sick if there.get(name) == self.there[name]}
        self.there = there

    @rule(name=NAMES)
    def drain(self, name: str) -> None:
        endpoint = self.pool.endpoint(name)
        if endpoint is not None:
            was = name in self.pool.drains.reasons
            assert self.pool.drain(endpoint, WHY) is not was
            assert was or self.events[-1] == ("drained", name, WHY)

    @rule(name=NAMES)
    def undrain(self, name: str) -> None:
        was = name in self.pool.drains.reasons
        assert self.pool.undrain(name, "now", 0.0) is was
        assert not was or self.events[-1] == ("undrained", name, "now")
        assert name not in self.pool.drains.reasons

    @rule(name=NAMES, passed=st.booleans())
    def probe(self, name: str, passed: bool) -> None:
        endpoint = self.pool.endpoint(name)
        if endpoint is not None:
            self.pool.probed(endpoint, passed, "probe", 0.0)
            (self.sick.discard if passed else self.sick.add)(name)

    @invariant()
    def nobody_else_is_picked(self) -> None:
        drains = self.pool.drains
        assert picked(self.pool, 12) == self.there.keys() - drains.reasons.keys() - self.sick
        assert {endpoint.instance.id for endpoint in self.pool.endpoints if endpoint.drained} == (
            drains.reasons.keys() & self.there.keys()
        )
        assert drains.away.keys() == drains.reasons.keys() - self.there.keys()
        assert len(drains.away) <= 2


TestOperator = Operator.TestCase
TestOperator.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
