"""Which snapshot is in force: the newest one, unless it is empty and may be a registry's loss of memory."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discovery.instance import Snapshot


class Verdict(enum.Enum):
    """What became of an answer."""

    CHANGED = "changed"  # it is in force, and differs from what was
    UNCHANGED = "unchanged"  # it is in force, and holds the same instances as what was
    HELD = "held"  # it is empty and waits; what was in force stays so


class Guard:
    """Holds an empty set back for `hold` seconds when nothing shows that its instances were deregistered.

    A registry that restarts without its data, or that is restored from an older state, answers with an empty set in
    perfect health, and its instances need some time to register again. So an empty snapshot after one with instances is
    accepted at once only if it is continuous: we then watched the last instance go. Otherwise it is held until

    - an answer with instances comes: that one is in force at once, and nothing was lost,
    - `hold` seconds of an unbroken watch went by: the registry means it,
    - the watch breaks: what a registry said before it went away again is no reason to drop instances while it is
      away. Its next empty answer begins a new hold.

    An empty set is held too if entries were left out of it as unreadable: those instances are registered, somehow.
    Times are seconds on any one clock that does not go backwards. `hold` 0 accepts every answer at once.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._held: Snapshot | None = None
        self.current: Snapshot | None = None
        self.held_since: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `release` is due; None while nothing is held."""
        return None if self.held_since is None else self.held_since + self._hold

    def answered(self, snapshot: Snapshot, now: float) -> Verdict:
        """Decide on an answer of the registry."""
        if self._must_wait(snapshot, now):
            self._held = snapshot
            if self.held_since is None:
                self.held_since = now
            return Verdict.HELD
        return self._accept(snapshot)

    def broken(self) -> None:
        """Take note that the watch failed: what is held is no longer what the registry says."""
        self._held = self.held_since = None

    def release(self, now: float) -> Snapshot | None:
        """Put the held set in force if its time has come, and return it; None if there is nothing to do yet."""
        deadline = self.deadline
        if self._held is None or deadline is None or now < deadline:
            return None
        held = self._held
        self._accept(held)
        return held

    def _must_wait(self, snapshot: Snapshot, now: float) -> bool:
        if snapshot.instances or self.current is None or not self.current.instances:
            return False
        if self.held_since is not None:
            return now < self.held_since + self._hold
        return self._hold > 0 and (not snapshot.continuous or bool(snapshot.unreadable))

    def _accept(self, snapshot: Snapshot) -> Verdict:
        before, self.current = self.current, snapshot
        self._held = self.held_since = None
        return Verdict.UNCHANGED if before is not None and same_instances(before, snapshot) else Verdict.CHANGED


def same_instances(one: Snapshot, other: Snapshot) -> bool:
    """Tell whether two snapshots hold equal instances, in whatever order a registry listed them."""
    if len(one.instances) != len(other.instances):
        return False
    known = {instance.id: instance for instance in one.instances}
    return all(known.get(instance.id) == instance for instance in other.instances)
