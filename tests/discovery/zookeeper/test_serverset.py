from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import MAX_WEIGHT, Availability, Instance
from discovery.zookeeper.serverset import Serverset

HERE = {"host": "10.0.0.5", "port": 1234}
HTTP = {"host": "10.0.0.5", "port": 8080}
GOOD: dict[str, Any] = {"serviceEndpoint": HERE, "additionalEndpoints": {"http": HTTP}, "status": "ALIVE", "shard": 3}


def member(host: str = "10.0.0.5", port: int = 80, **more: Any) -> dict[str, Any]:
    return {"serviceEndpoint": {"host": host, "port": port}, "status": "ALIVE", **more}


def vector(*descriptors: tuple[str, float]) -> dict[str, Any]:
    return {"vector": [{"select": select, "weight": weight, "priority": 1} for select, weight in descriptors]}


def read(children: dict[str, dict[str, Any]], endpoint: str = "") -> dict[str, Instance]:
    layout = Serverset(endpoint)
    parts = {name: layout.read(name, json.dumps(fields).encode()) for name, fields in children.items()}
    return {instance.id: instance for instance in layout.instances(parts)}


def only(fields: dict[str, Any], endpoint: str = "") -> Instance:
    (instance,) = read({"member_0000000001": fields}, endpoint).values()
    return instance


def test_a_member():
    instance = only({**GOOD, "metadata": {"zone": "eu-1a", "version": "2"}})
    assert instance == Instance("10.0.0.5:1234", "10.0.0.5", 1234, zone="eu-1a", metadata={"version": "2"})


def test_an_additional_endpoint():
    assert only(GOOD, "http").authority == "10.0.0.5:8080"
    with pytest.raises(ValueError, match="has no endpoint thrift"):
        only(GOOD, "thrift")


@pytest.mark.parametrize(
    ("status", "availability", "reason"),
    [
        ("ALIVE", Availability.UP, ""),
        ("STOPPING", Availability.DRAINING, "the serverset says STOPPING"),
        *((status, Availability.DOWN, f"the serverset says {status}") for status in ("DEAD", "STARTING", "STOPPED")),
        ("WARNING", Availability.DOWN, "the serverset says WARNING"),
        ("UNKNOWN", Availability.DOWN, "the serverset says UNKNOWN"),
        (None, Availability.DOWN, "the serverset says UNKNOWN"),
        ("alive", Availability.DOWN, "the serverset says UNKNOWN"),
        ([], Availability.DOWN, "the serverset says UNKNOWN"),
    ],
)
def test_only_what_is_alive_gets_requests(status: object, availability: Availability, reason: str):
    instance = only({**GOOD, "status": status})
    assert (instance.availability, instance.reason) == (availability, reason)


def test_children_that_are_no_members_are_passed_over():
    entries = ("member_0000000001", "vector_0000000002", "lock-1", "xmember_1", "")
    assert [Serverset().is_entry(name) for name in entries] == [True, True, False, False, False]
    assert read({"vector_0000000001": vector(("shard=3", 1.0))}) == {}


def test_weights_are_multiplied():
    children = {
        "member_0000000001": member(port=1, shard=1),
        "member_0000000002": member(port=2, shard=2),
        "member_0000000003": member(port=3, shard=3),
        "vector_0000000004": vector(("member=member_0000000001", 6), ("shard=2", 4), ("inet=10.0.0.5:3", 0)),
        "vector_0000000005": vector(("shard=2", 0.5), ("shard=9", 7)),
    }
    assert [instance.weight for instance in read(children).values()] == [6, 2, 0]


def test_weights_that_are_no_whole_numbers_are_made_so_together():
    children = {
        "member_0000000001": member(port=1),
        "member_0000000002": member(port=2),
        "vector_0000000003": vector(("inet=10.0.0.5:2", 0.25)),
    }
    assert [instance.weight for instance in read(children).values()] == [100, 25]
    children["vector_0000000003"] = vector(("inet=10.0.0.5:2", 0.0001))
    assert [instance.weight for instance in read(children).values()] == [1000, 1]


def test_a_vector_without_a_match_changes_nothing():
    children = {"member_0000000001": member(), "vector_0000000003": vector(("shard=5", 0.25))}
    assert [instance.weight for instance in read(children).values()] == [1]


def test_a_member_that_is_registered_anew_is_the_same_instance():
    """Its old node lasts until the old session ends."""
    old, new = {**GOOD, "status": "ALIVE"}, {**GOOD, "status": "STARTING"}
    for first, second in ((("9", old), ("10", new)), (("10", new), ("9", old))):
        children = {f"member_{int(number):010}": fields for number, fields in (first, second)}
        (instance,) = read(children).values()
        assert instance.availability is Availability.DOWN


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("member_1", {}, "has no serviceEndpoint"),
        ("member_1", {"serviceEndpoint": []}, "has no serviceEndpoint"),
        ("member_1", {"serviceEndpoint": {"host": "h"}}, "the port must be a whole number"),
        ("member_1", {"serviceEndpoint": {"port": 1}}, "the host must be a name"),
        ("vector_1", {}, "vector must be a list"),
        ("vector_1", {"vector": [5]}, "select must be"),
        ("vector_1", {"vector": [{"select": "zone=a"}]}, "select must be member=…, shard=… or inet=host:port"),
        ("vector_1", {"vector": [{"select": "inet=h"}]}, "must be an address"),
        ("vector_1", {"vector": [{"select": "shard=1", "weight": -1}]}, "weight must be a number from 0"),
        ("vector_1", {"vector": [{"select": "shard=1", "weight": "1"}]}, "weight must be a number from 0"),
        ("vector_1", {"vector": [{"select": "shard=1", "weight": True}]}, "weight must be a number from 0"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, fields: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        Serverset().read(name, json.dumps(fields).encode())


def test_a_weight_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="weight must be a number from 0"):
        Serverset().read("vector_1", b'{"vector": [{"select": "shard=1", "weight": NaN}]}')


@given(st.lists(st.floats(min_value=0, max_value=MAX_WEIGHT), min_size=1, max_size=5))
def test_weights_stay_within_their_bounds_and_zero_stays_zero(factors: list[float]):
    children = {f"member_{number:010}": member(port=number + 1, shard=number) for number in range(len(factors))}
    children["vector_0000000099"] = vector(*((f"shard={number}", factor) for number, factor in enumerate(factors)))
    for factor, instance in zip(factors, read(children).values(), strict=True):
        assert 0 <= instance.weight <= MAX_WEIGHT
        assert (instance.weight == 0) == (factor == 0)


@pytest.mark.parametrize("availability", list(Availability))
def test_what_is_written_is_read_again(availability: Availability):
    instance = Instance("web-1", "10.0.0.5", 80, weight=3, zone="a", tags=("b",), availability=availability)
    node = Serverset("http").node("/web", instance)
    assert (node.name, node.sequential) == ("member_", True)
    for endpoint in ("http", ""):
        found = only(json.loads(node.data), endpoint)
        assert (found.id, found.authority, found.weight) == ("web-1", "10.0.0.5:80", 3)
        assert (found.zone, found.tags, found.availability) == ("a", ("b",), availability)


def test_what_is_written_without_more_is_what_finagle_writes():
    node = Serverset().node("/web", Instance("10.0.0.5:80", "10.0.0.5", 80))
    here = {"host": "10.0.0.5", "port": 80}
    assert json.loads(node.data) == {"serviceEndpoint": here, "additionalEndpoints": {}, "status": "ALIVE"}
