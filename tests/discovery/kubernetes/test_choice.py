"""Which endpoints of all slices make up the set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import Availability, Instance
from discovery.kubernetes.choice import choose
from discovery.kubernetes.entries import read_slice
from tests.discovery.kubernetes.service import slice_of

if TYPE_CHECKING:
    import random

READY: dict[str, bool] = {"ready": True}
SERVING = {"ready": False, "serving": True, "terminating": True}
TERMINATING = {"ready": False, "serving": False, "terminating": True}
UNREADY = {"ready": False}

UP, DRAINING, DOWN = Availability.UP, Availability.DRAINING, Availability.DOWN


def chosen(*slices: dict[str, Any], **options: Any) -> tuple[Instance, ...]:
    return choose([read_slice(f"web-{place}", one, None) for place, one in enumerate(slices)], **options)


def of_conditions(*conditions: dict[str, bool]) -> dict[str, Any]:
    """Make a slice with an endpoint for each."""
    places = enumerate(conditions, 1)
    return slice_of(*({"addresses": [f"10.0.0.{place}"], "conditions": one} for place, one in places))


def hinted(*hints: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    """Make a slice with an endpoint for each, meant for these zones."""
    return slice_of(
        *(
            {"addresses": [f"10.0.0.{place}"], "hints": {"forZones": [{"name": zone} for zone in zones]}, **fields}
            for place, zones in enumerate(hints, 1)
        )
    )


@pytest.mark.parametrize(
    ("conditions", "states"),
    [
        ([READY, READY], [UP, UP]),
        ([READY, SERVING, TERMINATING, UNREADY], [UP, DRAINING, DRAINING, DOWN]),
        ([SERVING, TERMINATING, UNREADY], [UP, DRAINING, DOWN]),  # none is ready: what still serves is used
        ([TERMINATING, UNREADY], [DRAINING, DOWN]),
        ([], []),
    ],
)
def test_the_state_that_the_conditions_give(conditions: list[dict[str, bool]], states: list[Availability]):
    instances = chosen(of_conditions(*conditions))
    assert [one.availability for one in instances] == states
    assert all(bool(one.reason) == (one.availability is not UP) for one in instances)


def test_slices_are_one_service():
    """Whether one is ready is asked of all of them: two slices that each lack one are not two services."""
    instances = chosen(slice_of("10.0.0.1"), of_conditions(READY, SERVING), slice_of("10.0.0.3"))
    assert sorted(one.address for one in instances) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert [one.availability for one in instances if one.address == "10.0.0.2"] == [DRAINING]


@pytest.mark.parametrize("order", [(SERVING, READY), (READY, SERVING)])
def test_an_endpoint_in_two_slices_is_one_in_its_better_state(order: tuple[dict[str, bool], ...]):
    (instance,) = chosen(*(of_conditions(condition) for condition in order))
    assert instance.availability is UP


def test_one_address_with_two_ports_is_two_instances():
    first, second = slice_of("10.0.0.1"), slice_of("10.0.0.1", ports=[{"port": 81}])
    assert [one.id for one in chosen(first, second)] == ["10.0.0.1:80", "10.0.0.1:81"]


@pytest.mark.parametrize(
    ("family", "wanted"),
    [("auto", {"10.0.0.1:80"}), ("ipv4", {"10.0.0.1:80"}), ("ipv6", {"[fd00::1]:80", "[fd00::2]:80"})],
)
def test_one_family_of_a_service_that_has_both(family: str, wanted: set[str]):
    six = slice_of("fd00::1", "fd00::2", family="IPv6")
    assert {one.id for one in chosen(six, slice_of("10.0.0.1"), family=family)} == wanted


def test_the_only_family_that_has_an_endpoint():
    assert [one.id for one in chosen(slice_of(), slice_of("fd00::1", family="IPv6"))] == ["[fd00::1]:80"]
    assert chosen(slice_of("fd00::1", family="IPv6"), family="ipv4") == ()


@pytest.mark.parametrize(
    ("hints", "zone", "priorities"),
    [
        ([("a",), ("b",)], "a", [0, 1]),
        ([("a",), ("b",)], "b", [1, 0]),
        ([("a", "b"), ("b",)], "a", [0, 1]),
        ([("a",), ("b",)], "", [0, 0]),  # we do not know our zone
        ([("a",), ("b",)], "c", [0, 0]),  # nobody is meant for us
        ([("a",), ()], "a", [0, 0]),  # half-written
        ([], "a", []),
    ],
)
def test_hints_are_followed_if_all_have_one_and_one_is_for_us(
    hints: list[tuple[str, ...]], zone: str, priorities: list[int]
):
    assert [one.priority for one in chosen(hinted(*hints), zone=zone)] == priorities


def test_those_that_take_no_requests_need_no_hint():
    unready = slice_of({"addresses": ["10.0.0.9"], "conditions": UNREADY})
    assert [one.priority for one in chosen(hinted(("a",), ("b",)), unready, zone="a")] == [0, 1, 1]


@given(st.lists(st.lists(st.sampled_from(range(8)), max_size=8), max_size=5), st.randoms(use_true_random=False))
def test_however_endpoints_lie_in_slices_each_is_there_once(places: list[list[int]], source: random.Random):
    slices = [slice_of(*(f"10.0.0.{number}" for number in numbers)) for numbers in places]
    source.shuffle(slices)
    assert sorted(one.address for one in chosen(*slices)) == sorted({f"10.0.0.{n}" for some in places for n in some})
