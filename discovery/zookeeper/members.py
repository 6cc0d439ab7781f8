"""What is known of the children of one path: which of them have to be read next, and the snapshot that follows.

Nothing here waits or asks: the registry asks and passes on. A watch tells once, and not what changed. So it marks what
has to be read again; the mark is taken away before the question is asked, for what fires afterwards counts anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.instance import Snapshot, first_line
from discovery.zookeeper.session import ZooKeeperError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kazoo.protocol.states import ZnodeStat

    from discovery.zookeeper.layout import Layout, Part

CHILD_LIMIT = 100_000  # children of one path


class Members:
    """The children of one path, as far as ZooKeeper told.

    `fired` and `disconnected` mark what has to be read. A round of reading is `begin_list`, then `listed` or `absent`,
    then `take`, then `read_name`, `read` or `gone` for each of the names.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._parts: dict[str, Part] = {}
        self._unreadable: dict[str, str] = {}
        self._names: frozenset[str] = frozenset()
        self._due: set[str] = set()  # names whose data has to be read
        self._list_is_due = True
        self._missed = True  # the connection broke since the list was last asked for
        self._gap = False  # and the round that began then has not come to its end
        self._list: tuple[int | None, int, int] | None = None  # the session, and the numbers of the list's own changes
        self._list_before: tuple[int | None, int, int] | None = None  # as it was at the end of the last round
        self._last_change = 0  # the highest number of a change (zxid) that was seen

    @property
    def is_due(self) -> bool:
        """Whether there is something to read."""
        return self._list_is_due or bool(self._due)

    @property
    def list_is_due(self) -> bool:
        return self._list_is_due

    @property
    def session(self) -> int | None:
        """The session in which the list was read last."""
        return self._list[0] if self._list else None

    def fired(self, name: str) -> None:
        """Mark a child, or the list if there is no name."""
        if name:
            self._due.add(name)
        else:
            self._list_is_due = True

    def disconnected(self) -> None:
        """Mark everything: the watches are gone, and what happens meanwhile nobody will tell."""
        self._list_is_due = self._missed = True

    def begin_list(self) -> None:
        """Take note that the list is being asked for."""
        self._list_is_due = False
        self._gap, self._missed = self._gap or self._missed, False

    def listed(self, names: Iterable[str], stat: ZnodeStat, session: int | None) -> None:
        """Take the list; raise ZooKeeperError when it is too long."""
        before, self._names = self._names, frozenset(filter(self._layout.is_entry, names))
        if len(self._names) > CHILD_LIMIT:
            raise ZooKeeperError(f"there are more than {CHILD_LIMIT} children below the path")
        self._heard(session, stat.czxid, stat.pzxid)
        for name in before - self._names:
            self._forget(name)
        # After a break the data of all has to be read anew, and be it for the watches.
        self._due |= self._names if self._gap else self._names - before

    def absent(self, session: int | None) -> None:
        """Take note that there is no such path."""
        self._parts.clear()
        self._unreadable.clear()
        self._due.clear()
        self._names = frozenset()
        self._heard(session, 0, 0)

    def take(self) -> list[str]:
        """Return the names of those that are to be read now."""
        taken, self._due = self._due & self._names, set()
        return sorted(taken)

    def read_name(self, name: str) -> bool:
        """Read a child whose name says everything, and return whether it was one."""
        if self._layout.wants_data(name):
            return False
        self.read(name, b"", 0)
        return True

    def read(self, name: str, data: bytes, zxid: int) -> None:
        """Take a child's data, and the number of its last change."""
        if name not in self._names:
            return
        self._last_change = max(self._last_change, zxid)
        try:
            self._parts[name] = self._layout.read(name, data or b"")
        except ValueError as error:
            self._parts.pop(name, None)
            self._unreadable[name] = f"{first_line(name)}: {error}"
        else:
            self._unreadable.pop(name, None)

    def gone(self, name: str) -> None:
        """Take note that a child went between the list and its data."""
        self._forget(name)
        self._names -= {name}

    def differs(self, stat: ZnodeStat | None) -> bool:
        """Tell whether the list is another one than we know, and mark it then."""
        _, *known = self._list or (None, 0, 0)
        if known == ([stat.czxid, stat.pzxid] if stat else [0, 0]):
            return False
        self._list_is_due = True
        return True

    def snapshot(self, service: str) -> Snapshot:
        """Return what is known, at the end of a round.

        It is continuous if the watches were never gone; or if the session outlived the break, and the list's number is
        what it was: ZooKeeper's numbers only grow, so nobody came or went. Without the session that would say nothing,
        for an ensemble without its memory counts anew.
        """
        same = self._list == self._list_before
        continuous = not self._gap or same
        self._gap, self._list_before = False, self._list
        return Snapshot(
            service,
            self._layout.instances(self._parts),
            f"{self._last_change:#x}",
            continuous,
            tuple(self._unreadable.values()),
        )

    def _heard(self, session: int | None, czxid: int, pzxid: int) -> None:
        if self._list is None or self._list[0] != session:
            self._last_change = 0  # an ensemble without its memory counts from the start
        self._list = session, czxid, pzxid
        self._last_change = max(self._last_change, czxid, pzxid)

    def _forget(self, name: str) -> None:
        self._parts.pop(name, None)
        self._unreadable.pop(name, None)
        self._due.discard(name)
