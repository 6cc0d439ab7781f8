"""Services in Eureka: the instances of an application, or those that serve a virtual host name.

Eureka cannot tell of changes by itself: it is asked every few seconds, once for all services together. How that is
done is the concern of poller; what the answers mean, of answers, entries and store; HTTP of client.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from discovery.catalog import Listed
from discovery.eureka.entries import Entry, View, read_usable, show_name
from discovery.eureka.poller import Account, Moment, Poller
from discovery.instance import Instance, Snapshot
from discovery.login import BasicLogin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from discovery.eureka.store import Key, Store


class EurekaRegistry:
    """The services in the Eureka whose servers' APIs are at `urls` (`http://127.0.0.1:8761/eureka/v2/`).

    A service's name is that of an application, or, with `by` vip, that of a virtual host. The servers are peers: they
    are tried in turn, first the one that last worked. One is asked every `interval` seconds, on behalf of all
    registries of this process that are made alike; an answer may take `timeout` seconds. With a `username`, the
    password, or the content of `password_file`, is sent too. `secure` takes the secure port and, by vip, the secure
    virtual host's name; `address` says which of an instance's two addresses is used.
    """

    def __init__(
        self,
        urls: Iterable[str],
        *,
        by: Literal["app", "vip"] = "app",
        secure: bool = False,
        address: Literal["ip", "hostname"] = "ip",
        username: str = "",
        password: str = "",
        password_file: Path | None = None,
        interval: float = 5.0,
        timeout: float = 5.0,
    ) -> None:
        login = BasicLogin(username, password, password_file)
        self._poller = Poller.shared(Account(tuple(urls), login, interval, timeout))
        self._by = by
        self._view = View(secure=secure, host_name=address == "hostname")

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each look, whether anything changed or not."""
        reader = _Reader(service, self._view, self._by)
        async with aclosing(self._poller.moments()) as moments:
            async for moment in moments:
                yield reader.read(moment)

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the applications, or the virtual hosts, with their numbers of instances. Raises RegistryError."""
        async with aclosing(self._poller.moments()) as moments:
            store = (await anext(moments)).store
            counts = store.vips(secure=self._view.secure) if self._by == "vip" else store.apps()
        return tuple(Listed(name, count) for name, count in sorted(counts.items()) if name.isprintable())


class _Reader:
    """Makes snapshots of one service; what did not change is not read again."""

    def __init__(self, service: str, view: View, by: Literal["app", "vip"]) -> None:
        self._service = service
        self._view = view
        self._by = by
        self._breaks: int | None = None
        self._seen: tuple[Store, int] | None = None
        self._read: dict[Key, tuple[Entry, Instance | str]] = {}
        self._snapshot = Snapshot(service, ())

    def read(self, moment: Moment) -> Snapshot:
        continuous = moment.breaks == self._breaks
        self._breaks = moment.breaks
        seen = (moment.store, moment.store.edition)
        if seen == self._seen:
            if self._snapshot.continuous == continuous:
                return self._snapshot
        else:
            self._seen = seen
            self._read = {(entry.app, entry.id): self._entry(entry) for entry in self._entries(moment.store)}
        found = [one for _, one in self._read.values()]
        instances = tuple(one for one in found if isinstance(one, Instance))
        unreadable = tuple(one for one in found if isinstance(one, str))
        self._snapshot = Snapshot(self._service, instances, moment.store.hash, continuous, unreadable)
        return self._snapshot

    def _entries(self, store: Store) -> Iterable[Entry]:
        if self._by == "vip":
            return store.of_vip(self._service, secure=self._view.secure)
        return store.of_app(self._service)

    def _entry(self, entry: Entry) -> tuple[Entry, Instance | str]:
        known = self._read.get((entry.app, entry.id))
        if known is not None and known[0] == entry:
            return known
        try:
            instance = read_usable(entry, self._view)
        except ValueError as error:
            return entry, f"{show_name(entry)}: {error}"
        # An identity is one application's alone.
        return entry, replace(instance, id=f"{entry.app}/{instance.id}") if self._by == "vip" else instance
