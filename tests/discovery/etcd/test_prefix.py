"""What follows from etcd's answers, in the words of its JSON gateway."""

from __future__ import annotations

import base64
from typing import Any

import pytest

import discovery.etcd.prefix
from discovery.etcd.gateway import EtcdError
from discovery.etcd.messages import range_end
from discovery.etcd.prefix import CompactedError, Prefix
from tests.discovery.watching import ids

ROOT = "/services/web/"


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def pair(name: str, revision: int, value: str = "h:1") -> dict[str, Any]:
    return {"key": coded(ROOT + name), "mod_revision": str(revision), "value": coded(value)}


def page(revision: int, *pairs: dict[str, Any], count: int | None = None, more: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"header": {"revision": str(revision)}}
    if pairs:
        answer["kvs"] = list(pairs)
    if pairs or count:
        answer["count"] = str(len(pairs) if count is None else count)
    return {**answer, "more": True} if more else answer


def put(name: str, revision: int, value: str = "h:1") -> dict[str, Any]:
    return {"kv": pair(name, revision, value)}


def deleted(name: str, revision: int) -> dict[str, Any]:
    return {"type": "DELETE", "kv": {"key": coded(ROOT + name), "mod_revision": str(revision)}}


def told(*events: dict[str, Any], revision: int = 99) -> dict[str, Any]:
    return {"header": {"revision": str(revision)}, "events": list(events)}


def listed(revision: int, *names: str) -> Prefix:
    prefix = Prefix(ROOT)
    assert not prefix.listed(page(revision, *(pair(name, revision) for name in names)))
    return prefix


def held(prefix: Prefix) -> set[str]:
    return ids(prefix.snapshot("web", continuous=True))


def test_the_questions():
    prefix = Prefix(ROOT)
    whole = {"key": coded("/services/web/"), "range_end": coded("/services/web0")}
    assert prefix.list_question() == {**whole, "limit": 500}
    prefix.listed(page(7, pair("a", 3)))
    assert prefix.watch_question() == {"create_request": {**whole, "start_revision": "8"}}
    assert prefix.compare().question == {**whole, "min_mod_revision": "8", "limit": 1, "keys_only": True}


@pytest.mark.parametrize(
    ("prefix", "end"), [("a", b"b"), ("a\x7f", b"a\x80"), ("ö", b"\xc3\xb7"), ("a\U0010ffff", b"a\xf4\x8f\xbf\xc0")]
)
def test_the_end_of_a_prefix(prefix: str, end: bytes):
    assert Prefix(prefix).list_question()["range_end"] == coded(end)


def test_bytes_that_cannot_be_counted_up_are_left_out_of_the_end():
    assert range_end(b"a\xff\xff") == b"b"
    assert range_end(b"\xff") == b"\0"


def test_a_snapshot():
    prefix = listed(7, "a", "b")
    snapshot = prefix.snapshot("web", continuous=False)
    assert (snapshot.service, snapshot.index, snapshot.continuous) == ("web", "7", False)
    assert ids(snapshot) == {"a", "b"}


def test_pages_are_all_of_the_first_one_s_revision():
    prefix = Prefix(ROOT)
    assert prefix.listed(page(7, pair("a", 3), pair("b", 4), count=3, more=True))
    question = prefix.list_question()
    assert (question["key"], question["revision"]) == (coded(ROOT + "b\0"), "7")
    assert not prefix.listed(page(9, pair("c", 5), count=3))
    assert held(prefix) == {"a", "b", "c"}
    assert prefix.revision == 7


def test_changes_are_applied_in_order():
    prefix = listed(7, "a", "b")
    assert prefix.changed(told(put("c", 8), deleted("a", 8)))
    assert held(prefix) == {"b", "c"}
    assert prefix.changed(told(put("a", 9), deleted("a", 10), put("b", 11, "other:2")))
    snapshot = prefix.snapshot("web", continuous=True)
    assert {instance.id: instance.authority for instance in snapshot.instances} == {"b": "other:2", "c": "h:1"}
    assert snapshot.index == "11"


@pytest.mark.parametrize("message", [{"header": {"revision": "50"}, "created": True}, {"header": {"revision": "50"}}])
def test_a_message_without_changes_leaves_the_revision(message: dict[str, Any]):
    """It would be wrong to take the header's: that of `created` is ahead of changes which are still to come."""
    prefix = listed(7, "a")
    assert not prefix.changed(message)
    assert prefix.revision == 7


def test_a_value_that_makes_no_sense_is_named_until_it_makes_sense_or_is_gone():
    prefix = listed(7, "a", "b")
    prefix.changed(told(put("a", 8, "nonsense"), put("b", 8, "")))
    snapshot = prefix.snapshot("web", continuous=True)
    assert snapshot.instances == ()
    assert [text.partition(":")[0] for text in snapshot.unreadable] == ["a", "b"]
    prefix.changed(told(put("a", 9), deleted("b", 9)))
    assert prefix.snapshot("web", continuous=True).unreadable == ()
    assert held(prefix) == {"a"}


