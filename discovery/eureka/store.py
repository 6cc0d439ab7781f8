"""What one Eureka holds, as far as it told: all instances of all applications, whatever their state.

`apps` tells all of it. `apps/delta` tells what changed within the last three minutes, the newest word on each instance,
and a hash over everything: how many instances there are of each status. Hence the store keeps those that nobody
watches, too. Nothing here waits or reads a clock.

The rules are those of Eureka's own client: com.netflix.discovery.DiscoveryClient, updateDelta and reconcileHashCode.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from discovery.eureka.client import EurekaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from discovery.eureka.answers import Answer
    from discovery.eureka.entries import Entry

INSTANCE_LIMIT = 100_000  # instances of all applications

Key = tuple[str, str]  # an application and an identity


class Store:
    """What the answer `full` to `apps` says.

    A server keeps its answers for up to half a minute, each for itself: a `delta` that it gave just before may know
    better, and what is newer there counts. `edition` is another number after each change. Raises EurekaError.
    """

    def __init__(self, full: Answer, delta: Answer | None = None) -> None:
        self.edition = 0
        self._apps: dict[str, dict[str, Entry]] = {}
        self._vips: dict[tuple[bool, str], dict[Key, Entry]] = {}
        self._statuses: Counter[str] = Counter()
        for number, entry in enumerate(full.entries):
            # One without an identity cannot be told from another, but is counted.
            self._put(entry, entry.id or f"\0{number}")
        if delta is not None:
            self.update(delta)

    def __len__(self) -> int:
        return self._statuses.total()

    @property
    def hash(self) -> str:
        """What a server says that holds the same: `DOWN_1_UP_5_`."""
        return "".join(f"{status}_{count}_" for status, count in sorted(self._statuses.items()) if count)

    def update(self, delta: Answer) -> bool:
        """Take what changed, and tell whether the server now holds what is known here.

        It may be taken twice. What it says of an instance of which something newer is known does not count.
        """
        for entry, is_taken_out in zip(delta.entries, delta.taken_out, strict=True):
            known = self._apps.get(entry.app, {}).get(entry.id)
            if not entry.id or (known is not None and entry.updated < known.updated):
                continue
            if is_taken_out:
                self._remove(entry.app, entry.id)
            elif entry != known:
                self._put(entry, entry.id)
        return delta.hash == self.hash

    def of_app(self, app: str) -> Iterable[Entry]:
        """Return the instances of an application; its name may be written in small letters."""
        return self._apps.get(app.upper(), {}).values()

    def of_vip(self, vip: str, *, secure: bool) -> Iterable[Entry]:
        """Return the instances, of whichever applications, that serve a virtual host name."""
        return self._vips.get((secure, vip.lower()), {}).values()

    def apps(self) -> dict[str, int]:
        """Return how many instances each application has."""
        return {app: len(entries) for app, entries in self._apps.items()}

    def vips(self, *, secure: bool) -> dict[str, int]:
        """Return how many instances serve each virtual host name."""
        return {vip: len(entries) for (is_secure, vip), entries in self._vips.items() if is_secure == secure}

    def _put(self, entry: Entry, identity: str) -> None:
        self._remove(entry.app, identity)
        if len(self) >= INSTANCE_LIMIT:
            raise EurekaError(f"there are more than {INSTANCE_LIMIT} instances")
        self.edition += 1
        self._apps.setdefault(entry.app, {})[identity] = entry
        self._statuses[entry.status] += 1
        for vip in _vips(entry):
            self._vips.setdefault(vip, {})[entry.app, identity] = entry

    def _remove(self, app: str, identity: str) -> None:
        entries = self._apps.get(app, {})
        entry = entries.pop(identity, None)
        if entry is None:
            return
        self.edition += 1
        if not entries:
            del self._apps[app]
        self._statuses[entry.status] -= 1
        for vip in _vips(entry):
            del self._vips[vip][app, identity]
            if not self._vips[vip]:
                del self._vips[vip]


def _vips(entry: Entry) -> Iterator[tuple[bool, str]]:
    yield from ((False, vip) for vip in entry.vips)
    yield from ((True, vip) for vip in entry.secure_vips)
