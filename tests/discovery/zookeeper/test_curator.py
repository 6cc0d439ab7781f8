from __future__ import annotations

import json
from typing import Any

import pytest

from discovery.instance import Availability, Instance
from discovery.zookeeper.curator import Curator
from discovery.zookeeper.layout import LABEL_LIMIT, VALUE_LIMIT

GOOD: dict[str, Any] = {"name": "web", "id": "a", "address": "10.0.0.5", "port": 8080}
SPEC = [("scheme", True), ("://", False), ("address", True), (":", False), ("port", True), ("/api", False)]


def read(fields: dict[str, Any] | str | bytes, name: str = "a") -> Instance:
    data = json.dumps(fields).encode() if isinstance(fields, dict) else fields
    return Curator().read(name, data.encode() if isinstance(data, str) else data)


def spec(*parts: tuple[object, object]) -> dict[str, Any]:
    return {"parts": [{"value": value, "variable": variable} for value, variable in parts]}


def test_what_curator_itself_writes():
    fields = {
        "name": "orders",
        "id": "b3c6",
        "address": "10.0.0.5",
        "port": 8080,
        "sslPort": None,
        "payload": None,
        "registrationTimeUTC": 1700000000000,
        "serviceType": "DYNAMIC",
        "uriSpec": None,
        "enabled": True,
        "somethingNew": {"a": 1},
    }
    assert read(fields, "b3c6") == Instance("b3c6", "10.0.0.5", 8080)


def test_what_spring_cloud_writes():
    metadata = {"instance_status": "UP", "zone": "eu-1a", "weight": "3", "version": "2"}
    payload = {"@class": "org.springframework…ZookeeperInstance", "id": "x", "name": "web", "metadata": metadata}
    instance = read({**GOOD, "payload": payload})
    assert (instance.id, instance.weight, instance.zone) == ("a", 3, "eu-1a")
    assert instance.metadata == {"instance_status": "UP", "version": "2"}
    metadata["instance_status"] = "OUT_OF_SERVICE"
    instance = read({**GOOD, "payload": payload})
    assert (instance.availability, instance.reason) == (Availability.DRAINING, "Spring Cloud says OUT_OF_SERVICE")


