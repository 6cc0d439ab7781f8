"""What rules for headers make of a head, decided ahead of every request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.header_rules import RequestHeaders, ResponseHeaders
from proxy.edge.header_rules import HeaderRules, compiled

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead

FIELDS = [b"Accept: */*", b"X-A: 1", b"x-a: 2", b"X-AB: 3", b"Set-Cookie: a=1", b"Set-Cookie: b=2"]
REQUEST = cast(
    "RequestHead",
    SimpleNamespace(
        client="192.0.2.1",
        authority=b"shop:80",
        method=b"PUT",
        target=b"/a/b?c={d}",
        request_id=b"r1",
        origin=SimpleNamespace(scheme=lambda request: b"https"),
    ),
)


def rules(*levels: dict[str, Any]) -> HeaderRules:
    made = compiled(*(ResponseHeaders.model_validate(level) for level in levels))
    assert made is not None
    return made


def of(*levels: dict[str, Any]) -> list[bytes]:
    return rules(*levels).applied(FIELDS, None)


def test_set_replaces_every_line_of_a_name_and_no_other() -> None:
    assert of({"set": {"X-a": "new"}}) == [FIELDS[0], *FIELDS[3:], b"X-a: new"]
    assert of({"set": {"New": "b"}}) == [*FIELDS, b"New: b"]


def test_add_keeps_what_is_there() -> None:
    assert of({"add": {"X-A": "new", "Set-Cookie": "c=3"}}) == [*FIELDS, b"X-A: new", b"Set-Cookie: c=3"]


def test_remove_takes_names_and_their_beginnings() -> None:
    assert of({"remove": ["SET-COOKIE"]}) == FIELDS[:4]
    assert of({"remove": ["X-A"]}) == [FIELDS[0], *FIELDS[3:]]
    assert of({"remove": ["x-A*", "accept"]}) == FIELDS[4:]


def test_of_a_request_an_underscore_is_taken_for_a_hyphen() -> None:
    made = compiled(RequestHeaders.model_validate({"set": {"X-User": "me"}, "remove": ["X-In-*"]}))
    assert made is not None
    given = [b"X_User: you", b"x-in_a: 1", b"X_In_b: 2", b"X-Users: 3"]
    assert made.applied(given, None) == [b"X-Users: 3", b"X-User: me"]
    assert rules({"remove": ["X-User"]}).applied(given, None) == given


def test_within_a_level_remove_comes_first_and_add_last() -> None:
    assert of({"remove": ["X-*"], "set": {"X-A": "s"}, "add": {"X-A": "t"}})[3:] == [b"X-A: s", b"X-A: t"]


def test_a_later_level_sees_what_an_earlier_one_has_made() -> None:
    first = {"set": {"X-A": "1st"}, "add": {"X-Z": "1st"}}
    assert of(first, {"set": {"x-a": "2nd"}})[-2:] == [b"X-Z: 1st", b"x-a: 2nd"]
    assert of(first, {"add": {"X-A": "2nd"}})[-3:] == [b"X-A: 1st", b"X-Z: 1st", b"X-A: 2nd"]
    assert of(first, {"remove": ["X-Z"]})[-1] == b"X-A: 1st"
    assert of(first, {"remove": ["X-*"]}) == [FIELDS[0], *FIELDS[4:]]


def test_no_rules_are_none() -> None:
    assert compiled(None, ResponseHeaders(), RequestHeaders()) is None


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("{client}", b"X: 192.0.2.1"),
        ("{method} {scheme}://{host}{path}", b"X: PUT https://shop:80/a/b"),
        ("{service}@{endpoint};{request_id}", b"X: web@10.0.0.1:80;r1"),
        ('{{"group": "{service}"}}', b'X: {"group": "web"}'),
        ("{{client}}", b"X: {client}"),
    ],
)
def test_placeholders(value: str, line: bytes) -> None:
    assert rules({"set": {"X": value}}).applied([], REQUEST, "web", "10.0.0.1:80") == [line]


def test_a_value_that_says_nothing_is_left_out() -> None:
    assert rules({"set": {"X-A": "{client} {service}"}}).applied(FIELDS, None) == [FIELDS[0], *FIELDS[3:]]


NAMES = st.sampled_from(["A", "a", "B", "Ab", "C"])
LEVELS = st.lists(
    st.tuples(
        st.dictionaries(NAMES, st.sampled_from("12"), max_size=2),
        st.dictionaries(NAMES, st.sampled_from("34"), max_size=2),
        st.lists(st.sampled_from(["A", "b", "A*", "ab"]), max_size=2),
    ),
    max_size=3,
)


@given(LEVELS, st.lists(st.tuples(NAMES, st.sampled_from("xy")), max_size=5))
def test_all_levels_at_once_do_what_they_do_one_after_the_other(
    levels: list[tuple[dict[str, str], dict[str, str], list[str]]], head: list[tuple[str, str]]
) -> None:
    expected = list(head)
    for put, more, remove in levels:
        gone = tuple(pattern.lower() for pattern in remove)
        expected = [
            field
            for field in expected
            if not any(
                field[0].lower().startswith(one[:-1]) if one[-1] == "*" else field[0].lower() == one for one in gone
            )
        ]
        for name, value in put.items():
            expected = [field for field in expected if field[0].lower() != name.lower()] + [(name, value)]
        expected += more.items()
    # Not validated: what is tried here is what mistakes in a file would keep out, too.
    made = compiled(*(ResponseHeaders.model_construct(set=a, add=b, remove=tuple(c)) for a, b, c in levels))
    written = [f"{name}: {value}".encode() for name, value in head]
    got = made.applied(written, None) if made is not None else written
    assert got == [f"{name}: {value}".encode() for name, value in expected]
