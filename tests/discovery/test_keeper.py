"""The keeper's loop, with a registry that follows a script."""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from discovery.instance import Instance, Snapshot
from discovery.keeper import Keeper, without_twins
from discovery.pace import PACE, Pace
from discovery.registry import RegistryError
from tests.discovery.scripted import LOST, A, B, C, Script, running, web, weighing
from tests.discovery.watching import eventually, ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "discovery.keeper"):
        yield


async def test_only_what_changed_is_published():
    script = Script(web(A, B, continuous=False), web(B, A), web(A))
    async with running(script) as harness:
        await harness.answers(3)
        assert harness.published == [web(A, B, continuous=False), web(A)]
        assert harness.keeper.updates == {"changed": 2, "unchanged": 1, "held": 0, "failed": 0}
        assert harness.keeper.current == web(A)
        assert harness.keeper.last_answer == 1000.0


async def test_there_is_no_snapshot_before_the_first():
    async with running(Script()) as harness:
        assert not harness.keeper.has_snapshot
        assert harness.keeper.current is None
        assert harness.keeper.last_answer is None


async def test_a_watch_that_fails_is_begun_again_and_what_it_said_stays(caplog: pytest.LogCaptureFixture):
    script = Script(web(A), RegistryError("no route to host"))
    async with running(script) as harness:
        await eventually(lambda: script.watches == 2)
        assert harness.keeper.current == web(A)
        assert harness.keeper.error == "no route to host"
        script.say(web(B))
        await harness.answers(3)
        assert harness.published == [web(A), web(B)]
        assert harness.keeper.error == ""
        assert harness.keeper.reconnects == 1
        assert harness.kinds == ["watch_failed", "watch_recovered"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (None, "the watch ended, which it should never do"),
        (ZeroDivisionError("by nought"), "ZeroDivisionError: by nought"),
    ],
)
async def test_whatever_ends_a_watch_is_a_failure(line: Exception | None, said: str):
    script = Script(web(A), line, web(B))
    async with running(script) as harness:
        await harness.answers(3)
        assert harness.events[0] == ("watch_failed", said)
        assert harness.published == [web(A), web(B)]


async def test_a_registry_that_fails_before_it_is_iterated_is_a_failure_too():
    class Broken:
        def watch(self, service: str) -> AsyncIterator[Snapshot]:
            raise RegistryError("misconfigured")

    async with running(Broken()) as harness:
        await harness.answers(2)
        assert harness.keeper.error == "misconfigured"


async def test_a_registry_need_not_be_a_generator():
    class Plain:
        def __init__(self) -> None:
            self.left = [web(A), web(B)]

        def watch(self, service: str) -> Plain:
            return self

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> Snapshot:
            if self.left:
                return self.left.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

    async with running(Plain()) as harness:
        await harness.answers(2)
        assert harness.published == [web(A), web(B)]


async def test_failures_that_go_on_are_told_once_a_minute(caplog: pytest.LogCaptureFixture):
    script = Script(*[RegistryError("refused")] * 100)
    async with running(script) as harness:
        await harness.answers(100)
        assert harness.kinds == ["watch_failed"]
        harness.now += 60.0
        script.say(*[RegistryError("refused still")] * 100)
        await harness.answers(200)
        assert harness.events == [("watch_failed", "refused"), ("watch_failed", "refused still")]
        assert harness.keeper.updates["failed"] == 200
    assert len(caplog.records) == 2


