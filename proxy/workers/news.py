"""What the control process and its workers tell each other. They are of one program and one user, and believe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from balancers.known import Known
    from discovery.consul.wishes import Wish
    from discovery.instance import Snapshot
    from proxy.config_file import Loaded
    from proxy.workers.counted import Key, Values
    from proxy.workers.deltas import Delta


# What comes with the sockets of a message: the place of a listener in the configuration, how many are its, and whether
# somebody else (systemd) listens there too.
Layout = tuple[tuple[int, int, bool], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """All that a worker must know of a service beside its keys: who is there, how they are, what was set by hand."""

    snapshot: Snapshot | None
    weights: Mapping[str, int] = field(default_factory=dict)
    drained: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A service that a catalog has made, with the routes to it; `told` where a worker may not know it yet."""

    name: str
    routes: tuple[Wish, ...]
    told: Told | None


# From control.


@dataclass(frozen=True, slots=True)
class Setup:
    """Begin, or go on, with this. The sockets are a worker's own."""

    loaded: Loaded
    workers: int
    layout: Layout
    services: Mapping[str, Told]
    splits: Mapping[str, Mapping[str, int]]
    catalogs: Mapping[str, tuple[Found, ...]]


@dataclass(frozen=True, slots=True)
class Reload:
    """Take another configuration into force; the sockets are those of listeners that are new.

    On the sockets with the inodes `staying` somebody goes on accepting.
    """

    number: int
    loaded: Loaded
    layout: Layout
    staying: frozenset[int]
    services: Mapping[str, Told]  # those that are new


@dataclass(frozen=True, slots=True)
class Followed:
    """A registry has told something of a service."""

    service: str
    delta: Delta


@dataclass(frozen=True, slots=True)
class Probed:
    """Probes have ended: of each the service, the identity, whether it passed, and what it found."""

    outcomes: tuple[tuple[str, str, bool, str], ...]


@dataclass(frozen=True, slots=True)
class Ejected:
    """An endpoint was taken out for what requests found; from the worker that did so, or on to the others."""

    service: str
    identity: str
    cause: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Drained:
    """An operator has drained an endpoint; with no reason, it may have requests again."""

    service: str
    identity: str
    reason: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """An operator has set an endpoint's weight, or with None has left it to the registry again."""

    service: str
    identity: str
    weight: int | None


@dataclass(frozen=True, slots=True)
class Reweighed:
    """An operator has set the weights of a split."""

    split: str
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Catalogued:
    """A catalog has other services or routes than before: these are all."""

    catalog: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Lent:
    """Whether somebody else listens on the sockets of each listener, by its place."""

    flags: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Asks:
    """Report what is counted, now."""

    number: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Accept nobody any more, and end with the last request; `lent` is for each listener, by its place."""

    lent: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class EndNow:
    """End at once."""


# From a worker.


@dataclass(frozen=True, slots=True)
class Serves:
    """Clients are accepted."""


@dataclass(frozen=True, slots=True)
class Remembers:
    """How the endpoints of each service are, by identity, for a control process that was started anew."""

    services: Mapping[str, Mapping[str, Known]]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A `Reload` was carried out, or failed for a reason."""

    number: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is counted: see tally.py. `number` is that of `Asks`; 0 for one that nobody asked for."""

    number: int
    changed: Mapping[Key, Values]
    gone: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that only a worker can know of; see Journal."""

    service: str
    kind: str
    endpoint: str
    reason: str
