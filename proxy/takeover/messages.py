"""What two processes say to each other while one takes the other's place."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

VERSION = 1  # of all that is said here
MOST_PARTS = 2000  # addresses
MOST_SOCKETS = 64  # of one address
_MOST = 100_000  # entries of any other list

Text = Annotated[str, Meta(max_length=10_000)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class Message(Struct, frozen=True, tag_field="what", tag=str.lower):
    """One line. What a later version adds beside is passed over; what must be understood has another version."""


class Hello(Message, frozen=True):
    """The new one's first word."""

    version: Number  # of what is said: VERSION
    pointsman: Text = ""  # its version


class Refused(Message, frozen=True):
    """Either side's last word, when nothing comes of it."""

    error: Text


class Sockets(Message, frozen=True):
    """What one address listens on; the sockets come with this line.

    They are `lent` when somebody else (systemd) goes on listening whatever becomes of us.
    """

    role: Literal["listener", "admin", "registry", "takeover"]
    bind: Text
    count: Annotated[int, Meta(ge=1, le=MOST_SOCKETS)]
    lent: bool = False


class ByHand(Struct, frozen=True):
    """What an operator has set of a service's endpoints: why each is drained, and what it weighs, by identity."""

    drained: Annotated[dict[Text, Text], Meta(max_length=_MOST)] = {}
    weights: Annotated[dict[Text, Annotated[int, Meta(ge=0, le=65535)]], Meta(max_length=_MOST)] = {}


class State(Message, frozen=True):
    """The end of the sockets, and what the old one knows that the new one cannot learn from anybody else.

    `generation` counts how often a process has taken another's place since one was started by itself. `watchdog` is
    how many seconds systemd waits for a sign of life, 0 if it wants none. `split_weights` are those set by hand.
    """

    pid: Number
    generation: Number = 0
    watchdog: Seconds = 0.0
    services: Annotated[dict[Text, ByHand], Meta(max_length=_MOST)] = {}
    split_weights: Annotated[dict[Text, dict[Text, Number]], Meta(max_length=_MOST)] = {}


class Ready(Message, frozen=True):
    """The new one could serve. It takes the sockets with these numbers, in the order in which they were told of.

    `registers` are the keys of what it is going to register, `registry` says whether it is going to run the embedded
    one, in which folder.
    """

    takes: Annotated[list[Number], Meta(max_length=MOST_PARTS)]
    registers: Annotated[list[Text], Meta(max_length=_MOST)] = []
    registry: Text = ""


class Yours(Message, frozen=True):
    """The embedded registry is free, with the seconds that each of its checks has; and which keys are registered."""

    registered: Annotated[list[Text], Meta(max_length=_MOST)] = []
    times: Annotated[dict[Text, tuple[float | None, float | None]], Meta(max_length=1_000_000)] = {}


class Done(Message, frozen=True):
    """The new one serves."""


class Go(Message, frozen=True):
    """The old one accepts nobody any more."""


# What a line may be: which of them, its `what` says.
Spoken: TypeAlias = Hello | Refused | Sockets | State | Ready | Yours | Done | Go
