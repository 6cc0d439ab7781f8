"""The contract of every policy, and what is particular to each."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancers import policies
from balancers.endpoint import Endpoint
from balancers.first import First
from balancers.least_request import LeastRequest
from balancers.maglev import Maglev
from balancers.peak_ewma import PeakEwma
from balancers.policies import GROUP, PolicyOptionError, UnknownPolicyError, find, names
from balancers.random import Random
from balancers.ring_hash import RingHash
from balancers.round_robin import RoundRobin
from balancers.weighted_random import WeightedRandom
from balancers.weighted_round_robin import WeightedRoundRobin
from tests.balancers.making import endpoint, endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from balancers.balancer import Balancer, Policy


def timed(*world: Any) -> PeakEwma:
    return PeakEwma(*world, clock=lambda: 0.0)


FAIR: list[Policy] = [Random, RoundRobin, WeightedRandom, WeightedRoundRobin, LeastRequest, timed]
HASHING: list[Policy] = [RingHash, partial(Maglev, table_size=5003)]
POLICIES: list[Policy] = [*FAIR, *HASHING, First]
WEIGHTED: list[Policy] = [WeightedRandom, WeightedRoundRobin, LeastRequest]
IN_TURN: list[Policy] = [RoundRobin, WeightedRoundRobin]


def seeded(seed: int = 1) -> random.Random:
    return random.Random(seed)


def names_of(balancer: Balancer, picks: int) -> list[str]:
    return [balancer.pick().instance.id for _ in range(picks)]


def shares(balancer: Balancer, picks: int) -> dict[str, float]:
    return {name: count / picks for name, count in Counter(names_of(balancer, picks)).items()}


@pytest.mark.parametrize("policy", POLICIES)
class TestEveryPolicy:
    def test_the_only_endpoint_is_picked(self, policy: Policy) -> None:
        only = endpoint("a")
        assert {policy([only], seeded(), None).pick() for _ in range(5)} == {only}

    def test_the_same_seed_gives_the_same_picks(self, policy: Policy) -> None:
        set_of_three = endpoints(a=5, b=3, c=2)
        one, other = (names_of(policy(set_of_three, seeded(7), None), 50) for _ in range(2))
        assert one == other

    def test_only_those_given_are_picked_after_a_change(self, policy: Policy) -> None:
        before = endpoints(a=1, b=2, c=3)
        balancer = policy(before, seeded(), None)
        names_of(balancer, 10)
        after = policy([before[0], before[2], endpoint("d", 4)], seeded(), balancer)
        picked = set(names_of(after, 200))
        assert picked == ({"a"} if policy is First else {"a", "c", "d"})

    @settings(max_examples=30)
    @given(
        changes=st.lists(
            st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), min_size=1), min_size=1, max_size=8
        ),
        seed=st.integers(0, 10_000),
    )
    def test_whatever_changes_a_member_is_picked(
        self, policy: Policy, changes: list[dict[str, int]], seed: int
    ) -> None:
        source = seeded(seed)
        balancer: Balancer | None = None
        known: dict[tuple[str, int], Endpoint] = {}
        for weights in changes:
            members = [known.setdefault((name, weight), endpoint(name, weight)) for name, weight in weights.items()]
            balancer = policy(members, source, balancer)
            assert all(balancer.pick() in members for _ in range(20))


@pytest.mark.parametrize("policy", [*FAIR, *HASHING])
class TestShares:
    def test_equal_endpoints_get_equal_shares(self, policy: Policy) -> None:
        found = shares(policy(endpoints(a=1, b=1, c=1, d=1), seeded(), None), 20_000)
        within = 0.08 if policy is RingHash else 0.02  # 128 points of each are uneven
        assert found == pytest.approx({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, abs=within)

    def test_a_set_that_changes_before_every_pick_serves_everybody(self, policy: Policy) -> None:
        """The turn survives a change: else the first of the list would get everything."""
        kept = endpoints(a=1, b=1, c=1, d=1)
        source = seeded()
        balancer: Balancer | None = None
        picked: Counter[str] = Counter()
        for number in range(2000):
            balancer = policy([*kept, endpoint(f"new-{number}")], source, balancer)
            picked[balancer.pick().instance.id] += 1
        assert all(picked[one.instance.id] > 2000 / 5 * 0.6 for one in kept), picked


@pytest.mark.parametrize("policy", WEIGHTED)
class TestWeights:
    def test_shares_follow_the_weights(self, policy: Policy) -> None:
        found = shares(policy(endpoints(a=5, b=3, c=2), seeded(), None), 20_000)
        assert found == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2}, abs=0.02)

    def test_shares_follow_a_weight_that_changed(self, policy: Policy) -> None:
        before = endpoints(a=5, b=3, c=2)
        balancer = policy(before, seeded(), None)
        names_of(balancer, 7)
        for one in before:
            one.weight = 1 if one.instance.id == "a" else 2
        found = shares(policy(before, seeded(2), balancer), 20_000)
        assert found == pytest.approx({"a": 0.2, "b": 0.4, "c": 0.4}, abs=0.02)

    def test_extreme_weights(self, policy: Policy) -> None:
        found = Counter(names_of(policy(endpoints(a=65535, b=1), seeded(), None), 65536 * 3))
        assert 0 < found["b"] < 15


@pytest.mark.parametrize("policy", [Random, RoundRobin])
def test_policies_without_weights_ignore_them(policy: Policy) -> None:
    found = shares(policy(endpoints(a=9, b=1), seeded(), None), 20_000)
    assert found == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.02)


@pytest.mark.parametrize("policy", IN_TURN)
def test_in_turn_means_each_once_a_round(policy: Policy) -> None:
    picks = names_of(policy(endpoints(a=1, b=1, c=1), seeded(), None), 9)
    assert all(set(picks[start : start + 3]) == {"a", "b", "c"} for start in (0, 3, 6))


@pytest.mark.parametrize("policy", IN_TURN)
def test_proxies_started_together_do_not_begin_with_the_same_instance(policy: Policy) -> None:
    first = {policy(endpoints(a=1, b=1, c=1), seeded(seed), None).pick().instance.id for seed in range(50)}
    assert first == {"a", "b", "c"}


def test_round_robin_goes_on_with_the_next_when_the_one_in_turn_leaves() -> None:
    a, b, c, d = endpoints(a=1, b=1, c=1, d=1)
    balancer = RoundRobin([a, b, c, d], seeded())
    while balancer.pick() is not a:
        pass
    assert names_of(RoundRobin([a, c, d], seeded(), balancer), 3) == ["c", "d", "a"]


class TestSmoothness:
    def test_five_one_one_interleaves(self) -> None:
        balancer = WeightedRoundRobin(endpoints(a=5, b=1, c=1), seeded(), None)
        picks = "".join(names_of(balancer, 70))
        assert all(Counter(picks[at : at + 7]) == {"a": 5, "b": 1, "c": 1} for at in range(0, 70, 7)), picks
        assert "aaaa" not in picks
        assert "bc" not in picks
        assert "cb" not in picks

    @given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=12), seed=st.integers(0, 100))
    def test_nobody_is_ever_a_whole_turn_ahead_or_behind(self, weights: list[int], seed: int) -> None:
        members = [endpoint(str(index), weight) for index, weight in enumerate(weights)]
        balancer = WeightedRoundRobin(members, seeded(seed), None)
        total = sum(weights)
        counts: Counter[Endpoint] = Counter()
        for picks in range(1, 2 * total + 1):
            counts[balancer.pick()] += 1
            for one in members:
                assert abs(counts[one] - picks * one.weight / total) < 1 + 1e-6

    def test_one_that_comes_and_goes_gets_its_share_of_the_time_it_is_there(self) -> None:
        members, flapping = endpoints(a=5, b=1, c=1), endpoint("x", 3)
        source = seeded()
        balancer: Balancer | None = None
        picked: Counter[str] = Counter()
        for turn in range(2000):
            there = turn % 2 == 0
            balancer = WeightedRoundRobin([*members, flapping] if there else members, source, balancer)
            if there:
                picked.update(names_of(balancer, 20))
            else:
                names_of(balancer, 20)
        assert picked["x"] / picked.total() == pytest.approx(0.3, abs=0.02)

    def test_a_newcomer_gets_no_burst(self) -> None:
        members = endpoints(a=1, b=1, c=1)
        balancer = WeightedRoundRobin(members, seeded(), None)
        names_of(balancer, 1000)
        grown = WeightedRoundRobin([*members, endpoint("d")], seeded(3), balancer)
        assert names_of(grown, 8).count("d") in (1, 2, 3)


class TestFindingOne:
    def test_pointsmans_own_are_found_as_a_users_would_be(self) -> None:
        assert set(names()) >= {
            "first", "least_request", "maglev", "peak_ewma", "random", "ring_hash", "round_robin", "weighted_random",
            "weighted_round_robin",
        }  # fmt: skip
        assert find("round_robin", {}) is RoundRobin

    def test_an_unknown_name_is_told_what_there_is(self) -> None:
        with pytest.raises(UnknownPolicyError, match="there is no balancer 'fastest'; there are first, least_request"):
            find("fastest", {})

    def test_one_that_has_to_know_the_time_is_given_a_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Timed(RoundRobin):
            def __init__(self, *world: Any, clock: Callable[[], float], speed: int = 1) -> None:
                super().__init__(*world)
                self.began = clock() * speed

        entry = SimpleNamespace(load=lambda: Timed)
        monkeypatch.setattr(policies, "_installed", lambda: {"timed": entry})
        policy = find("timed", {"speed": 2}, clock=lambda: 21.0)
        assert cast("Timed", policy(endpoints(a=1), seeded(), None)).began == 42
        with pytest.raises(PolicyOptionError, match="its options are speed"):
            find("timed", {"clock": 1})

    @pytest.mark.parametrize(
        ("name", "option", "complaint"),
        [
            ("least_request", {"choices": 1}, "choices must be a whole number from 2 to 100, not 1"),
            ("least_request", {"bias": -1}, "bias must be a number from 0 to 10, not -1"),
            ("peak_ewma", {"decay": 0}, r"decay must be seconds, from 0\.01 to 3600, not 0"),
            ("peak_ewma", {"failure": True}, "failure must be seconds"),
            ("first", {"in_flight": 0}, "in_flight must be a whole number from 1 to 1000000, not 0"),
            ("ring_hash", {"key": "cookie"}, "key must be client, path"),
            ("ring_hash", {"load_factor": 1}, r"load_factor must be a number from 1\.01 to 100, such as 1\.25, not 1"),
            ("maglev", {"key": {"header": "a b"}}, "the name of a header to take as key must be a word"),
            ("maglev", {"table_size": 65536}, "table_size must be a prime such as 65537, not 65536"),
        ],
    )
    def test_an_option_that_makes_no_sense_is_refused(self, name: str, option: Any, complaint: str) -> None:
        with pytest.raises(PolicyOptionError, match=f"the balancer '{name}': {complaint}"):
            find(name, option)

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(PolicyOptionError, match="'random' has no option 'choices'; it has none"):
            find("random", {"choices": 2})

    def test_what_a_users_own_stumbles_over_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Hasty(RoundRobin):
            def __init__(self, *world: Any, speed: int = 1) -> None:
                super().__init__(*world)

            @staticmethod
            def check(speed: int) -> None:
                if speed < 1:
                    raise ValueError("speed must be at least 1")

        installed = {"hasty": SimpleNamespace(load=lambda: Hasty), "gone": EntryPoint("gone", "no.such:Any", GROUP)}
        monkeypatch.setattr(policies, "_installed", lambda: installed)
        with pytest.raises(PolicyOptionError, match="the balancer 'hasty': TypeError: '<' not supported between"):
            find("hasty", {"speed": "high"})
        with pytest.raises(PolicyOptionError, match="the balancer 'gone' cannot be loaded: ModuleNotFoundError: "):
            find("gone", {})


@pytest.mark.parametrize("policy", POLICIES)
def test_ten_thousand_endpoints_are_no_scan(policy: Policy) -> None:
    """O(log n): a pick among 10,000 looks at a few of them. Counted, not timed."""
    looked_at = 0

    class Counted(Endpoint):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            nonlocal looked_at
            looked_at += 1
            return super().__getattribute__(name)

        def __hash__(self) -> int:
            nonlocal looked_at
            looked_at += 1
            return id(self)

    plain = [endpoint(str(number), number % 7 + 1) for number in range(10_000)]
    members = [Counted(one.instance, one.health) for one in plain]
    balancer = policy(members, seeded(), None)
    balancer.pick()  # the first may put things in order
    looked_at = 0
    for _ in range(100):
        balancer.pick()
    assert looked_at <= 100 * 20
