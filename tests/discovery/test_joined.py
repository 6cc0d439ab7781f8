"""One set of instances from several registries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import Availability, Instance, Snapshot
from discovery.joined import WHOLE, Joined, Part, join


def at(number: int, name: str = "", **fields: Any) -> Instance:
    return Instance(name or f"web-{number}", f"10.0.0.{number}", 80, **fields)


def of(*instances: Instance, **fields: Any) -> Snapshot:
    return Snapshot("web", instances, **fields)


def joined(*sources: tuple[Part, Snapshot | None]) -> dict[str, Instance]:
    return {instance.address: instance for instance in join("web", sources).instances}


def weights(*sources: tuple[Part, Snapshot | None]) -> list[int]:
    return [instance.weight for instance in join("web", sources).instances]


class TestIdentity:
    def test_an_address_and_port_in_two_registries_is_one_instance(self) -> None:
        old = (Part(), of(at(1, "i-1", tags=("a", "b"), metadata={"k": "old", "x": "1"})))
        new = (Part(), of(at(1, "pod-1", zone="z", tags=("b", "c"), metadata={"k": "new", "y": "2"}), at(2, "pod-2")))
        found = joined(old, new)
        assert found.keys() == {"10.0.0.1", "10.0.0.2"}
        one = found["10.0.0.1"]
        assert (one.id, one.zone, one.tags) == ("10.0.0.1:80", "z", ("a", "b", "c"))
        assert one.metadata == {"k": "old", "x": "1", "y": "2"}

    def test_it_stays_the_same_while_its_registration_moves(self) -> None:
        moving = [of(at(1, "i-1")), of(at(1, "pod-1"))]
        before = joined((Part(), moving[0]), (Part(), of()))
        both = joined((Part(), moving[0]), (Part(), moving[1]))
        after = joined((Part(), of()), (Part(), moving[1]))
        assert before == both == after

    def test_another_port_is_another_instance(self) -> None:
        two = join("web", [(Part(), of(Instance("a", "h", 1))), (Part(), of(Instance("a", "h", 2)))])
        assert [instance.id for instance in two.instances] == ["h:1", "h:2"]


class TestShares:
    def test_a_source_gets_its_share_however_many_instances_it_has(self) -> None:
        assert weights((Part(90), of(at(1), at(2), at(3))), (Part(10), of(at(4)))) == [300_000] * 3 + [100_000]

    def test_within_a_source_the_instances_keep_their_proportion(self) -> None:
        assert weights((Part(50), of(at(1, weight=3), at(2, weight=1))), (Part(50), of(at(3)))) == [
            375_000, 125_000, 500_000,
        ]  # fmt: skip

    def test_a_source_without_anybody_to_offer_leaves_its_share_to_the_others(self) -> None:
        down = at(2, availability=Availability.DOWN)
        for other in (None, of(), of(down), of(at(2, weight=0))):
            assert joined((Part(90), of(at(1))), (Part(10), other))["10.0.0.1"].weight == WHOLE

    def test_a_source_of_weight_0_gets_nothing(self) -> None:
        assert weights((Part(0), of(at(1))), (Part(100), of(at(2)))) == [0, WHOLE]

    def test_an_instance_in_two_sources_has_the_shares_of_both(self) -> None:
        assert weights((Part(60), of(at(1), at(2))), (Part(40), of(at(2)))) == [300_000, 700_000]

    def test_a_small_share_of_many_is_not_rounded_away(self) -> None:
        many = [Instance(str(port), "h", port) for port in range(1, 3001)]
        assert set(weights((Part(1), of(*many)), (Part(1000), of(at(1))))[:3000]) == {1}

    def test_without_weights_every_instance_counts_by_its_own(self) -> None:
        assert weights((Part(), of(at(1, weight=3))), (Part(), of(at(1, weight=5), at(2, weight=2)))) == [3, 2]

    @given(
        st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(0, 65535), max_size=5)), min_size=1, max_size=4)
    )
    def test_the_shares_are_as_asked_for(self, sources: list[tuple[int, list[int]]]) -> None:
        parts = [
            (Part(share), of(*(Instance(f"{place}-{n}", f"h{place}", n + 1, weight=w) for n, w in enumerate(own))))
            for place, (share, own) in enumerate(sources)
        ]
        whole = sum(share for share, own in sources if any(own))
        found = join("web", parts).instances
        for place, (share, own) in enumerate(sources):
            got = sum(instance.weight for instance in found if instance.address == f"h{place}")
            wanted = WHOLE * share / whole if whole and any(own) else 0
            assert abs(got - wanted) <= len(own)


class TestPriorities:
    def test_a_source_of_a_later_priority_waits(self) -> None:
        found = joined((Part(10, 0), of(at(1))), (Part(90, 1), of(at(2))))
        assert [(one.priority, one.weight) for one in found.values()] == [(0, WHOLE), (1, WHOLE)]

    def test_an_instance_in_two_of_them_has_the_best(self) -> None:
        found = joined((Part(50, 1), of(at(1), at(2))), (Part(50, 0), of(at(1))))
        assert [(one.priority, one.weight) for one in found.values()] == [(0, WHOLE), (1, WHOLE // 2)]


class TestAvailability:
    def test_an_instance_that_one_registry_wants_spared_is_spared(self) -> None:
        resting = at(1, availability=Availability.DRAINING, reason="OUT_OF_SERVICE")
        found = joined((Part(50), of(resting)), (Part(50), of(at(1))))["10.0.0.1"]
        assert (found.availability, found.reason) == (Availability.DRAINING, "OUT_OF_SERVICE")

    def test_a_source_of_weight_0_has_no_say_in_that(self) -> None:
        stale = at(1, availability=Availability.DOWN, reason="no heartbeat")
        assert joined((Part(0), of(stale)), (Part(100), of(at(1))))["10.0.0.1"].availability is Availability.UP


class TestSnapshots:
    def test_a_source_that_has_not_answered_keeps_nobody_waiting(self) -> None:
        both = Joined("web", [Part(50), Part(50)])
        assert [one.address for one in both.updated(1, of(at(2), index="7")).instances] == ["10.0.0.2"]
        snapshot = both.updated(0, of(at(1), index="a", unreadable=("x: broken",), continuous=False))
        assert [one.weight for one in snapshot.instances] == [500_000, 500_000]
        assert (snapshot.index, snapshot.unreadable, snapshot.continuous) == ("a 7", ("x: broken",), False)

    def test_weights_change_live(self) -> None:
        both = Joined("web", [Part(90), Part(10)])
        both.updated(0, of(at(1)))
        both.updated(1, of(at(2)))
        assert [one.weight for one in both.reweighed({0: 50, 1: 50}).instances] == [500_000, 500_000]
        assert [one.weight for one in both.reweighed({0: 0}).instances] == [0, WHOLE]
        assert [part.weight for part in both.parts] == [0, 50]

    def test_somebody_must_get_the_requests(self) -> None:
        both = Joined("web", [Part(90), Part(10)])
        with pytest.raises(ValueError, match="one of its sources must have a weight above 0"):
            both.reweighed({0: 0, 1: 0})
        assert [part.weight for part in both.parts] == [90, 10]

    def test_sources_without_weights_have_none_that_could_change(self) -> None:
        with pytest.raises(ValueError, match="its sources have no weights"):
            Joined("web", [Part(), Part()]).reweighed({0: 1})