async def test_the_waits_grow_while_watches_fail_and_while_each_gives_but_one_answer(monkeypatch: Any):
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)
        if len(waits) == 8:
            raise asyncio.CancelledError

    class Highest(Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    refused = RegistryError("refused")
    script = Script(*[refused] * 4, *(line for _ in range(4) for line in (web(A), refused)))
    keeper = Keeper(
        "web", script, "web-in-registry", lambda _: None, hold=0, journal=lambda *_: None,
        clock=lambda: 0.0, source=Highest(),
    )  # fmt: skip
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert [round(wait, 3) for wait in waits] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


async def test_a_watch_that_outlived_the_wait_before_it_begins_the_waits_anew(monkeypatch: Any):
    waits: list[float] = []
    now = 0.0

    async def sleep(delay: float) -> None:
        waits.append(delay)
        if len(waits) == 4:
            raise asyncio.CancelledError

    class Lasting:
        async def watch(self, service: str) -> AsyncIterator[Snapshot]:
            nonlocal now
            now += 1.0 if len(waits) == 2 else 0.0
            yield web(A)

    class Highest(Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    keeper = Keeper(
        "web", Lasting(), "web", lambda _: None, hold=0, journal=lambda *_: None,
        clock=lambda: now, source=Highest(),
    )  # fmt: skip
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert [round(wait, 3) for wait in waits] == [0.2, 0.4, 0.2, 0.4]


async def test_a_lost_set_is_held_back_and_accepted_by_the_timer():
    script = Script(web(A), LOST, web())
    async with running(script, hold=0.05) as harness:
        await harness.answers(3)
        assert harness.published == [web(A)]
        assert harness.keeper.updates["held"] == 2
        assert harness.keeper.held_since == 1000.0
        harness.now += 1.0
        await eventually(lambda: len(harness.published) == 2)
        assert harness.published[-1] == web()
        assert harness.keeper.held_since is None
        assert harness.kinds == ["empty_held", "empty_accepted"]


async def test_instances_that_come_back_end_the_hold_unseen():
    script = Script(web(A), RegistryError("connection reset"), LOST, web(A))
    async with running(script) as harness:
        await harness.answers(4)
        assert harness.published == [web(A)]
        assert harness.keeper.held_since is None
        assert harness.kinds == ["watch_failed", "watch_recovered", "empty_held"]


async def test_a_registry_that_goes_away_during_a_hold_drops_nothing():
    script = Script(web(A), LOST, RegistryError("connection reset"))
    async with running(script, hold=0.01) as harness:
        await harness.answers(3)
        harness.now += 1000.0
        script.say(LOST)
        await harness.answers(4)
        assert harness.published == [web(A)]
        assert harness.keeper.held_since == 2000.0


async def test_unreadable_entries_are_counted_and_named_when_they_appear():
    bad, worse = "web-7: port 0", "web-8: port 70000"
    script = Script(
        web(A, unreadable=(bad,)), web(A, unreadable=(bad,)), web(A, unreadable=(bad, worse)), web(A), web(A, B)
    )
    async with running(script) as harness:
        await harness.answers(5)
        assert harness.keeper.unreadable_total == 2
        assert harness.events == [("unreadable", bad), ("unreadable", worse)]


async def test_a_flood_of_unreadable_entries_is_named_in_part():
    script = Script(web(A, unreadable=tuple(f"web-{number:03}: port 0" for number in range(500))))
    async with running(script) as harness:
        await harness.answers(1)
        assert harness.keeper.unreadable_total == 500
        assert len(harness.events) == 11
        assert harness.events[-1] == ("unreadable", "490 more entries")


async def test_of_two_entries_with_one_identity_the_first_stays():
    twin = Instance("a", "10.0.0.9", 80)
    async with running(Script(web(A, twin, B))) as harness:
        await harness.answers(1)
        assert harness.published[0].instances == (A, B)
        assert harness.events == [("unreadable", "a: registered twice; 10.0.0.9:80 is left out")]


def test_a_snapshot_without_twins_stays_as_it_is():
    snapshot = web(A, B)
    assert without_twins(snapshot) is snapshot


async def test_an_answer_is_as_old_as_the_registry_says():
    script = Script(web(A, age=30.0))
    async with running(script) as harness:
        await harness.answers(1)
        assert harness.keeper.last_answer == 970.0


class TestHold:
    """What is held, what is let go, and who is told."""

    async def test_a_set_that_shrinks_too_far_is_held_and_what_is_new_in_it_is_in_force(self):
        script = Script(web(A, B, continuous=False), web(C, continuous=False))
        async with running(script, max_shrink=0.4) as harness:
            await harness.answers(2)
            assert [ids(snapshot) for snapshot in harness.published] == [{"a", "b"}, {"a", "b", "c"}]
            assert harness.keeper.held == web(C, continuous=False)
            assert (harness.keeper.kept, harness.keeper.held_until) == (2, 1060.0)
            assert harness.events == [
                ("shrink_held", "a set of 1 is held back, 2 instances are kept: nobody saw them go")
            ]
            script.say(web(C, continuous=False))
            await harness.answers(3)
            assert len(harness.published) == 2
            assert len(harness.events) == 1

    async def test_a_hold_that_becomes_worse_is_told_of_anew(self):
        script = Script(web(A, B, C, continuous=False), web(A, continuous=False), LOST, web(A), LOST)
        async with running(script, max_shrink=0.5) as harness:
            await harness.answers(5)
            assert harness.kinds == ["shrink_held", "empty_held"]

    async def test_instances_whose_probes_fail_are_let_go_and_the_last_one_ends_the_hold(self):
        well = {"a": True, "b": True}
        script = Script(web(A, B, continuous=False), LOST)
        async with running(script, answers=lambda instance: well.get(instance.id)) as harness:
            await harness.answers(2)
            well["b"] = False
            await eventually(lambda: len(harness.published) == 2)
            assert ids(harness.published[-1]) == {"a"}
            well["a"] = False
            await eventually(lambda: len(harness.published) == 3)
            assert harness.published[-1] == LOST
            assert harness.events[1:] == [
                ("let_go", "1 instance is let go: their probes fail; 1 instance is still kept"),
                ("empty_accepted", "the empty set that was held back is in force: the probes of all that it lost fail"),
            ]
            assert harness.keeper.updates["changed"] == 2

    async def test_an_operator_may_end_it(self):
        script = Script(web(A, B, C, continuous=False))
        async with running(script, max_shrink=0.5) as harness:
            await harness.answers(1)
            assert not harness.keeper.accept()
            script.say(web(A, continuous=False))
            await harness.answers(2)
            assert harness.keeper.accept()
            assert harness.published[-1] == web(A, continuous=False)
            assert harness.keeper.held is None
            assert harness.events[-1] == (
                "shrink_accepted", "the set of 1 that was held back is in force: an operator said so"
            )  # fmt: skip


class TestPace:
    """Answers that follow each other closely."""

    async def test_one_after_a_quiet_moment_is_passed_on_at_once_and_of_the_others_the_last(self):
        script = Script(*(web(weighing(weight)) for weight in range(1, 1001)))
        async with running(script, pace=0.2) as harness:
            await harness.answers(1)
            assert harness.published == [web(weighing(1))]
            await eventually(lambda: len(harness.published) == 2)
            assert harness.published[1] == web(weighing(1000))
            assert harness.keeper.updates == {"changed": 2, "unchanged": 0, "held": 0, "failed": 0}
            assert harness.keeper.superseded == 998

    async def test_no_change_waits_longer_than_50_ms(self):
        """Loaded machines are late with everything, so what counts is the wait that was asked for."""
        assert Pace().wait(0.0) == 0.0
        pace = Pace()
        pace.passed(100.0)
        assert 0.0 < pace.wait(100.0) <= 0.05
        assert pace.wait(100.04) == pytest.approx(PACE - 0.04)
        assert pace.wait(100.0 + PACE) == 0.0

    async def test_what_was_missed_before_an_answer_is_not_forgotten_with_it(self):
        script = Script(web(A), web(B), LOST, web())
        async with running(script, pace=0.05) as harness:
            await eventually(lambda: harness.keeper.held is not None)
            assert harness.keeper.superseded == 2
            assert harness.kinds == ["empty_held"]

    async def test_answers_without_changes_keep_no_change_waiting(self):
        script = Script(web(A))
        async with running(script, pace=0.5) as harness:
            await harness.answers(1)
            harness.now += 0.4
            script.say(web(A))
            await harness.answers(1)
            harness.now += 0.1
            script.say(web(B))
            await eventually(lambda: len(harness.published) == 2)
            assert harness.keeper.updates["changed"] == 2

    async def test_a_watch_that_fails_takes_no_answer_with_it(self):
        script = Script(web(A), web(A, B), RegistryError("gone"))
        async with running(script, pace=60.0) as harness:
            await eventually(lambda: bool(harness.keeper.error))
            assert harness.published == [web(A), web(A, B)]

    async def test_how_long_a_change_took_is_counted_from_its_arrival(self):
        script = Script(web(A, arrived=999.75), web(A, arrived=999.0), web(B))
        async with running(script) as harness:
            await harness.answers(3)
            assert harness.keeper.delays.count == 2
            assert harness.keeper.delays.total == 0.25
            assert harness.keeper.delays.buckets[0] == 1


async def test_a_keeper_that_is_cancelled_closes_its_watch():
    script = Script(web(A), LOST)
    async with running(script) as harness:
        await harness.answers(2)
        assert script.open == 1
    assert script.open == 0


@pytest.mark.parametrize("fault", [RegistryError("it went away"), AttributeError("_abort")])
async def test_a_keeper_that_is_cancelled_ends_though_its_watch_cannot_be_closed(fault: Exception):
    class Unclosable(Script):
        async def watch(self, service: str) -> AsyncIterator[Snapshot]:
            try:
                async for snapshot in super().watch(service):
                    yield snapshot
            finally:
                raise fault

    script = Unclosable(web(A))
    async with running(script) as harness:
        await harness.answers(1)
    assert script.watches == 1
    assert harness.kinds == []
