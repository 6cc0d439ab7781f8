"""From a change in Consul to the first request that an instance gets, or to the last one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.control.wire import Wire, WireError, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bench.control.catalog import Registrations

SERVICE = "web"
STAYING = 2  # instances that are always there; one more comes and goes
EVERY = 0.001  # seconds between two questions
QUIET = 40  # answers without a word of an instance after which it is gone; with three in turn, each third is its
DEADLINE = 15.0  # seconds that a change may take
# Seconds by which the pauses between two changes differ, so that these come anywhere between two looks of who polls.
# The shortest is a tenth: pointsman passes changes on together that follow each other within 50 ms.
MORE = 0.4

Kind = Literal["register", "deregister"]


class TooLateError(Exception):
    """A change did not show within the deadline."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer: when it was asked for, when it was there, and who gave it; "" for an answer that is an error."""

    asked: float
    answered: float
    who: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one change: seconds, and how many answers were errors meanwhile."""

    proxy: str
    round: int
    kind: Kind
    seconds: float
    errors: int


def answers(wire: Wire, begun: float, deadline: float = DEADLINE) -> Iterator[Seen]:
    """Ask again and again, a thousand times a second at most, until the deadline."""
    head = request("/", host=SERVICE)
    due = time.monotonic()
    while due < begun + deadline:
        asked = time.monotonic()
        try:
            answer = wire.ask(head)
            who = answer.body.decode("latin-1") if answer.status == 200 else ""
        except (OSError, WireError):
            who = ""
        now = time.monotonic()
        yield Seen(asked, now, who)
        due += EVERY
        if due > now:
            time.sleep(due - now)
        else:
            due = now


def first(seen: Iterable[Seen], who: str, begun: float) -> tuple[float, int]:
    """Seconds from the change until the first answer of this instance was there, and errors meanwhile.

    Raises TooLateError.
    """
    errors = 0
    for one in seen:
        errors += not one.who
        if one.who == who:
            return one.answered - begun, errors
    raise TooLateError("it got no request")


def last(seen: Iterable[Seen], who: str, begun: float, quiet: int = QUIET) -> tuple[float, int]:
    """Seconds from the change until the last question that this instance answered, and errors meanwhile; at least 0.

    Raises TooLateError.
    """
    seconds, others, errors = 0.0, 0, 0
    for one in seen:
        errors += not one.who
        others += 1
        if one.who == who:
            seconds, others = max(one.asked - begun, 0.0), 0
        if others == quiet:
            return seconds, errors
    raise TooLateError("it still got requests")


class Delays:
    """Has one instance come and go, and sees through a proxy when that shows."""

    def __init__(
        self, proxy: str, wire: Wire, registrations: Registrations, who: str, pause: Callable[[], None]
    ) -> None:
        self._proxy = proxy
        self._wire = wire
        self._registrations = registrations
        self._who = who
        self._pause = pause

    def registered(self, round_: int) -> Change:
        """Register the instance, and wait for its first request. Raises TooLateError."""
        begun = self._begin()
        self._registrations.register(self._who)
        try:
            seconds, errors = first(answers(self._wire, begun), self._who, begun)
        finally:
            self._registrations.done()
        return Change(self._proxy, round_, "register", seconds, errors)

    def deregistered(self, round_: int) -> Change:
        """Deregister the instance, and wait until it gets no more requests. Raises TooLateError."""
        begun = self._begin()
        self._registrations.deregister(self._who)
        try:
            seconds, errors = last(answers(self._wire, begun), self._who, begun)
        finally:
            self._registrations.done()
        return Change(self._proxy, round_, "deregister", seconds, errors)

    def _begin(self) -> float:
        self._pause()
        return time.monotonic()
