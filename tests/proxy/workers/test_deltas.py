"""What has changed of a snapshot is told, and whoever hears it has the same one."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import Instance, Snapshot
from proxy.workers.deltas import applied, difference

_instances = st.lists(
    st.builds(Instance, st.sampled_from("abcdefgh"), st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.just(80)),
    unique_by=lambda instance: instance.id,
).map(tuple)
_snapshots = st.builds(Snapshot, st.just("web"), _instances, st.sampled_from(["1", "2"]))


def web(*identities: str, address: str = "10.0.0.1", index: str = "1") -> Snapshot:
    return Snapshot("web", tuple(Instance(identity, address, 80) for identity in identities), index)


@given(st.none() | _snapshots, _snapshots)
def test_who_applies_the_difference_has_the_same_snapshot(before: Snapshot | None, after: Snapshot) -> None:
    told = pickle.loads(pickle.dumps(difference(before, after)))
    assert applied(before, told) == after


@given(st.none() | _snapshots, _snapshots)
def test_what_is_told_by_one_who_knows_of_nothing_before_holds_whatever_was(
    known: Snapshot | None, after: Snapshot
) -> None:
    assert applied(known, difference(None, after)) == after


def test_only_what_has_changed_is_told() -> None:
    before = web("a", "b", "c")
    joined = difference(before, web("a", "b", "c", "d", index="2"))
    assert [one.id for one in joined.changed] == ["d"]
    assert (joined.gone, joined.order, joined.head.index) == ((), None, "2")
    left = difference(before, web("a", "c"))
    assert (left.changed, left.gone, left.order) == ((), ("b",), None)


def test_another_order_is_told_too() -> None:
    assert difference(web("a", "b"), web("b", "a")).order == ("b", "a")


def test_metadata_is_told() -> None:
    instance = Instance("a", "10.0.0.1", 80, metadata={"version": "2"})
    told = pickle.loads(pickle.dumps(difference(None, Snapshot("web", (instance,), "1"))))
    assert applied(None, told).instances == (instance,)
