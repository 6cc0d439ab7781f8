"""What outlives the process: the keeper with a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.registry import RegistryError
from discovery.stored import Stored, StoredError
from tests.discovery.scripted import LOST, A, B, C, Script, running, web
from tests.discovery.watching import eventually

if TYPE_CHECKING:
    import pytest

    from discovery.instance import Snapshot


class Kept:
    """A store in memory."""

    def __init__(self, found: Stored | StoredError | None = None) -> None:
        self.found = found
        self.kept: list[tuple[Snapshot, float, bool]] = []

    async def read(self) -> Stored | None:
        if isinstance(self.found, StoredError):
            raise self.found
        return self.found

    def age(self, found: Stored) -> float:
        return 5000.0 - found.time

    def keep(self, snapshot: Snapshot, *, age: float, is_changed: bool) -> None:
        self.kept.append((snapshot, age, is_changed))


async def test_a_registry_that_is_away_at_the_start_takes_nobody_away():
    store = Kept(Stored(web(A, B), 1400.0))
    async with running(Script(RegistryError("refused")), store=store) as harness:
        await eventually(lambda: bool(harness.keeper.error))
        assert harness.published == [web(A, B)]
        assert harness.keeper.stored
        assert not harness.keeper.has_answered
        assert harness.keeper.last_answer == 1000.0 - 3600.0
        assert harness.events[0] == ("restored", "2 instances are in force, stored 1h ago")
        assert store.kept == []


async def test_its_first_answer_takes_the_place_of_the_stored_set():
    store = Kept(Stored(web(A, B), 1400.0))
    async with running(Script(web(A, C, age=2.0, continuous=False)), store=store) as harness:
        await harness.answers(1)
        assert harness.published[-1] == web(A, C, age=2.0, continuous=False)
        assert not harness.keeper.stored
        assert harness.keeper.has_answered
        assert store.kept == [(harness.published[-1], 2.0, True)]


async def test_an_empty_first_answer_is_held():
    store = Kept(Stored(web(A, B), 1400.0))
    async with running(Script(LOST), store=store) as harness:
        await harness.answers(1)
        assert harness.keeper.held is not None
        assert harness.keeper.stored
        assert harness.keeper.has_answered
        assert harness.published == [web(A, B)]
        assert store.kept == []


async def test_a_file_that_cannot_be_used_is_a_warning(caplog: pytest.LogCaptureFixture):
    store = Kept(StoredError("web.state is not used: it is damaged"))
    async with running(Script(web(A)), store=store) as harness:
        await harness.answers(1)
        assert harness.events == [("state_unusable", "web.state is not used: it is damaged")]
        assert harness.published == [web(A)]
    assert caplog.records[0].levelname == "WARNING"


async def test_answers_without_changes_are_kept_for_their_time():
    store = Kept()
    async with running(Script(web(A), web(A)), store=store) as harness:
        await harness.answers(2)
        assert [is_changed for _, _, is_changed in store.kept] == [True, False]


async def test_a_set_that_is_accepted_in_the_end_is_kept():
    store = Kept()
    script = Script(web(A), LOST)
    async with running(script, store=store) as harness:
        await harness.answers(2)
        assert len(store.kept) == 1
        harness.keeper.accept()
        assert store.kept[-1] == (LOST, 0.0, True)
