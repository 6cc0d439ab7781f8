import json

import pytest

from discovery.file_format import parse
from discovery.instance import Availability, Instance

OURS = b"""
- 10.0.0.5:8080
- "[fd00::5]:8080"
- address: app1.internal:8080
  id: web-2
  weight: 3
  zone: eu-1a
  tags: [v2, 7]
  metadata: {version: "2", canary: true, build: 17}
  draining: true
"""

LABELS = {"env": "prod", "weight": "4", "zone": "eu-1a"}
FILE_SD = [
    {"targets": ["10.0.0.5:80", "10.0.0.6:80"], "labels": LABELS},
    {"targets": ["10.0.0.7:80"], "labels": {"weight": "heavy"}},
    {"targets": ["10.0.0.8:80"]},
]


def test_our_own_shape():
    instances, unreadable = parse(OURS)
    assert unreadable == ()
    assert instances == (
        Instance("10.0.0.5:8080", "10.0.0.5", 8080),
        Instance("[fd00::5]:8080", "fd00::5", 8080),
        Instance(
            id="web-2",
            address="app1.internal",
            port=8080,
            weight=3,
            zone="eu-1a",
            tags=("v2", "7"),
            metadata={"version": "2", "canary": "true", "build": "17"},
            availability=Availability.DRAINING,
            reason="the list of instances says draining",
        ),
    )


@pytest.mark.parametrize("is_json", [True, False])
def test_the_shape_of_prometheus(is_json: bool):
    instances, unreadable = parse(json.dumps(FILE_SD).encode(), is_json=is_json)
    assert unreadable == ()
    assert instances == (
        Instance("10.0.0.5:80", "10.0.0.5", 80, weight=4, zone="eu-1a", metadata=LABELS),
        Instance("10.0.0.6:80", "10.0.0.6", 80, weight=4, zone="eu-1a", metadata=LABELS),
        Instance("10.0.0.7:80", "10.0.0.7", 80, metadata={"weight": "heavy"}),
        Instance("10.0.0.8:80", "10.0.0.8", 80),
    )


def test_an_empty_list_is_a_set_without_instances():
    assert parse(b"[]") == ((), ())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('"10.0.0.5"', "10.0.0.5: must be an address"),
        ('"10.0.0.5:0"', "10.0.0.5:0: must have a port from 1 to 65535"),
        ("7", "entry 2: must be host:port or a mapping, not 7"),
        ("null", "entry 2: must be host:port or a mapping, not nothing"),
        ('{"id": "web-7"}', "web-7: must be an address"),
        ('{"address": "a:1", "wieght": 3}', "a:1: unknown key wieght; the keys are address, id, weight"),
        ('{"address": "a:1", "weight": -1}', "a:1: weight must be a whole number from 0 to 65535, not -1"),
        ('{"address": "a:1", "weight": true}', "a:1: weight must be a whole number from 0 to 65535, not true"),
        ('{"address": "a:1", "weight": 65536}', "a:1: weight must be"),
        ('{"address": "a:1", "tags": "v2"}', "a:1: tags must be a list of texts"),
        ('{"address": "a:1", "id": ["a"]}', "must be a text"),
        ('{"address": "a:1", "metadata": ["a"]}', "a:1: metadata and labels must be a mapping of texts"),
        ('{"address": "a:1", "metadata": {"a": {}}}', "a:1: metadata and labels must be a mapping of texts"),
        ('{"address": "a:1", "draining": "yes"}', "a:1: draining must be true or false"),
        ('{"targets": "a:1"}', "entry 2: targets must be a list"),
        ('{"targets": ["a"]}', "a: must be an address"),
        ('{"targets": [7]}', "entry 2: must be an address"),
        ('{"targets": ["a:1"], "labels": ["x"]}', "a:1: metadata and labels must be a mapping of texts"),
        ('{"targets": ["a:1"], "weight": 3}', "entry 2: unknown key weight; the keys are targets, labels"),
        ('{"targets": ["a:1"], "labels": {"weight": "65536"}}', "a:1: weight must be a whole number from 0 to 65535"),
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_an_entry_that_makes_no_sense_is_left_out_and_named(entry: str, said: str, is_json: bool):
    instances, unreadable = parse(f'["good:1", {entry}, "fine:2"]'.encode(), is_json=is_json)
    assert [instance.id for instance in instances] == ["good:1", "fine:2"]
    (text,) = unreadable
    assert said in text


@pytest.mark.parametrize(
    ("content", "is_json", "said"),
    [
        (b'["10.0.0.5:80", "10.0.', True, "it is no JSON: .*line 1"),
        (b'["10.0.0.5:80", "10.0.', False, "it is no YAML: .*line 1"),
        (b"- a: b: c", False, "it is no YAML: .*line 1, column 7"),
        (b"web: 10.0.0.5:80", False, "must hold a list of instances, not a mapping"),
        (b"# nothing yet\n", False, "must hold a list of instances, not nothing; a set without any is written"),
        (b"\xff\xfe[]", False, "it is no YAML"),
        (b"- 2026-13-45", False, "it is no YAML"),
        (b"- ? [a]\n  : b", False, "it is no YAML"),
        (b"!!python/object/apply:os.system ['true']", False, "it is no YAML"),
        (b"[" * 100_000, True, "it is no JSON"),
        (b"[" * 100_000, False, "it is no YAML: more than 20"),
        (b"- " * 100_000, False, "it is no YAML: more than 20"),
    ],
)
def test_a_file_that_is_no_list_is_refused_as_a_whole(content: bytes, is_json: bool, said: str):
    with pytest.raises(ValueError, match=said):
        parse(content, is_json=is_json)


def test_yaml_that_was_cut_short_may_still_be_a_list_with_one_wrong_entry():
    instances, unreadable = parse(b"- 10.0.0.5:80\n- 10.0.")
    assert len(instances) == len(unreadable) == 1


def test_a_byte_order_mark_is_no_harm():
    assert parse(b"\xef\xbb\xbf[]", is_json=True) == ((), ())


@pytest.mark.parametrize("name", ["x\\ud800", "two\\nlines", "x" * 513])
def test_an_identity_must_be_fit_to_be_shown(name: str):
    instances, unreadable = parse(
        f'["10.0.0.5:80", {{"address": "10.0.0.6:80", "id": "{name}"}}]'.encode(), is_json=True
    )
    assert [instance.id for instance in instances] == ["10.0.0.5:80"]
    assert unreadable[0].endswith("id must be one printable line of at most 512 characters")
