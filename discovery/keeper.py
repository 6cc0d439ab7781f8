"""Keep one watch of one service alive for ever, and publish what it says when it says something new."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from typing import TYPE_CHECKING

from discovery.backoff import Backoff
from discovery.guard import Guard, Verdict
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.instance import Instance, Snapshot
    from discovery.registry import Registry

log = logging.getLogger(__name__)

REPEAT = 60.0  # seconds between two warnings of one failure that goes on
UNREADABLE_SHOWN = 10  # entries of one answer that are named one by one; a file that is all wrong would fill the log


class Keeper:
    """Owns the watch of `name` in `registry`, on behalf of our `service`.

    `publish` gets each snapshot that differs from the one in force; it is called in the event loop and must not fail.
    `journal` gets each notable event: a kind (`watch_failed`, `watch_recovered`, `empty_held`, `empty_accepted`,
    `unreadable`) and a text for people. `hold` is how many seconds an empty set may be held back: see Guard.
    `longest_wait` is the cap of the back-off, in seconds; small where it costs nobody much to be asked again.

    The rest is for the metrics and the admin API to read:

    `updates`           answers by what became of them (see Verdict), and `failed`: watches that ended with an error
    `reconnects`        how often a watch was begun again
    `unreadable_total`  entries that were left out, each counted when it appears, not at each answer
    `last_answer`       when the registry last gave a good answer, by `clock`; None before the first
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
        clock: Callable[[], float] = time.monotonic,
        source: random.Random | None = None,
        longest_wait: float = 10.0,
    ) -> None:
        self.service = service
        self.name = name
        self.updates = {"changed": 0, "unchanged": 0, "held": 0, "failed": 0}
        self.reconnects = 0
        self.unreadable_total = 0
        self.last_answer: float | None = None
        self.error = ""
        self._registry = registry
        self._publish = publish
        self._journal = journal
        self._clock = clock
        self._guard = Guard(hold)
        self._backoff = Backoff(source or random.Random(), cap=longest_wait)
        self._unreadable: frozenset[str] = frozenset()
        self._next_warning = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def current(self) -> Snapshot | None:
        """The snapshot in force: the last good one, however long ago that was."""
        return self._guard.current

    @property
    def has_snapshot(self) -> bool:
        return self._guard.current is not None

    @property
    def held_since(self) -> float | None:
        """Since when an empty set has been held back, by `clock`; None if there is none."""
        return self._guard.held_since

    async def run(self) -> None:
        """Watch until cancelled."""
        delay = 0.0
        try:
            while True:
                began = self._clock()
                try:
                    await self._follow()
                except RegistryError as error:
                    self._failed(str(error))
                except Exception as error:
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
            self._set_timer()

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
        now = self._clock()
        self.last_answer = now
        if self.error:
            self.error = ""
            log.info("service %s: the watch of %s works again", self.service, self.name)
            self._journal("watch_recovered", f"the watch of {self.name} works again")
        snapshot = without_twins(answer)
        self._name_unreadable(snapshot)
        was_held = self._guard.held_since is not None
        verdict = self._guard.answered(snapshot, now)
        self.updates[verdict.value] += 1
        if verdict is Verdict.HELD and not was_held:
            self._warn_of_hold()
        elif verdict is Verdict.CHANGED:
            if was_held and not snapshot.instances:
                self._tell_of_acceptance()
            self._publish(snapshot)
        self._set_timer()

    def _failed(self, text: str) -> None:
        now = self._clock()
        self.updates["failed"] += 1
        if not self.error or now >= self._next_warning:
            self._next_warning = now + REPEAT
            log.warning("service %s: the watch of %s failed: %s", self.service, self.name, text)
            self._journal("watch_failed", text)
        self.error = text
        self._guard.broken()
        self._set_timer()

    def _set_timer(self) -> None:
        """Have the guard asked again when what it holds is due, and only then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._guard.deadline
        if deadline is not None:
            delay = max(0.0, deadline - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._release)

    def _release(self) -> None:
        snapshot = self._guard.release(self._clock())
        if snapshot is not None:
            self.updates["changed"] += 1
            self._tell_of_acceptance()
            self._publish(snapshot)
        self._set_timer()

    def _warn_of_hold(self) -> None:
        kept = len(self._guard.current.instances) if self._guard.current else 0
        log.warning(
            "service %s: the registry holds no instance of %s any more, and nothing shows that the %d we know were "
            "deregistered; they stay in force for a while",
            self.service, self.name, kept,
        )  # fmt: skip
        self._journal("empty_held", f"an empty set is held back, {kept} instances stay in force")

    def _tell_of_acceptance(self) -> None:
        log.warning("service %s: the registry still holds no instance of %s; so be it", self.service, self.name)
        self._journal("empty_accepted", "the empty set that was held back is in force")

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
