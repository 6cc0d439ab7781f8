"""What the supervisor and the control process tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of proxy/takeover/places.py without its sockets, of which it has `count`."""

    role: str
    bind: str
    lent: bool
    count: int


# From control.


@dataclass(frozen=True, slots=True)
class Begin:
    """The addresses are bound: workers may be started."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep these sockets, and this, for a control process that takes the place of this one; instead of those before."""

    spots: tuple[Spot, ...]
    state: Any


@dataclass(frozen=True, slots=True)
class Ending:
    """All is about to end: whoever ends from now on is not replaced."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker that does not do what it is told, if it is still that process; another one is started."""

    number: int
    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell systemd, which listens to the supervisor alone."""

    text: str


# From the supervisor.


@dataclass(frozen=True, slots=True)
class Started:
    """A worker was started, or is there already; the socket is the control process's end of the channel to it."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended. Another one takes its place after `pause` seconds; None: none does."""

    number: int
    pid: int
    why: str
    pause: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The supervisor was sent a signal."""

    signal: str
