"""Is this endpoint fit for traffic, since when, and why not? The one state machine that decides it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much evidence moves an endpoint.

    `fall` failed probes in a row eject it, `rise` passed ones in a row readmit it; both at least 1.
    With `must_pass_first` a new endpoint takes no traffic until its first probe passed; that one is enough.
    """

    rise: int = 2
    fall: int = 3
    must_pass_first: bool = False


class Health:
    """The health of one endpoint.

        waiting --passed--> healthy --fall failures in a row--> ejected --rise passes in a row--> healthy

    `waiting` is where an endpoint with `must_pass_first` starts; all others start healthy. `since` is when the present
    state began, in the caller's clock; `reason` says in a few words why it is what it is.
    """

    __slots__ = ("_streak", "_thresholds", "ejections", "last_probe", "reason", "since", "state")

    def __init__(self, thresholds: Thresholds, now: float) -> None:
        self._thresholds = thresholds
        self._streak = 0  # outcomes in a row that speak against the present state
        self.ejections = 0
        self.last_probe = ""  # what it found, whatever came of that
        self.since = now
        if thresholds.must_pass_first:
            self.state, self.reason = "waiting", "its first probe has not passed yet"
        else:
            self.state, self.reason = "healthy", "newly discovered"

    def probed(self, passed: bool, detail: str, now: float) -> bool:
        """Take in the outcome of one probe; true when it changed the state."""
        self.last_probe = detail
        if passed == (self.state == "healthy"):
            self._streak = 0
            if self.state == "waiting":
                self.reason = f"its first probe has not passed yet: {detail}"
            return False
        self._streak += 1
        if self.state == "healthy":
            if self._streak < self._thresholds.fall:
                return False
            self._move("ejected", f"{_times(self._streak, 'probe')} failed, the last one: {detail}", now)
            self.ejections += 1
        elif self.state == "ejected":
            if self._streak < self._thresholds.rise:
                return False
            self._move("healthy", f"{_times(self._streak, 'probe')} passed", now)
        else:
            self._move("healthy", f"its first probe passed: {detail}", now)
        return True

    def _move(self, state: str, reason: str, now: float) -> None:
        self.state = state
        self.reason = reason
        self.since = now
        self._streak = 0


def _times(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s in a row"
