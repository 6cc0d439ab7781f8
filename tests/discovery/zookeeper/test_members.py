from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from discovery.zookeeper import members as module
from discovery.zookeeper.curator import Curator
from discovery.zookeeper.members import Members
from discovery.zookeeper.nerve import Nerve
from discovery.zookeeper.serverset import Serverset
from discovery.zookeeper.session import ZooKeeperError
from tests.discovery.watching import ids

if TYPE_CHECKING:
    from discovery.zookeeper.layout import Layout

DATA = b'{"address": "10.0.0.1", "port": 80}'
SESSION = 7


class Stat(NamedTuple):
    czxid: int
    pzxid: int


def known(*names: str, layout: Layout | None = None) -> Members:
    """Members after a first round."""
    members = Members(layout or Curator())
    a_round(members, *names)
    return members


def a_round(members: Members, *names: str, pzxid: int = 5, session: int = SESSION, czxid: int = 1) -> Any:
    """Read the list if it is due, and all that is due then."""
    if members.list_is_due:
        members.begin_list()
        members.listed(names, stat(czxid, pzxid), session)
    for name in members.take():
        members.read(name, DATA, pzxid)
    return members.snapshot("/web")


def stat(czxid: int, pzxid: int) -> Any:
    return Stat(czxid, pzxid)


def test_at_first_everything_is_due():
    members = Members(Curator())
    assert members.is_due
    assert members.list_is_due
    assert members.session is None
    snapshot = a_round(members, "b", "a", pzxid=0x1F)
    assert (ids(snapshot), snapshot.continuous, snapshot.index) == ({"a", "b"}, False, "0x1f")
    assert not members.is_due


def test_only_what_fired_is_read_again():
    members = known("a", "b")
    members.fired("a")
    assert not members.list_is_due
    assert members.take() == ["a"]
    members.read("a", DATA.replace(b"80", b"81"), 9)
    snapshot = members.snapshot("/web")
    assert {instance.port for instance in snapshot.instances} == {80, 81}
    assert (snapshot.continuous, snapshot.index) == (True, "0x9")


def test_only_who_is_new_in_the_list_is_read():
    members = known("a", "b")
    members.fired("")
    members.begin_list()
    members.listed(["b", "c"], stat(1, 6), SESSION)
    assert members.take() == ["c"]
    members.read("c", DATA, 6)
    snapshot = members.snapshot("/web")
    assert (ids(snapshot), snapshot.continuous) == ({"b", "c"}, True)


def test_a_child_that_is_replaced_under_its_name_is_read_again():
    members = known("a")
    members.fired("a")
    members.fired("")
    members.begin_list()
    members.listed(["a"], stat(1, 8), SESSION)
    assert members.take() == ["a"]


def test_what_fires_while_it_is_read_is_due_again():
    members = known("a")
    members.fired("a")
    assert members.take() == ["a"]
    members.fired("a")
    members.read("a", DATA, 9)
    assert members.is_due
    members.take()
    members.fired("")
    members.begin_list()
    members.fired("")
    members.listed(["a"], stat(1, 8), SESSION)
    assert members.list_is_due


def test_a_child_that_goes_between_list_and_data_is_no_error():
    members = Members(Curator())
    members.begin_list()
    members.listed(["a", "b"], stat(1, 5), SESSION)
    assert members.take() == ["a", "b"]
    members.gone("a")
    members.read("b", DATA, 5)
    assert ids(members.snapshot("/web")) == {"b"}
    members.fired("")
    members.begin_list()
    members.listed(["a", "b"], stat(1, 9), SESSION)
    assert members.take() == ["a"], "it is back"


def test_data_of_a_child_that_is_not_listed_any_more_is_dropped():
    members = known("a")
    members.fired("a")
    assert members.take() == ["a"]
    members.fired("")
    members.begin_list()
    members.listed([], stat(1, 9), SESSION)
    members.read("a", DATA, 9)
    assert members.snapshot("/web").instances == ()


def test_an_absent_path_is_an_empty_set():
    members = known("a")
    members.fired("")
    members.begin_list()
    members.absent(SESSION)
    snapshot = members.snapshot("/web")
    assert (snapshot.instances, snapshot.continuous) == ((), True)
    assert members.take() == []


