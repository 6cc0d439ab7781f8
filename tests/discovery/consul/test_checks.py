"""The checks of a whole agent: read for what is wanted of them, and compared with those before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from discovery.consul.checks import Check, compared, read_checks


def told(node: str, name: str, service: str, index: int, **more: Any) -> dict[str, Any]:
    """A check as Consul tells of it."""
    return {
        "Node": node, "CheckID": name, "Name": "Service check", "Status": "passing", "Notes": "", "Output": "200 OK",
        "ServiceID": f"{service}-1", "ServiceName": service, "ServiceTags": ["a"], "Type": "ttl", "Definition": {},
        "CreateIndex": 7, "ModifyIndex": index, **more,
    }  # fmt: skip


def read(*checks: object) -> object:
    return read_checks(json.dumps(checks).encode())


A, B, OF_NODE = Check("n1", "a", "web", 10), Check("n1", "b", "api", 11), Check("n1", "serfHealth", "", 12)


def test_what_is_wanted_is_read() -> None:
    assert read(told("n1", "a", "web", 10), told("n1", "b", "api", 11), told("n1", "serfHealth", "", 12)) == [
        A, B, OF_NODE,
    ]  # fmt: skip
    assert read() == []


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        (None, []),
        (["n1"], []),
        (told("n1", "b", "api", 11, ServiceName=None), [Check("n1", "b", "", 11)]),
        (told("n1", "b", "api", 11, ModifyIndex="11"), [Check("n1", "b", "api", 0)]),
        (told("n1", "b", "api", 2**80), [Check("n1", "b", "api", 2**80)]),
        (told("n1", "b", "api", 11, Node=5), [Check("5", "b", "api", 11)]),
        (told("n1", "b", "api", 11, Output="\ud83d"), [B]),
    ],
)
def test_one_that_makes_no_sense_does_not_spoil_the_others(odd: object, found: list[Check]) -> None:
    assert read(told("n1", "a", "web", 10), odd) == [A, *found]


@pytest.mark.parametrize("body", [b"", b"[", b"[{]", b'[{"Node": \xff}]', b"nonsense"])
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_checks(body)


def test_what_is_no_list_is_handed_on_to_whoever_complains_of_it() -> None:
    assert read_checks(b'{"a": 1}') == {"a": 1}


def test_what_changed_is_told_by_service() -> None:
    known, changed = compared({}, [A, B, OF_NODE])
    assert changed == {"web", "api", ""}

    def after(*checks: Check) -> set[str]:
        return compared(dict(known), checks)[1]

    assert after(A, B, OF_NODE) == set()
    assert after(OF_NODE, B, A) == set(), "in another order"
    assert after(A, B) == {""}, "one is gone"
    assert after(A, B, OF_NODE, Check("n2", "a", "web", 13)) == {"web"}, "the same ID at another node"
    assert after(A, Check("n1", "b", "api", 14), OF_NODE) == {"api"}
    assert after(A, Check("n1", "b", "shop", 14), OF_NODE) == {"api", "shop"}, "it is another one's now"
    assert after(A, A, B, OF_NODE) == set(), "one is told of twice"


def test_what_there_was_is_what_the_next_are_compared_with() -> None:
    known, _ = compared({}, [A, B])
    known, changed = compared(known, [A])
    assert changed == {"api"}
    assert compared(known, [A, B])[1] == {"api"}
