"""The values that every registry speaks in: an instance, and a snapshot of all instances of a service."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_METADATA: Mapping[str, str] = MappingProxyType({})
MAX_WEIGHT = 65535  # Consul's own bound
LONGEST_NAME = 512  # characters of an identity, a zone, an address
LINE_SHOWN = 200  # characters of a text that somebody else wrote


def one_line(what: str, text: str) -> str:
    """Return a text that is to be shown in logs, metrics and answers; raise ValueError if it is not fit for that."""
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{what} must be one printable line of at most {LONGEST_NAME} characters")
    return text


def first_line(value: object) -> str:
    """Return what may be shown of a text that somebody else wrote: one printable line of bounded length."""
    if not isinstance(value, str):
        return ""
    line = next(iter(value.strip().splitlines()), "")[:LINE_SHOWN]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


class Availability(enum.Enum):
    """What the registry says of an instance; what we ourselves know of it is the endpoint's health."""

    UP = "up"
    DRAINING = "draining"  # asked to take no new request: maintenance, a terminating pod
    DOWN = "down"  # the registry's own checks say that it fails


@dataclass(frozen=True, slots=True)
class Instance:
    """One registered copy of a service.

    `id` is its identity: two snapshots that hold the same `id` speak of the same instance, and what was learned of it
    is kept. `weight` is relative to the other instances of the service; 0 means no new requests. Instances of a higher
    `priority` number get requests only as long as too few of those before them are healthy.
    `reason` says, in the registry's words, why an instance that is not UP is not. `secure` is true where the registry
    says that TLS is spoken at the port. An `address` that begins with unix: is the path of a socket; then `port` is 0.
    """

    id: str
    address: str
    port: int
    weight: int = 1
    priority: int = 0
    zone: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)
    availability: Availability = Availability.UP
    reason: str = ""
    secure: bool = False

    @property
    def path(self) -> str:
        """The path of its unix socket; "" for an instance that is reached by TCP."""
        return self.address.removeprefix("unix:") if self.address.startswith("unix:") else ""

    @property
    def authority(self) -> str:
        """`host:port`, with brackets around an IPv6 address, or `unix:/path`."""
        if self.path:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def __repr__(self) -> str:
        state = "" if self.availability is Availability.UP else f" {self.availability.value}"
        return f"<Instance {self.id} at {self.authority} weight {self.weight}{state}>"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All instances of a service at one moment.

    `index` is the registry's own version of this answer, for people to compare; it is never ordered by us.
    `continuous` is False when something may have been missed since the snapshot before it: the first answer of a
    watch, or one after the registry lost its memory. `unreadable` names each registered entry that made no sense and
    was left out, one text an entry, the entry's identity first. `age` is by how many seconds the registry itself says
    that its answer is old. `arrived` is when the answer came here, by `time.monotonic`; None: when it was yielded.
    """

    service: str
    instances: tuple[Instance, ...]
    index: str = ""
    continuous: bool = True
    unreadable: tuple[str, ...] = ()
    age: float = 0.0
    arrived: float | None = field(default=None, compare=False)
