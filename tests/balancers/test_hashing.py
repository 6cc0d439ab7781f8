"""Ring hash and Maglev: the same key to the same endpoint, and little that moves when the set changes."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancers.endpoint import Endpoint, Load
from balancers.health import Health, Thresholds
from balancers.maglev import Maglev
from balancers.ring_hash import RingHash
from tests.balancers.asking import Asked, of_user
from tests.balancers.making import endpoint, instance

if TYPE_CHECKING:
    from balancers.balancer import Balancer, Policy

KEY = {"header": "X-User"}
TABLE = 5003
POLICIES: list[Any] = [partial(RingHash, key=KEY), partial(Maglev, key=KEY, table_size=TABLE)]
KEYS = 4000
both = pytest.mark.parametrize("policy", POLICIES, ids=["ring_hash", "maglev"])


def many(count: int) -> list[Endpoint]:
    return [endpoint(f"web-{number}") for number in range(count)]


def owners(balancer: Balancer) -> list[Endpoint]:
    return [balancer.pick(of_user(user)) for user in range(KEYS)]


def moved(before: list[Endpoint], after: list[Endpoint]) -> float:
    return sum(one is not other for one, other in zip(before, after, strict=True)) / KEYS


def settled(balancer: Balancer) -> Balancer:
    """Let a Maglev table be finished."""
    while isinstance(balancer, Maglev) and balancer._filling:
        balancer.work()
    return balancer


@both
class TestBoth:
    def test_a_key_stays_where_it_is(self, policy: Policy) -> None:
        balancer = policy(many(10), random.Random(1), None)
        assert owners(balancer) == owners(balancer)

    def test_proxies_agree_whatever_they_have_seen_before(self, policy: Policy) -> None:
        members = many(12)
        fresh = policy(members, random.Random(1), None)
        history: Balancer | None = None
        for seen in (members[:3], members[2:9], members[5:], list(reversed(members))):
            history = settled(policy(seen, random.Random(2), history))
        assert history is not None
        assert owners(fresh) == owners(history)

    def test_a_newcomer_takes_its_share_and_no_more_moves(self, policy: Policy) -> None:
        members = many(10)
        balancer = policy(members, random.Random(1), None)
        before = owners(balancer)
        after = owners(settled(policy([*members, endpoint("new")], random.Random(1), balancer)))
        # One in eleven must move. On the ring no other does; Maglev moves some besides (about as many again).
        assert moved(before, after) <= (0.14 if isinstance(balancer, RingHash) else 0.25)
        if isinstance(balancer, RingHash):
            assert {new.instance.id for old, new in zip(before, after, strict=True) if old is not new} == {"new"}

    def test_of_one_that_leaves_the_keys_go_to_all_the_others(self, policy: Policy) -> None:
        members = many(10)
        balancer = policy(members, random.Random(1), None)
        before = owners(balancer)
        after = owners(settled(policy(members[1:], random.Random(1), balancer)))
        heirs = {new for old, new in zip(before, after, strict=True) if old is members[0]}
        assert members[0] not in after
        assert len(heirs) == 9
        assert moved(before, after) <= (0.16 if isinstance(balancer, RingHash) else 0.25)

    def test_shares_follow_the_weights(self, policy: Policy) -> None:
        members = [endpoint("a", 1), endpoint("b", 2), endpoint("c", 5)]
        counts = Counter(owner.instance.id for owner in owners(policy(members, random.Random(1), None)))
        within = 0.06 if isinstance(policy(members, random.Random(1), None), RingHash) else 0.02
        for name, share in (("a", 1 / 8), ("b", 2 / 8), ("c", 5 / 8)):
            assert counts[name] / KEYS == pytest.approx(share, abs=within)

    def test_a_request_without_the_key_goes_anywhere(self, policy: Policy) -> None:
        balancer = policy(many(5), random.Random(1), None)
        assert len({balancer.pick(Asked()) for _ in range(200)}) == 5
        assert len({balancer.pick() for _ in range(200)}) == 5

    @settings(max_examples=20)
    @given(
        changes=st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=8),
        weights=st.lists(st.integers(1, 9), min_size=13, max_size=13),
    )
    def test_whatever_changes_only_members_are_picked(
        self, policy: Policy, changes: list[set[int]], weights: list[int]
    ) -> None:
        known = [endpoint(f"web-{number}", weight) for number, weight in enumerate(weights)]
        balancer: Balancer | None = None
        for numbers in changes:
            members = [known[number] for number in sorted(numbers)]
            balancer = policy(members, random.Random(3), balancer)
            assert all(balancer.pick(of_user(user)) in members for user in range(30))
        assert balancer is not None
        members = [known[number] for number in sorted(changes[-1])]
        fresh, changed = policy(members, random.Random(4), None), settled(balancer)
        assert all(fresh.pick(of_user(user)) is changed.pick(of_user(user)) for user in range(50))


@pytest.mark.parametrize(
    "policy",
    [partial(RingHash, key=KEY, load_factor=1.25), partial(Maglev, key=KEY, load_factor=1.25, table_size=TABLE)],
    ids=["ring_hash", "maglev"],
)
class TestBoundedLoad:
    def test_no_endpoint_gets_more_than_its_bound_of_one_key(self, policy: Policy) -> None:
        load = Load()
        members = [Endpoint(instance(f"web-{number}"), Health(Thresholds(), 0.0), load) for number in range(8)]
        balancer = policy(members, random.Random(1), None)
        for placed in range(1, 401):
            chosen = balancer.pick(of_user("the same"))
            chosen.in_flight += 1
            load.in_flight += 1
            assert chosen.in_flight <= ceil(1.25 * placed / 8)
        assert len([one for one in members if one.in_flight]) == 7  # so many, and no more, have room for 400 of them

    def test_without_load_keys_are_where_they_are_without_a_bound(self, policy: Policy) -> None:
        members = many(6)
        unbound = policy.func(members, random.Random(1), None, **{**policy.keywords, "load_factor": None})  # type: ignore[attr-defined]
        assert owners(policy(members, random.Random(1), None)) == owners(unbound)

    def test_what_has_left_counts_as_load_and_blocks_nobody(self, policy: Policy) -> None:
        load = Load()
        load.in_flight = 50
        members = [Endpoint(instance(f"web-{number}"), Health(Thresholds(), 0.0), load) for number in range(3)]
        for one in members:
            one.in_flight = 1000
        members[1].in_flight = 999
        assert policy(members, random.Random(1), None).pick(of_user("x")) is members[1]


class TestMaglevsTable:
    def test_the_old_table_serves_while_the_new_one_is_filled(self) -> None:
        members = many(10)
        balancer = Maglev(members, random.Random(1), key=KEY)
        before = owners(balancer)
        changed = Maglev([*members[1:], endpoint("new")], random.Random(1), balancer, key=KEY)
        assert changed._filling
        first = [changed.pick(of_user(user)) for user in range(100)]
        assert changed._filling
        assert all(owner is before[user] for user, owner in enumerate(first) if before[user] is not members[0])
        settled(changed)
        assert any(changed.pick(of_user(user)).instance.id == "new" for user in range(KEYS))

    def test_picks_alone_bring_it_about(self) -> None:
        members = many(4)
        changed = Maglev(members[1:], random.Random(1), Maglev(members, random.Random(1)))
        for _ in range(10_000):
            changed.pick()
        assert not changed._filling

    def test_changes_that_never_cease_do_not_keep_a_newcomer_out(self) -> None:
        members = many(6)
        balancer = Maglev(members[:3], random.Random(1), key=KEY)
        for turn in range(200):
            balancer = Maglev([*members[:4], members[4 + turn % 2]], random.Random(1), balancer, key=KEY)
            balancer.work()
        assert members[3] in {balancer.pick(of_user(user)) for user in range(200)}
        assert len(balancer._filling) <= 2
