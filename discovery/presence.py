"""Whether an instance is to be in its registry, and what is to be done about that next, and when."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discovery.backoff import Backoff

LAST_WORDS = 0.5  # seconds at most between two tries to take out an instance that ends


class Act(enum.Enum):
    """What can be done with a place in a registry."""

    REGISTER = "register"
    RENEW = "renew"
    REVOKE = "revoke"


class Presence:
    """Decides for one instance; it does nothing itself. Times are seconds on one clock that does not go backwards.

    The instance is wanted in the registry once `rise` probes in a row have passed, until `fall` in a row have failed;
    one whose probes pass again is wanted again. Nothing is wanted any more after `end`.

    What is done is told by `done`, `lost` and `failed`. An act that failed is due again after the back-off; one that
    is wanted for a new reason is due at once. An instance that cannot be taken out counts as gone when the registry
    has not heard of it for three intervals, for that is how long it waits itself.
    """

    def __init__(self, rise: int, fall: int, backoff: Backoff) -> None:
        self._rise = rise
        self._fall = fall
        self._backoff = backoff
        self._row = 0  # probes in a row that speak against what is wanted now
        self._due = float("-inf")
        self._interval = 0.0  # seconds between two renewals
        self._leaving_since: float | None = None  # when taking it out failed first; its lease is good for nothing else
        self.wanted = False
        self.ending = False
        self.is_in = False  # as far as we know: the registry said so last

    @property
    def is_over(self) -> bool:
        """True when nothing will ever have to be done again."""
        return self.ending and not self.is_in

    def next(self) -> tuple[Act, float] | None:
        """Return what is to be done, and when; None while there is nothing to do."""
        if self.wanted:
            is_kept = self.is_in and self._leaving_since is None
            return Act.RENEW if is_kept else Act.REGISTER, self._due
        return (Act.REVOKE, self._due) if self.is_in else None

    def probed(self, passed: bool, now: float) -> bool:
        """Take what a probe found, and tell whether it turns what is wanted."""
        if self.ending or passed == self.wanted:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._rise if passed else self._fall):
            return False
        self._row = 0
        self.wanted = passed
        self._due = now
        return True

    def want(self, now: float) -> None:
        """Want the instance in, without any probe."""
        self.wanted = not self.ending
        self._due = now

    def hurry(self, now: float) -> None:
        """Do at once what is to be done next."""
        self._due = min(self._due, now)

    def end(self, now: float) -> None:
        """Want the instance out for good."""
        self.ending, self.wanted = True, False
        self._due = now

    def done(self, act: Act, now: float, interval: float = 0.0) -> None:
        """Take note that an act was done; `interval` is the lease's."""
        self.is_in = act is not Act.REVOKE
        self._leaving_since = None
        self._backoff.reset()
        self._interval = interval
        # What is wanted may have turned while it was done.
        self._due = now + interval if self.is_in and self.wanted else now

    def lost(self, now: float) -> None:
        """Take note that the registry does not know the instance any more."""
        self.is_in = False
        self._leaving_since = None
        self._due = now

    def failed(self, act: Act, now: float) -> None:
        """Take note that the registry could not be asked."""
        delay = self._backoff.next()
        if self.ending:
            delay = min(delay, LAST_WORDS)
        elif act is Act.RENEW:
            delay = min(delay, self._interval)
        self._due = now + delay
        if act is Act.REVOKE:
            if self._leaving_since is None:
                self._leaving_since = now
            elif now - self._leaving_since >= 3 * self._interval:
                self.is_in, self._leaving_since = False, None
