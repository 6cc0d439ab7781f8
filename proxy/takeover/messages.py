"""What two processes say to each other while one takes the other's place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1  # of all that is said here
MOST_PARTS = 2000  # addresses
MOST_SOCKETS = 64  # of one address
_MOST = 100_000  # entries of any other list

Text = Annotated[str, Field(max_length=10_000)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]


class Message(BaseModel):
    """One line. What a later version adds beside is passed over; what must be understood has another version."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Hello(Message):
    """The new one's first word."""

    what: Literal["hello"] = "hello"
    version: Number  # of what is said: VERSION
    pointsman: Text = ""  # its version


class Refused(Message):
    """Either side's last word, when nothing comes of it."""

    what: Literal["refused"] = "refused"
    error: Text


class Sockets(Message):
    """What one address listens on; the sockets come with this line.

    They are `lent` when somebody else (systemd) goes on listening whatever becomes of us.
    """

    what: Literal["sockets"] = "sockets"
    role: Literal["listener", "admin", "registry", "takeover"]
    bind: Text
    count: Annotated[int, Field(ge=1, le=MOST_SOCKETS)]
    lent: bool = False


class ByHand(Message):
    """What an operator has set of a service's endpoints: why each is drained, and what it weighs, by identity."""

    drained: dict[Text, Text] = Field(default={}, max_length=_MOST)
    weights: dict[Text, Annotated[int, Field(ge=0, le=65535)]] = Field(default={}, max_length=_MOST)


class State(Message):
    """The end of the sockets, and what the old one knows that the new one cannot learn from anybody else.

    `generation` counts how often a process has taken another's place since one was started by itself. `watchdog` is
    how many seconds systemd waits for a sign of life, 0 if it wants none. `split_weights` are those set by hand.
    """

    what: Literal["state"] = "state"
    pid: Number
    generation: Number = 0
    watchdog: Seconds = 0.0
    services: dict[Text, ByHand] = Field(default={}, max_length=_MOST)
    split_weights: dict[Text, dict[Text, Number]] = Field(default={}, max_length=_MOST)


class Ready(Message):
    """The new one could serve. It takes the sockets with these numbers, in the order in which they were told of.

    `registers` are the keys of what it is going to register, `registry` says whether it is going to run the embedded
    one, in which folder.
    """

    what: Literal["ready"] = "ready"
    takes: Annotated[list[Number], Field(max_length=MOST_PARTS)]
    registers: Annotated[list[Text], Field(max_length=_MOST)] = []
    registry: Text = ""


class Yours(Message):
    """The embedded registry is free, with the seconds that each of its checks has; and which keys are registered."""

    what: Literal["yours"] = "yours"
    registered: Annotated[list[Text], Field(max_length=_MOST)] = []
    times: dict[Text, tuple[float | None, float | None]] = Field(default={}, max_length=1_000_000)


class Done(Message):
    """The new one serves."""

    what: Literal["done"] = "done"


class Go(Message):
    """The old one accepts nobody any more."""

    what: Literal["go"] = "go"
