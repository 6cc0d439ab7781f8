"""What the contract suite needs of each registry: a real server, and what can be done there.

A registry of ours gets its contract tests by a class derived from World, in a module of its own in this folder, which
`worlds.py` lists. It is made of what a fixture of tests/conftest.py gives, a server that runs, and closed when its test
is over. An instance is known by its name, `web-1`; everything blocks, and the tests call it in a thread.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.registry import Registry


class Can(enum.Enum):
    """What a registry lets be done, beyond instances that come and go."""

    WEIGH = "weights"
    DRAIN = "an instance that takes no new requests"  # by maintenance, a status, a label
    MALFORMED = "entries that make no sense"
    RELAY = "reached through a relay"  # which makes it slow
    RESTART = "stopped and started"
    WIPE = "wiped"
    LOGIN = "credentials"
    THOUSANDS = "ten thousand changes within some seconds"


class Servers(NamedTuple):
    """The fixtures that give a server."""

    shared: str  # of all tests of a worker
    own: str = ""  # of one test, which may stop and wipe it
    login: str = ""  # with access rules; it is the test's own one if nothing stands here


class World:
    """A service of its own name in a real server, which the service has to itself only if the test needs that."""

    kind: ClassVar[str]  # the registry's key in the configuration, and the name of the world
    servers: ClassVar[Servers]
    can: ClassVar[frozenset[Can]] = frozenset()
    changes: ClassVar[int] = 10_000  # that `change_many` is given; fewer where those take more than some ten seconds

    def __init__(self, server: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Remove what was registered, where the server stays."""

    def watched(self, relay: tuple[str, int] | None = None) -> tuple[Registry, str]:
        """Return a registry that reads the server, through the relay if one is given, and the name to watch there."""
        raise NotImplementedError

    def discovery(self) -> dict[str, object]:
        """Return what stands under `discovery` for this service: {"consul": {...}}."""
        raise NotImplementedError

    @property
    def server(self) -> tuple[str, int]:
        """Where the server listens, for a relay to go there."""
        raise NotImplementedError

    def put(self, name: str, address: str, port: int, *, weight: int = 1, draining: bool = False) -> None:
        """Register an instance, or change it; weight and draining are given only to a world that can."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        raise NotImplementedError

    def put_malformed(self) -> None:
        """Register an entry that makes no sense, beside the others."""
        raise NotImplementedError

    def change_many(self, changes: Iterable[tuple[str, str, int] | str]) -> None:
        """Do many changes in their order, as fast as the server takes them; a name alone is removed.

        The names are none that `put` or `remove` is called with. A change may overtake another one of another name.
        """
        for change in changes:
            if isinstance(change, str):
                self.remove(change)
            else:
                self.put(*change)

    def stop(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def wipe(self) -> None:
        """Start the server again without its data; it is running before and afterwards."""
        raise NotImplementedError

    def refused(self) -> tuple[Registry, str]:
        """Return a registry that reads the server with credentials that are wrong until `allow` is called."""
        raise NotImplementedError

    def allow(self) -> None:
        """Make the credentials of `refused` right, whichever side that takes."""
        raise NotImplementedError
