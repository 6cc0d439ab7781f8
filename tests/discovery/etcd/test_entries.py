from __future__ import annotations

import json
from typing import Any

import pytest

from discovery.etcd.entries import VALUE_LIMIT, read_entry, show_name
from discovery.instance import Availability, Instance


def read(value: str | bytes | dict[str, Any], name: bytes = b"web-1") -> Instance:
    if isinstance(value, dict):
        value = json.dumps(value)
    return read_entry(name, value.encode() if isinstance(value, str) else value)


def test_everything_that_an_instance_may_have():
    value = {
        "address": "10.0.0.5:8080",
        "weight": 3,
        "zone": "eu-1a",
        "tags": ["v2"],
        "metadata": {"version": "2"},
        "draining": True,
    }
    assert read(value) == Instance(
        "web-1",
        "10.0.0.5",
        8080,
        weight=3,
        zone="eu-1a",
        tags=("v2",),
        metadata={"version": "2"},
        availability=Availability.DRAINING,
        reason="etcd says draining",
    )


@pytest.mark.parametrize(
    ("value", "authority"),
    [
        ("10.0.0.5:8080", "10.0.0.5:8080"),
        (" app1.internal:80\n", "app1.internal:80"),
        ("[fd00::5]:80", "[fd00::5]:80"),
        ({"address": "10.0.0.5:8080"}, "10.0.0.5:8080"),
        ({"address": "10.0.0.5", "port": 8080}, "10.0.0.5:8080"),
        ({"address": "10.0.0.5:8080", "port": 8080}, "10.0.0.5:8080"),
        ({"address": "10.0.0.5:8080", "port": None}, "10.0.0.5:8080"),
        ({"address": "fd00::5", "port": 80}, "[fd00::5]:80"),
        ({"address": "[fd00::5]:80"}, "[fd00::5]:80"),
    ],
)
def test_the_forms_of_an_address(value: str | dict[str, Any], authority: str):
    assert read(value).authority == authority


def test_what_follows_the_prefix_is_the_identity():
    assert read("h:1", b"eu/rack 4/w\xc3\xb6rk").id == "eu/rack 4/wörk"


GOOD = {"address": "10.0.0.5:8080"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "must be an address"),
        ("10.0.0.5", "the port is missing"),
        ("{", "the value is no JSON"),
        ('{"a":' * 100_000, "the value is larger than 64 KiB"),
        ('{"a":' * 10_000, "the value is no JSON"),
        ("[1]", "must be an address"),
        ('"10.0.0.5:80"', "must be an address"),
        (b"\xff\xfe", "the value must be UTF-8"),
        ("x" * (VALUE_LIMIT + 1), "the value is larger than 64 KiB"),
        ({}, "must be an address .* not nothing"),
        ({"port": 80}, "must be an address .* not nothing"),
        ({"address": 7, "port": 80}, "must be an address .* not 7"),
        ({"address": "", "port": 80}, "must name a host"),
        ({"address": "10.0.0.5"}, "the port is missing"),
        ({"address": "10.0.0.5", "port": "80"}, "port must be a whole number, not '80'"),
        ({"address": "10.0.0.5", "port": True}, "port must be a whole number, not true"),
        ({"address": "10.0.0.5", "port": 0}, "must have a port from 1 to 65535"),
        ({"address": "10.0.0.5", "port": 65536}, "must have a port of at most 65535"),
        ({"address": "10.0.0.5", "port": -1}, "must be an address"),
        ({"address": "10.0.0.5:8080", "port": 80}, "address says port 8080, and port 80"),
        ({**GOOD, "weight": -1}, "weight must be a whole number from 0 to 65535, not -1"),
        ({**GOOD, "weight": "3"}, "weight must be a whole number"),
        ({**GOOD, "zone": []}, "zone must be a text, not a list"),
        ({**GOOD, "zone": "a\nb"}, "zone must be one printable line"),
        ({**GOOD, "tags": "v2"}, "tags must be a list of texts"),
        ({**GOOD, "metadata": {"a": {}}}, "metadata and labels must be a mapping of texts"),
        ({**GOOD, "draining": "yes"}, "draining must be true or false, not 'yes'"),
        ({**GOOD, "wieght": 3, "a\nb": 1}, "unknown key wieght, a; the keys are address, port, weight, "),
        ({**GOOD, "id": "mine"}, "unknown key id"),
    ],
)
def test_what_makes_no_sense_is_told(value: str | bytes | dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        read(value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"", "the key must go on after the prefix"),
        (b"\xff", "the key must be UTF-8"),
        (b"a\nb", "the key must be one printable line"),
        (b"x" * 600, "the key must be one printable line of at most 512 characters"),
    ],
)
def test_a_key_that_is_no_identity_is_told(name: bytes, said: str):
    with pytest.raises(ValueError, match=said):
        read("h:1", name)


def test_any_key_can_be_shown():
    assert show_name(b"web-1") == "web-1"
    assert show_name(b"a\xff\x1b") == "a\\xff?"
    assert show_name(b"") == "a key without a name"