def test_changes_that_were_discarded_are_told_apart():
    prefix = listed(7, "a")
    with pytest.raises(CompactedError):
        prefix.changed({"header": {}, "canceled": True, "compact_revision": "12"})


def test_a_watch_that_is_cancelled_says_why():
    prefix = listed(7, "a")
    with pytest.raises(EtcdError, match="the watch was cancelled: etcdserver: permission denied"):
        prefix.changed({"created": True, "canceled": True, "cancel_reason": "etcdserver: permission denied"})


@pytest.mark.parametrize(
    ("answer", "is_same"),
    [
        (page(9, count=2), True),
        (page(7, count=2), True),
        (page(9, pair("a", 8), count=2), False),  # changed
        (page(9, pair("c", 9), count=3), False),  # added
        (page(9, pair("c", 9), count=2), False),  # added, while another was removed
        (page(9), False),  # all were removed
    ],
)
def test_a_comparison_shows_any_change(answer: dict[str, Any], is_same: bool):
    prefix = listed(7, "a", "b")
    assert prefix.is_same(prefix.compare(), answer) == is_same


def test_a_comparison_is_with_what_was_known_when_it_was_asked():
    prefix = listed(7, "a", "b")
    comparison = prefix.compare()
    prefix.changed(told(deleted("a", 8)))
    assert not prefix.is_same(comparison, {"header": {"revision": "8"}, "count": "1"})
    assert prefix.is_same(prefix.compare(), {"header": {"revision": "8"}, "count": "1"})


def test_keys_that_make_no_sense_are_counted_in_a_comparison():
    prefix = listed(7, "a")
    prefix.changed(told(put("b", 8, "nonsense")))
    assert prefix.is_same(prefix.compare(), {"header": {"revision": "8"}, "count": "2"})


def test_a_revision_that_went_back_is_an_error():
    prefix = listed(7, "a")
    with pytest.raises(EtcdError, match="its revision went back from 7 to 6"):
        prefix.is_same(prefix.compare(), {"header": {"revision": "6"}, "count": "1"})


def test_too_many_keys_are_an_error_before_they_are_listed():
    with pytest.raises(EtcdError, match="there are more than 100000 keys below the prefix"):
        Prefix(ROOT).listed(page(7, pair("a", 1), count=100_001, more=True))


def test_too_many_keys_are_an_error_while_they_are_watched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(discovery.etcd.prefix, "KEY_LIMIT", 2)
    prefix = listed(7, "a", "b")
    with pytest.raises(EtcdError, match="there are more than 2 keys"):
        prefix.changed(told(put("c", 8)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "has no revision; is this etcd's JSON gateway"),
        ({"header": []}, "has no revision"),
        ({"header": {"revision": 7}}, "revision must be a number in quotes, not 7"),
        ({"header": {"revision": "-7"}}, "revision must be a number in quotes"),
        ({"header": {"revision": "7" * 30}}, "revision must be a number in quotes"),
        ({**page(7), "count": "many"}, "count must be a number in quotes, not 'many'"),
        ({**page(7), "kvs": {}}, "kvs must be a list of objects, not a mapping"),
        ({**page(7), "kvs": [1]}, "kvs must be a list of objects"),
        ({**page(7), "kvs": [{"key": "?"}]}, "key must be base64, not '?'"),
        ({**page(7), "kvs": [{"key": 5}]}, "key must be base64, not 5"),
        ({**page(7), "kvs": [{"key": coded("/other")}]}, "the key /other is not below the prefix"),
        ({**page(7), "kvs": [{**pair("a", 1), "value": [1]}]}, "value must be base64, not a list"),
        ({**page(7), "more": True}, "a page without keys says that there are more"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(answer: dict[str, Any], said: str):
    with pytest.raises(EtcdError, match=said):
        Prefix(ROOT).listed(answer)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"events": 5}, "events must be a list of objects, not 5"),
        ({"events": [{}]}, "kv must be an object, not nothing"),
        ({"events": [{"kv": {"key": coded("/other")}}]}, "the key /other is not below the prefix"),
        ({"events": [{"kv": {**pair("a", 1), "mod_revision": 8}}]}, "mod_revision must be a number in quotes"),
        ({"compact_revision": 5}, "compact_revision must be a number in quotes"),
        ({"canceled": True}, "the watch was cancelled: no reason given"),
    ],
)
def test_a_message_that_makes_no_sense_is_an_error(message: dict[str, Any], said: str):
    with pytest.raises(EtcdError, match=said):
        listed(7, "a").changed(message)