def test_after_a_break_everything_is_read_and_nothing_is_continuous():
    members = known("a", "b")
    members.disconnected()
    members.begin_list()
    members.listed(["a", "b", "c"], stat(1, 6), SESSION)
    assert members.take() == ["a", "b", "c"]
    assert not members.snapshot("/web").continuous
    members.fired("a")
    assert a_round(members).continuous


def test_a_break_in_which_nobody_came_or_went_leaves_the_watch_continuous():
    members = known("a")
    members.disconnected()
    assert a_round(members, "a", pzxid=5).continuous
    members.disconnected()
    assert not a_round(members, "a", pzxid=5, session=8).continuous, "another session says nothing of what was missed"
    members.disconnected()
    assert not a_round(members, pzxid=6, session=8).continuous
    members.disconnected()
    assert not a_round(members, pzxid=6, session=8, czxid=3).continuous, "it is another path of the same name"


def test_a_break_while_all_is_read_counts_for_the_next_round_too():
    members = known("a")
    members.disconnected()
    members.begin_list()
    members.listed(["a"], stat(1, 9), SESSION)
    members.take()
    members.disconnected()
    assert members.list_is_due
    assert not a_round(members, "a", pzxid=9).continuous
    members.fired("")
    members.begin_list()
    members.listed(["a"], stat(1, 9), SESSION)
    assert members.take() == []
    members.disconnected()  # after the last answer
    assert members.snapshot("/web").continuous, "this round missed nothing"
    assert members.is_due


def test_an_ensemble_without_its_memory_counts_anew():
    members = known("a")
    members.disconnected()
    assert a_round(members, "a", pzxid=2, session=8).index == "0x2"
    members.disconnected()
    members.begin_list()
    members.absent(9)
    assert members.snapshot("/web").index == "0x0"


def test_a_comparison_finds_what_no_watch_told():
    members = known("a")
    assert not members.differs(stat(1, 5))
    assert not members.is_due
    assert members.differs(stat(1, 6))
    assert members.list_is_due
    members = known("a")
    assert members.differs(None)
    members = Members(Curator())
    members.begin_list()
    members.absent(SESSION)
    assert not members.differs(None)
    assert members.differs(stat(1, 1))


def test_an_entry_that_makes_no_sense_is_named_until_it_is_mended_or_gone():
    members = known("a", "b")
    for name in ("a", "b"):
        members.fired(name)
        members.take()
        members.read(name, b"{", 6)
    snapshot = members.snapshot("/web")
    assert snapshot.instances == ()
    assert [text.partition(":")[0] for text in snapshot.unreadable] == ["a", "b"]
    members.fired("a")
    members.take()
    members.read("a", DATA, 7)
    members.fired("")
    snapshot = a_round(members, "a", pzxid=8)
    assert (ids(snapshot), snapshot.unreadable) == ({"a"}, ())


def test_a_name_that_is_no_text_for_people_is_shown_as_one():
    members = Members(Curator())
    (text,) = a_round(members, "a\x1b\nb").unreadable
    assert text.startswith("a?")
    assert text.isprintable()


def test_of_names_that_say_everything_no_data_is_asked_for():
    encoded = "base64_32_eyJob3N0IjoiaCIsInBvcnQiOjgwODB9_0000000001"
    members = Members(Nerve())
    members.begin_list()
    members.listed([encoded, "i-1_0000000002"], stat(1, 5), SESSION)
    assert [members.read_name(name) for name in members.take()] == [True, False]
    assert ids(members.snapshot("/web")) == {"h:8080"}


def test_children_that_are_no_entries_are_not_asked_for():
    members = Members(Serverset())
    members.begin_list()
    members.listed(["member_0000000001", "lock"], stat(1, 5), SESSION)
    assert members.take() == ["member_0000000001"]


def test_there_may_not_be_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHILD_LIMIT", 2)
    known("a", "b")
    with pytest.raises(ZooKeeperError, match="more than 2 children"):
        known("a", "b", "c")


def test_data_that_is_none_is_unreadable():
    members = Members(Curator())
    members.begin_list()
    members.listed(["a"], stat(1, 5), SESSION)
    members.take()
    nothing: Any = None
    members.read("a", nothing, 5)
    assert members.snapshot("/web").unreadable
