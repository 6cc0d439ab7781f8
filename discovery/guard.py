"""Which snapshot is in force: the newest one, unless it lost so many instances that the registry may be mistaken.

A registry that restarts without its data, that is restored from an older state, or that loses touch with the instances
(sessions, leases and renewals that all run out at once) answers in perfect health, and what it says is wrong.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from discovery.instance import Availability

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.instance import Instance, Snapshot

    # Whether an instance answers our probes; None where there are none, or none has ended yet.
    Answers = Callable[[Instance], bool | None]

BURST = 1.0  # seconds; instances that leave within it leave at once, in however many answers a registry says so
_NONE_ANSWERS = "the probes of all that it lost fail"
_ROUNDING = 1e-9  # 43 % of 100 are left when 57 % are gone, and not 43.00000000000001


class Verdict(enum.Enum):
    """What became of an answer."""

    CHANGED = "changed"  # it is in force, and differs from what was
    UNCHANGED = "unchanged"  # it is in force, and holds the same instances as what was
    HELD = "held"  # it lost too many instances, which stay in force for a while beside those that it names


class Guard:
    """Keeps the instances in force that an answer lost, for `hold` seconds, when nothing shows that they went.

    An answer is doubted if it is empty, or if it holds so few instances that more than the share `max_shrink` (0 to 1)
    of the last good set is gone; and if, besides,

    - it is not continuous: nobody saw the instances go, or
    - so many entries were left out of it as unreadable that they may be those: they are registered, somehow, or
    - the instances that it lost at once, more than one or the last, still answer our probes, says `answers`.

    Without probes a continuous answer is therefore taken at its word. With them we do as Envoy does, which keeps a host
    that discovery no longer names for as long as its health checks pass, but only where so many are gone that it may be
    the registry's mistake: a single instance that deregisters before it ends is let go at once, so that it can drain.

    While an answer is held, what it names is in force beside what it lost, so that instances that are new or changed
    lose no time. An instance that it lost is let go as soon as its probes fail. The hold ends, with the answer in force
    and nothing else, when

    - an answer comes that is not too small, whatever it names,
    - `hold` seconds of an unbroken watch went by: the registry means it,
    - none of the instances that it lost is left, because the probes of all of them fail,
    - an operator says so (`accept`).

    It ends with nothing decided when the watch breaks: what a registry said before it went away is no reason to drop
    instances while it is away. The next such answer begins a new hold.

    Times are seconds on any one clock that does not go backwards. `hold` 0 accepts every answer at once; `max_shrink` 1
    doubts only empty ones.
    """

    def __init__(self, hold: float, max_shrink: float = 1.0, answers: Answers = lambda instance: None) -> None:
        self._hold = hold
        self._least_left = 1 - max_shrink
        self._answers = answers
        self._count = 0  # instances in the last answer that was accepted
        self._burst: tuple[float, int] = (float("-inf"), 0)  # when a row of changes began, and the instances before it
        self._base = 0  # instances before the answer that is held
        self._kept: tuple[Instance, ...] = ()
        self.reason = ""  # why the answer that is held is doubted, for people
        self.ending = ""  # why a hold ended with its answer in force; empty when the instances came back
        self.held: Snapshot | None = None
        self.current: Snapshot | None = None
        self.held_since: float | None = None

    @property
    def deadline(self) -> float | None:
        """When the hold is over; None while nothing is held."""
        return None if self.held_since is None else self.held_since + self._hold

    @property
    def kept(self) -> int:
        """How many instances are in force that the answer which is held does not name."""
        return len(self._kept)

    def restored(self, snapshot: Snapshot) -> None:
        """Begin with what an earlier process knew: the registry's first answer is compared with it."""
        self.current = snapshot
        self._count = len(snapshot.instances)

    def answered(self, snapshot: Snapshot, now: float) -> Verdict:
        """Decide on an answer of the registry."""
        kept = self._lost(snapshot, now)
        if not kept:
            return self._accept(snapshot, now)
        if self.held_since is None:
            self.held_since = now
            self.reason = _reason(snapshot)
            self._base = self._before(now)
        self._keep(snapshot, kept)
        return Verdict.HELD

    def broken(self) -> None:
        """Take note that the watch failed: what is held is no longer what the registry says."""
        self._end_hold()

    def release(self, now: float) -> Snapshot | None:
        """Look again at what is held; return the snapshot in force if that changed.

        To be called when the deadline has come, and before that as often as probes may have found something out.
        """
        deadline = self.deadline
        if self.held is None or deadline is None:
            return None
        kept = () if now >= deadline else self._answering(self._kept)
        if len(kept) == len(self._kept):
            return None
        if not kept:
            return self.accept(now, self._over() if now >= deadline else _NONE_ANSWERS)
        self._keep(self.held, kept)
        return self.current

    def accept(self, now: float, why: str) -> Snapshot | None:
        """Put in force what is held, at once, and return it; None if nothing is held."""
        held = self.held
        if held is not None:
            self.ending = why
            self._accept(held, now)
        return held

    def _lost(self, snapshot: Snapshot, now: float) -> tuple[Instance, ...]:
        """Return the instances that must stay in force beside an answer; none if it can be accepted."""
        self.ending = ""
        deadline = self.deadline
        if self.current is None or self._hold <= 0:
            return ()
        count = len(snapshot.instances)
        before = self._before(now) if self.held is None else self._base
        least = before * self._least_left - _ROUNDING
        if count and count >= least:
            return ()
        if deadline is not None and now >= deadline:
            self.ending = self._over()
            return ()
        lost = _missing(self.current, snapshot)
        unread = len(snapshot.unreadable)
        is_misread = unread > 0 and (not count or count + unread >= least)
        if self.held is None and snapshot.continuous and not is_misread:
            at_once = not count or before - count > 1
            if not at_once or not any(self._answers(instance) for instance in lost):
                return ()
        kept = self._answering(lost)
        if lost and not kept:
            self.ending = _NONE_ANSWERS
        return kept

    def _over(self) -> str:
        return f"it was held for {self._hold:g} s"

    def _before(self, now: float) -> int:
        """Return how many instances there were before those that go now began to."""
        began, count = self._burst
        return max(self._count, count) if now - began < BURST else self._count

    def _answering(self, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        return tuple(instance for instance in instances if self._answers(instance) is not False)

    def _keep(self, held: Snapshot, kept: tuple[Instance, ...]) -> None:
        self.held, self._kept = held, kept
        self.current = dataclasses.replace(held, instances=(*kept, *held.instances))

    def _accept(self, snapshot: Snapshot, now: float) -> Verdict:
        before, self.current = self.current, snapshot
        if now - self._burst[0] >= BURST:
            self._burst = (now, self._count)
        self._count = len(snapshot.instances)
        self._end_hold()
        return Verdict.UNCHANGED if before is not None and same_instances(before, snapshot) else Verdict.CHANGED

    def _end_hold(self) -> None:
        self.held = self.held_since = None
        self._kept = ()


def same_instances(one: Snapshot, other: Snapshot) -> bool:
    """Tell whether two snapshots hold equal instances, in whatever order a registry listed them."""
    if len(one.instances) != len(other.instances):
        return False
    known = {instance.id: instance for instance in one.instances}
    for instance in other.instances:
        same = known.get(instance.id)
        # Most registries hand on what did not change as it is, and to see that takes a third of a comparison's time.
        if same is not instance and same != instance:
            return False
    return True


def _reason(snapshot: Snapshot) -> str:
    if not snapshot.continuous:
        return "nobody saw them go"
    return "entries could not be read" if snapshot.unreadable else "they still answer probes"


def _missing(before: Snapshot, after: Snapshot) -> tuple[Instance, ...]:
    """Return the instances that can be used before, and that are not there afterwards.

    One that registered anew under another identity is there: ZooKeeper's sequential nodes, say, are called otherwise
    in each session. One that drained or was down takes no requests, and need not be kept.
    """
    ids = {instance.id for instance in after.instances}
    places = {(instance.address, instance.port) for instance in after.instances}
    return tuple(
        instance
        for instance in before.instances
        if instance.id not in ids
        and (instance.address, instance.port) not in places
        and instance.availability is Availability.UP
        and instance.weight > 0
    )