@pytest.mark.parametrize(
    ("payload", "metadata"),
    [
        ({"@class": "com.example.Own", "version": 2, "canary": True, "nested": {"a": 1}, "id": "x"},
         {"version": "2", "canary": "true"}),
        ("a text", {}),
        (["@class", {}], {}),
        (5, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_a_payload_is_whatever_the_service_likes(payload: object, metadata: dict[str, str]):
    instance = read({**GOOD, "payload": payload})
    assert (instance.id, instance.metadata) == ("a", metadata)


def test_tags_of_a_payload():
    assert read({**GOOD, "payload": {"tags": "v2, canary"}}).tags == ("v2", "canary")


def test_an_instance_that_is_not_enabled_takes_no_new_requests():
    instance = read({**GOOD, "enabled": False})
    assert (instance.availability, instance.reason) == (Availability.DRAINING, "Curator says enabled: false")
    assert read({**GOOD, "enabled": None}).availability is Availability.UP


@pytest.mark.parametrize(
    ("fields", "authority", "metadata"),
    [
        ({"port": 80, "sslPort": 443}, "10.0.0.5:80", {"ssl_port": "443"}),
        ({"port": None, "sslPort": 443}, "10.0.0.5:443", {"ssl_port": "443"}),
        ({"uriSpec": spec(*SPEC)}, "10.0.0.5:8080", {"uri": "http://10.0.0.5:8080/api"}),
        ({"sslPort": 443, "uriSpec": spec(("scheme", True), ("://h:", False), ("ssl-port", True))}, "10.0.0.5:8080",
         {"uri": "https://h:443", "ssl_port": "443"}),
        ({"port": None, "uriSpec": spec(("http://other:7", False))}, "10.0.0.5:7", {"uri": "http://other:7"}),
        ({"port": None, "address": None, "uriSpec": spec(("http://other:7", False))}, "other:7",
         {"uri": "http://other:7"}),
        ({"uriSpec": spec(("[", True), ("name", True), ("unknown", True), ("]", True))}, "10.0.0.5:8080",
         {"uri": "{web}"}),
        ({"uriSpec": spec((5, True))}, "10.0.0.5:8080", {}),
        ({"uriSpec": {"parts": 5}}, "10.0.0.5:8080", {}),
        ({"uriSpec": "http://{address}"}, "10.0.0.5:8080", {}),
        ({"address": "fd00::5"}, "[fd00::5]:8080", {}),
        ({"address": "[fd00::5]"}, "[fd00::5]:8080", {}),
        ({"address": "app1.internal"}, "app1.internal:8080", {}),
    ],
)  # fmt: skip
def test_where_requests_go(fields: dict[str, Any], authority: str, metadata: dict[str, str]):
    instance = read({**GOOD, **fields})
    assert (instance.authority, instance.metadata) == (authority, metadata)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b"", "the data is no JSON"),
        (b"\xff", "the data must be UTF-8"),
        ("[" * 60_000, "the data is no JSON"),
        ("x" * (VALUE_LIMIT + 1), "the data is larger than 64 KiB"),
        ("[]", "must be a JSON object, not a list"),
        ("{}", "the host must be a name or an address, not nothing"),
        ({**GOOD, "address": 5}, "the host must be"),
        ({**GOOD, "address": "a b"}, "must be an address"),
        ({**GOOD, "address": "10.0.0.256"}, "must be an address"),
        ({**GOOD, "port": None}, "the port must be a whole number, not nothing"),
        ({**GOOD, "port": "80"}, "the port must be a whole number, not '80'"),
        ({**GOOD, "port": True}, "the port must be a whole number"),
        ({**GOOD, "port": 0}, "must have a port from 1 to 65535"),
        ({**GOOD, "port": 65536}, "must have a port of at most 65535"),
        ({**GOOD, "port": None, "uriSpec": spec(("http://h:99999", False))}, "the port must be"),
        ({**GOOD, "payload": {"weight": 65536}}, "weight must be a whole number from 0 to 65535"),
        ({**GOOD, "payload": {"zone": "a\nb"}}, "zone must be one printable line"),
        ({**GOOD, "payload": dict.fromkeys(map(str, range(LABEL_LIMIT + 1)), 1)}, "more than 100 labels"),
    ],
)
def test_what_makes_no_sense_is_named(fields: dict[str, Any] | str | bytes, said: str):
    with pytest.raises(ValueError, match=said):
        read(fields)


def test_a_name_that_is_not_fit_to_be_shown_is_none():
    with pytest.raises(ValueError, match="id must be one printable line"):
        read(GOOD, "a\x1b[0m")


@pytest.mark.parametrize(
    "instance",
    [
        Instance("a", "10.0.0.5", 8080),
        Instance("a", "fd00::5", 80, weight=0, zone="eu-1a", tags=("v2", "blue")),
    ],
)
def test_what_is_written_is_read_again(instance: Instance):
    node = Curator().node("/services/web", instance)
    found = Curator().read(node.name, node.data)
    assert (found.id, found.authority, found.weight) == (instance.id, instance.authority, instance.weight)
    assert (found.zone, found.tags, found.availability) == (instance.zone, instance.tags, instance.availability)
    assert json.loads(node.data)["name"] == "web"
    assert not node.sequential


def test_what_older_readers_do_not_know_is_written_only_where_it_is_needed():
    plain = json.loads(Curator().node("/web", Instance("a", "h", 1)).data)
    assert "enabled" not in plain
    assert plain["payload"] is None
    draining = Instance("a", "h", 1, availability=Availability.DRAINING)
    assert json.loads(Curator().node("/web", draining).data)["enabled"] is False


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        (Instance("a/b", "h", 1), "cannot be the name of a node"),
        (Instance("..", "h", 1), "cannot be the name of a node"),
        (Instance("a", "h", 1, tags=("a,b",)), "tags must be without commas"),
        (Instance("a", "h", 1, metadata={"a": "x" * VALUE_LIMIT}), "larger than 64 KiB"),
    ],
)
def test_what_cannot_be_written(instance: Instance, said: str):
    with pytest.raises(ValueError, match=said):
        Curator().node("/web", instance)
