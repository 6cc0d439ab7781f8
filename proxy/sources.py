"""Where a service's instances are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discovery.instance import Snapshot
    from discovery.joined import Joined
    from discovery.keeper import Keeper


@dataclass(frozen=True, slots=True)
class Source:
    """A registry that a service's instances are found in.

    `kind` is the registry's key in the configuration, `name` the same, with a number from the second source of that
    kind on: `consul-2`.
    """

    kind: str
    name: str
    keeper: Keeper


@dataclass(slots=True, eq=False)
class Feed:
    """The sources of a service, and what joins them if there are several.

    Of a service that already has instances from other sources, `early` is what those told who were there first: it is
    taken when the others have told theirs too, or failed, so that nobody leaves who is only late.
    """

    sources: tuple[Source, ...] = ()
    joined: Joined | None = None
    early: Snapshot | None = None
