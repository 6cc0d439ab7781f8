"""Keep one watch of one service alive for ever, and publish what it says when it says something new."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from typing import TYPE_CHECKING, Protocol

from config.units import format_duration
from discovery.backoff import Backoff
from discovery.cancelled import end_if_cancelled
from discovery.freshness import Delays
from discovery.guard import Guard, Verdict, same_instances
from discovery.pace import PACE, Pace
from discovery.registry import RegistryError
from discovery.stored import StoredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.guard import Answers
    from discovery.instance import Instance, Snapshot
    from discovery.registry import Registry
    from discovery.stored import Stored

log = logging.getLogger(__name__)

REPEAT = 60.0  # seconds between two warnings of one failure that goes on
UNREADABLE_SHOWN = 10  # entries of one answer that are named one by one; a file that is all wrong would fill the log
LOOK = 0.25  # seconds from one look at what probes say of the instances that a held answer lost to the next


class Store(Protocol):
    """Where the last good set outlives the process; see state.py."""

    async def read(self) -> Stored | None:
        """Return what an earlier process left. Raises StoredError."""
        ...

    def age(self, found: Stored) -> float:
        """Return how many seconds old that is."""
        ...

    def keep(self, snapshot: Snapshot, *, age: float, is_changed: bool) -> None:
        """Keep a good answer that is `age` seconds old."""
        ...


class Keeper:
    """Owns the watch of `name` in `registry`, on behalf of our `service`.

    `publish` gets each snapshot that differs from the one in force, at once after a quiet moment, and else together
    with what else comes within `pace`; it is called in the event loop and must not fail. `journal` gets each notable
    event: a kind (`watch_failed`, `watch_recovered`, `empty_held`, `empty_accepted`, `shrink_held`, `shrink_accepted`,
    `let_go`, `restored`, `state_unusable`, `unreadable`) and a text for people. `hold`, `max_shrink` and `answers` say
    when an answer that lost instances is held back: see Guard. `store` is where the last good set is kept.
    `longest_wait` is the cap of the back-off, in seconds; small where it costs nobody much to be asked again. `pace` is
    how many seconds pass from one publication to the next; 0: each answer is taken as it comes.

    The rest is for the metrics and the admin API to read:

    `updates`           answers by what became of them (see Verdict), and `failed`: watches that ended with an error
    `superseded`        answers of which nothing became, because a later one came before their turn
    `reconnects`        how often a watch was begun again
    `unreadable_total`  entries that were left out, each counted when it appears, not at each answer
    `last_answer`       when the registry last gave a good answer, be it to an earlier process, by `clock`; or None
    `has_answered`      whether it gave this process one
    `stored`            whether the set in force comes from `store` and no answer has been accepted since
    `delays`            how long it took from an answer's arrival to its publication, where it changed something
    `error`             what is wrong with the watch at present; empty while it works
    """

    def __init__(
        self,
        service: str,
        registry: Registry,
        name: str,
        publish: Callable[[Snapshot], None],
        *,
        hold: float,
        journal: Callable[[str, str], None],
        max_shrink: float = 1.0,
        answers: Answers | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
        source: random.Random | None = None,
        longest_wait: float = 10.0,
        pace: float = PACE,
    ) -> None:
        self.service = service
        self.name = name
        self.updates = {"changed": 0, "unchanged": 0, "held": 0, "failed": 0}
        self.superseded = 0
        self.reconnects = 0
        self.unreadable_total = 0
        self.last_answer: float | None = None
        self.has_answered = False
        self.stored = False
        self.delays = Delays()
        self.error = ""
        self._registry = registry
        self._publish = publish
        self._journal = journal
        self._store = store
        self._clock = clock
        self._guard = Guard(hold, max_shrink, answers or (lambda instance: None))
        self._look = LOOK if answers is not None else float("inf")
        self._backoff = Backoff(source or random.Random(), cap=longest_wait)
        self._pace = Pace(pace)
        self._unreadable: frozenset[str] = frozenset()
        self._told: set[str] = set()  # the kinds of answers that the present hold was told of with
        self._next_warning = float("-inf")
        self._waiting: tuple[Snapshot, float] | None = None  # the newest answer, and when the first of its row came
        self._turn: asyncio.TimerHandle | None = None  # of the answer that waits
        self._timer: asyncio.TimerHandle | None = None  # of the answer that is held

    @property
    def current(self) -> Snapshot | None:
        """The snapshot in force: the last good one, however long ago that was, beside what a held one names."""
        return self._guard.current

    @property
    def has_snapshot(self) -> bool:
        return self._guard.current is not None

    @property
    def held(self) -> Snapshot | None:
        """The answer that is held back; None if there is none."""
        return self._guard.held

    @property
    def kept(self) -> int:
        """How many instances are in force that the answer which is held back does not name."""
        return self._guard.kept

    @property
    def held_reason(self) -> str:
        """Why that answer is doubted."""
        return self._guard.reason

    @property
    def held_since(self) -> float | None:
        """Since when an answer has been held back, by `clock`; None if there is none."""
        return self._guard.held_since

    @property
    def held_until(self) -> float | None:
        """When the answer that is held back is accepted if nothing else happens, by `clock`; None if there is none."""
        return self._guard.deadline

    async def run(self) -> None:
        """Watch until cancelled."""
        delay = 0.0
        try:
            await self._restore()
            while True:
                began = self._clock()
                try:
                    await self._follow()
                except RegistryError as error:
                    end_if_cancelled(error)
                    self._failed(str(error))
                except Exception as error:
                    end_if_cancelled(error)
                    # Not an answer that the registry's code foresaw. The requests go on with the last good set, and
                    # the traceback goes where somebody can mend it.
                    log.exception("service %s: the watch of %s met a fault of its own", self.service, self.name)
                    self._failed(f"{type(error).__name__}: {error}")
                else:
                    self._failed("the watch ended, which it should never do")
                # One good answer is no sign of recovery if the next one fails each time: only a watch that outlived
                # the wait before it ends the row.
                if self._clock() - began > delay:
                    self._backoff.reset()
                delay = self._backoff.next()
                await asyncio.sleep(delay)
                self.reconnects += 1
        finally:
            for handle in (self._turn, self._timer):
                if handle is not None:
                    handle.cancel()

    def accept(self) -> bool:
        """Put in force what is held back, because an operator says so; False if nothing is."""
        self._take_turn()
        snapshot = self._guard.accept(self._clock(), "an operator said so")
        if snapshot is None:
            return False
        self._accepted(snapshot)
        return True

    async def _restore(self) -> None:
        """Begin with what an earlier process knew, if there is anything."""
        if self._store is None:
            return
        try:
            found = await self._store.read()
        except StoredError as error:
            log.warning("service %s: %s", self.service, error)
            self._journal("state_unusable", str(error))
            return
        if found is None:
            return
        age = self._store.age(found)
        self.last_answer = self._clock() - age
        self.stored = True
        self._guard.restored(found.snapshot)
        text = f"{_count(len(found.snapshot.instances))} in force, stored {format_duration(round(age))} ago"
        log.info("service %s: until %s answers, %s", self.service, self.name, text)
        self._journal("restored", text)
        self._publish(found.snapshot)

    async def _follow(self) -> None:
        watch = self._registry.watch(self.name)
        try:
            async for snapshot in watch:
                self._answered(snapshot)
        finally:
            close = getattr(watch, "aclose", None)  # a registry of somebody else's need not be a generator
            if close is not None:
                await close()

    def _answered(self, answer: Snapshot) -> None:
        """Take an answer: at once after a quiet moment, else in its turn, unless another one comes before that."""
        now = self._clock()
        self.last_answer = now - answer.age
        self.has_answered = True
        if self.error:
            self.error = ""
            log.info("service %s: the watch of %s works again", self.service, self.name)
            self._journal("watch_recovered", f"the watch of {self.name} works again")
        arrived = now if answer.arrived is None else answer.arrived
        if self._waiting is not None:
            earlier, arrived = self._waiting
            self.superseded += 1
            if not earlier.continuous:  # what was missed before that one was missed before this one, too
                answer = dataclasses.replace(answer, continuous=False)
        self._waiting = answer, arrived
        wait = self._pace.wait(now)
        if not wait:
            self._take_turn()
        elif self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(wait, self._take_turn)

    def _take_turn(self) -> None:
        """Decide on the answer that waits, if there is one."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._waiting is None:
            return
        (answer, arrived), self._waiting = self._waiting, None
        snapshot = without_twins(answer)
        self._name_unreadable(snapshot)
        before, was_held = self._guard.current, self._guard.held is not None
        verdict = self._guard.answered(snapshot, self._clock())
        self.updates[verdict.value] += 1
        is_changed = verdict is Verdict.CHANGED
        if verdict is Verdict.HELD:
            self._tell_of_hold(snapshot)
            is_changed = not _alike(before, self._guard.current)
        else:
            if was_held and self._guard.ending:
                self._tell_of_acceptance(snapshot)
            self._keep(snapshot, is_changed)
        if is_changed:
            self._put_in_force()
            self.delays.add(self._clock() - arrived)
        self._set_timer()

    def _failed(self, text: str) -> None:
        self._take_turn()
        now = self._clock()
        self.updates["failed"] += 1
        if not self.error or now >= self._next_warning:
            self._next_warning = now + REPEAT
            log.warning("service %s: the watch of %s failed: %s", self.service, self.name, text)
            self._journal("watch_failed", text)
        self.error = text
        self._guard.broken()
        self._told.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        """Have the guard asked again while it holds something, and only then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._guard.deadline
        if deadline is not None:
            delay = min(max(0.0, deadline - self._clock()), self._look)
            self._timer = asyncio.get_running_loop().call_later(delay, self._look_again)

    def _look_again(self) -> None:
        kept = self._guard.kept
        snapshot = self._guard.release(self._clock())
        if snapshot is not None and self._guard.held is None:
            self._accepted(snapshot)
        elif snapshot is not None:
            text = f"{_count(kept - self._guard.kept)} let go: their probes fail; {_count(self._guard.kept)} still kept"
            log.warning("service %s: of those that %s does not hold any more, %s", self.service, self.name, text)
            self._journal("let_go", text)
            self._put_in_force()
        self._set_timer()

    def _accepted(self, snapshot: Snapshot) -> None:
        """Follow up on what was held and is in force now."""
        self.updates["changed"] += 1
        self._tell_of_acceptance(snapshot)
        self._keep(snapshot, is_changed=True)
        self._put_in_force()
        self._set_timer()

    def _put_in_force(self) -> None:
        in_force = self._guard.current
        if in_force is not None:
            self._publish(in_force)
            self._pace.passed(self._clock())

    def _keep(self, snapshot: Snapshot, is_changed: bool) -> None:
        """Take note that an answer was accepted."""
        self.stored = False
        self._told.clear()
        if self._store is not None and self.last_answer is not None:
            self._store.keep(snapshot, age=self._clock() - self.last_answer, is_changed=is_changed)

    def _tell_of_hold(self, snapshot: Snapshot) -> None:
        count = len(snapshot.instances)
        kind = "shrink" if count else "empty"
        if kind in self._told:
            return
        self._told.add(kind)
        kept = self._guard.kept
        log.warning(
            "service %s: the set of %s in the registry %s; %s lost, and %s: they stay in force for a while",
            self.service, self.name, f"shrank to {count}" if count else "is empty", _count(kept), self._guard.reason,
        )  # fmt: skip
        what = f"a set of {count}" if count else "an empty set"
        self._journal(f"{kind}_held", f"{what} is held back, {_count(kept)} kept: {self._guard.reason}")

    def _tell_of_acceptance(self, snapshot: Snapshot) -> None:
        count = len(snapshot.instances)
        what = f"the set of {count}" if count else "the empty set"
        log.warning(
            "service %s: %s that was held back for %s is in force: %s",
            self.service, what, self.name, self._guard.ending,
        )  # fmt: skip
        kind = "shrink" if count else "empty"
        self._journal(f"{kind}_accepted", f"{what} that was held back is in force: {self._guard.ending}")

    def _name_unreadable(self, snapshot: Snapshot) -> None:
        known, self._unreadable = self._unreadable, frozenset(snapshot.unreadable)
        news = sorted(self._unreadable - known)
        self.unreadable_total += len(news)
        if len(news) > UNREADABLE_SHOWN:
            news[UNREADABLE_SHOWN:] = [f"{len(news) - UNREADABLE_SHOWN} more entries"]
        for text in news:
            log.warning("service %s: left out of %s: %s", self.service, self.name, text)
            self._journal("unreadable", text)


def without_twins(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with each identity once: of two entries that share one, the first stays."""
    first: dict[str, Instance] = {}
    twins = [
        f"{instance.id}: registered twice; {instance.authority} is left out"
        for instance in snapshot.instances
        if first.setdefault(instance.id, instance) is not instance
    ]
    if not twins:
        return snapshot
    return dataclasses.replace(snapshot, instances=tuple(first.values()), unreadable=(*snapshot.unreadable, *twins))


def _alike(before: Snapshot | None, after: Snapshot | None) -> bool:
    return before is not None and after is not None and same_instances(before, after)


def _count(number: int) -> str:
    return "1 instance is" if number == 1 else f"{number} instances are"
