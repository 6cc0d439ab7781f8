"""The pool: following snapshots, health and panic."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancers.health import Thresholds
from balancers.pool import Pool
from balancers.round_robin import RoundRobin
from balancers.weighted_round_robin import WeightedRoundRobin
from discovery.instance import Availability, Instance
from tests.balancers.making import instance, snapshot

Events = list[tuple[str, str, str]]


def pool_of(
    *instances: Instance, panic_threshold: float = 0.5, thresholds: Thresholds | None = None
) -> tuple[Pool, Events]:
    events: Events = []
    pool = Pool(
        RoundRobin,
        random.Random(1),
        panic_threshold=panic_threshold,
        thresholds=thresholds or Thresholds(),
        record=lambda kind, endpoint, reason: events.append((kind, endpoint, reason)),
    )
    pool.update(snapshot(*instances), now=0.0)
    return pool, events


def picked(pool: Pool, picks: int = 60) -> set[str]:
    return {endpoint.instance.id for endpoint in (pool.pick() for _ in range(picks)) if endpoint is not None}


def probe(pool: Pool, name: str, passed: bool, times: int = 3) -> None:
    endpoint = next(endpoint for endpoint in pool.endpoints if endpoint.instance.id == name)
    for _ in range(times):
        pool.probed(endpoint, passed, "HTTP 200" if passed else "HTTP 500", now=1.0)


class TestFollowingSnapshots:
    def test_an_empty_pool_picks_nobody_and_says_why(self) -> None:
        pool, _ = pool_of()
        assert pool.pick() is None
        assert pool.why_none() == "no instance is registered"
        assert Pool(RoundRobin, random.Random(1)).why_none() == "its registry has not answered yet"

    def test_what_was_learned_survives_an_update_that_holds_the_instance(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"))
        probe(pool, "a", passed=False)
        before = {endpoint.instance.id: endpoint for endpoint in pool.endpoints}
        before["b"].in_flight = 3
        change = pool.update(snapshot(instance("a", weight=7), instance("b"), instance("c")), now=2.0)
        after = {endpoint.instance.id: endpoint for endpoint in pool.endpoints}
        assert (after["a"], after["b"]) == (before["a"], before["b"])
        assert after["a"].health.state == "ejected"
        assert after["a"].instance.weight == 7
        assert after["b"].in_flight == 3
        assert [endpoint.instance.id for endpoint in change.joined] == ["c"]
        assert change.left == ()
        assert picked(pool) == {"b", "c"}

    def test_an_identity_at_another_address_is_another_process(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"))
        probe(pool, "a", passed=False)
        change = pool.update(snapshot(instance("a", port=81), instance("b")), now=2.0)
        assert [endpoint.instance.port for endpoint in change.joined] == [81]
        assert [endpoint.instance.port for endpoint in change.left] == [80]
        assert picked(pool) == {"a", "b"}

    @pytest.mark.parametrize(
        "unavailable",
        [
            instance("b", availability=Availability.DRAINING, reason="maintenance"),
            instance("b", availability=Availability.DOWN, reason="check http is critical"),
            instance("b", weight=0),
        ],
        ids=["draining", "down", "weight 0"],
    )
    def test_what_the_registry_does_not_offer_is_kept_but_not_picked(self, unavailable: Instance) -> None:
        pool, _ = pool_of(instance("a"), unavailable)
        assert picked(pool) == {"a"}
        assert len(pool.endpoints) == 2
        pool.update(snapshot(unavailable), now=1.0)
        assert pool.pick() is None
        assert pool.why_none().startswith("its only instance is not offered by the registry")

    def test_events_say_what_changed_and_why(self) -> None:
        pool, events = pool_of(instance("a"))
        pool.update(snapshot(instance("a", weight=3)), now=1.0)
        pool.update(
            snapshot(instance("a", weight=3, availability=Availability.DRAINING, reason="maintenance")), now=2.0
        )
        pool.update(snapshot(), now=3.0)
        assert events == [
            ("joined", "a", "at 10.0.0.1:80, weight 1"),
            ("changed", "a", "weight 1 to 3"),
            ("changed", "a", "up to draining (maintenance)"),
            ("left", "a", "was at 10.0.0.1:80"),
        ]

    @given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=12))
    def test_the_pool_is_always_what_the_last_snapshot_says(self, sets: list[dict[str, int]]) -> None:
        pool = Pool(WeightedRoundRobin, random.Random(1))
        for weights in sets:
            members = [instance(name, weight=weight) for name, weight in weights.items()]
            pool.update(snapshot(*members), now=0.0)
            offered = {one.id for one in members if one.weight}
            assert sorted(endpoint.instance.id for endpoint in pool.endpoints) == sorted(weights)
            assert picked(pool, 20) <= offered
            assert (pool.pick() is None) == (not offered)


class TestHealth:
    def test_an_endpoint_is_ejected_and_readmitted(self) -> None:
        pool, events = pool_of(instance("a"), instance("b"), instance("c"))
        probe(pool, "a", passed=False)
        assert picked(pool) == {"b", "c"}
        probe(pool, "a", passed=True, times=2)
        assert picked(pool) == {"a", "b", "c"}
        assert [event[:2] for event in events[3:]] == [("ejected", "a"), ("readmitted", "a")]
        assert pool.ejections == 1

    def test_under_the_panic_threshold_all_are_used(self) -> None:
        pool, events = pool_of(instance("a"), instance("b"), instance("c"))
        probe(pool, "a", passed=False)
        assert not pool.panic
        probe(pool, "b", passed=False)
        assert pool.panic
        assert picked(pool) == {"a", "b", "c"}
        assert ("panic", "", "1 of 3 endpoints are healthy, the threshold is 50%") in events
        probe(pool, "a", passed=True)
        assert not pool.panic
        assert picked(pool) == {"a", "c"}
        assert events[-1][0] == "calm"

    def test_a_panic_is_told_of_though_nobody_asks(self) -> None:
        pool, events = pool_of(instance("a"))
        probe(pool, "a", passed=False)
        pool.settle(2.0)
        assert events[-1][0] == "panic"

    def test_half_of_them_is_no_panic(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"))
        probe(pool, "a", passed=False)
        assert not pool.panic
        assert picked(pool) == {"b"}

    def test_a_threshold_of_0_never_panics(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"), panic_threshold=0.0)
        probe(pool, "a", passed=False)
        probe(pool, "b", passed=False)
        assert pool.pick() is None
        failure = "3 probes in a row failed, the last one: HTTP 500"
        assert pool.why_none() == f"none of its 2 instances is healthy; a: {failure}"

    def test_one_that_must_pass_first_gets_nothing_before_not_even_in_panic(self) -> None:
        pool, _ = pool_of(instance("a"), thresholds=Thresholds(must_pass_first=True))
        assert pool.pick() is None
        probe(pool, "a", passed=False, times=9)
        assert pool.pick() is None
        probe(pool, "a", passed=True, times=1)
        assert picked(pool) == {"a"}


class TestTrying:
    def test_one_already_tried_is_not_picked_again(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"), instance("c"))
        first = pool.pick()
        assert first is not None
        second = pool.pick(tried=[first])
        assert second is not None
        third = pool.pick(tried=[first, second])
        assert third is not None
        assert len({first, second, third}) == 3
        assert pool.pick(tried=[first, second, third]) is None

    def test_whom_a_request_may_go_to_is_always_as_health_has_it(self) -> None:
        pool, _ = pool_of(instance("a"), instance("b"), instance("c"))
        assert len(pool.open_to(None)) == 3
        probe(pool, "a", passed=False)
        assert {endpoint.instance.id for endpoint in pool.open_to(None)} == {"b", "c"}

    def test_a_light_one_is_found_behind_a_heavy_one(self) -> None:
        pool = Pool(WeightedRoundRobin, random.Random(1))
        pool.update(snapshot(instance("heavy", weight=65535), instance("light", weight=1)), now=0.0)
        heavy = next(endpoint for endpoint in pool.endpoints if endpoint.instance.id == "heavy")
        assert Counter(str(pool.pick(tried=[heavy])) for _ in range(20)).total() == 20
        assert all((found := pool.pick(tried=[heavy])) and found.instance.id == "light" for _ in range(20))


class TestPriorities:
    def test_a_later_one_is_used_only_when_too_few_before_it_are_healthy(self) -> None:
        backups = [dataclasses.replace(instance(name), priority=1) for name in ("x", "y")]
        pool, _ = pool_of(instance("a"), instance("b"), *backups)
        assert picked(pool) == {"a", "b"}
        probe(pool, "a", False)
        assert picked(pool) == {"b"}
        probe(pool, "b", False)
        assert picked(pool) == {"x", "y"}
        assert not pool.panic
        for name in ("x", "y"):
            probe(pool, name, False)
        assert picked(pool) == {"a", "b"}
        assert pool.panic
        probe(pool, "a", True)
        assert picked(pool) == {"a"}

    def test_one_whose_endpoints_all_rest_is_passed_over(self) -> None:
        pool, _ = pool_of(instance("a", weight=0), dataclasses.replace(instance("x"), priority=7))
        assert picked(pool) == {"x"}


class TestABalancerThatCannotBeBuilt:
    """As one of a user's own may not be, whose constructor raises."""

    class Picky(RoundRobin):
        """Refuses a set with an endpoint called bad."""

        def __init__(self, endpoints: Any, source: random.Random, previous: Any = None) -> None:
            if any(endpoint.instance.id == "bad" for endpoint in endpoints):
                raise KeyError("rack")
            assert previous is None or isinstance(previous, RoundRobin)
            super().__init__(endpoints, source, previous)

    def test_everybody_has_the_same_chance_until_it_can_and_it_is_said_once(self) -> None:
        events: Events = []
        pool = Pool(self.Picky, random.Random(1), record=lambda *event: events.append(event))
        pool.update(snapshot(instance("a"), instance("bad")), now=0.0)
        assert picked(pool) == {"a", "bad"}
        pool.update(snapshot(instance("b"), instance("bad")), now=1.0)
        assert picked(pool) == {"b", "bad"}
        said = [event for event in events if event[0] == "unbalanced"]
        reason = "the balancer cannot be built: KeyError: 'rack'; until it can, every endpoint has the same chance"
        assert said == [("unbalanced", "", reason)]
        pool.update(snapshot(instance("a"), instance("b")), now=2.0)
        first, second, third, fourth = (pool.pick() for _ in range(4))  # in turn
        assert first is third is not second is fourth
        assert events[-1] == ("balanced", "", "the balancer can be built again")


class TestABalancerThatCannotPick:
    """As one of a user's own may not, whose `pick` raises."""

    class Fickle(RoundRobin):
        """Refuses a set with an endpoint called bad when it is asked."""

        def pick(self, request: Any = None, /) -> Any:
            endpoint = super().pick(request)
            if endpoint.instance.id == "bad":
                raise IndexError("out of racks")
            return endpoint

    def test_no_request_ends_for_it_and_it_is_said_once(self) -> None:
        events: Events = []
        pool = Pool(self.Fickle, random.Random(1), record=lambda *event: events.append(event))
        pool.update(snapshot(instance("a"), instance("bad")), now=0.0)
        assert picked(pool) == {"a", "bad"}
        said = [event for event in events if event[0] == "unbalanced"]
        reason = "the balancer cannot pick: IndexError: out of racks; until it can, every endpoint has the same chance"
        assert said == [("unbalanced", "", reason)]

    def test_endpoints_that_were_tried_or_are_full_are_passed_over_all_the_same(self) -> None:
        pool = Pool(self.Fickle, random.Random(1))
        pool.update(snapshot(instance("bad"), instance("b")), now=0.0)
        bad, b = pool.endpoints
        assert pool.pick(tried={b}) is bad
        bad.in_flight = 1
        assert pool.pick(most=1) is b

    def test_a_changed_set_is_its_next_chance(self) -> None:
        pool = Pool(self.Fickle, random.Random(1))
        pool.update(snapshot(instance("bad"), instance("b")), now=0.0)
        assert pool.pick() is not None
        pool.update(snapshot(instance("a"), instance("b")), now=1.0)
        first, second, third, fourth = (pool.pick() for _ in range(4))  # in turn
        assert first is third is not second is fourth
