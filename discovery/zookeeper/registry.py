"""Services in ZooKeeper: the children of a path are the instances, and ZooKeeper tells that something changed.

Its watches tell once, of the list of children or of one child's data. Whoever is told reads that anew, and sets the
next watch with it; what happened in between is in what is read. When the connection breaks, the last set stays in
force: the watch goes on when kazoo has connected again, and is an error only when that takes longer than `timeout`.

A watch that is silent has nothing to tell, or is lost. So every HEARTBEAT the number of the list's last change is
compared with the one we know.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from discovery.catalog import Listed
from discovery.instance import first_line
from discovery.pace import PACE
from discovery.registry import RegistryError
from discovery.zookeeper.curator import Curator
from discovery.zookeeper.members import CHILD_LIMIT, Members
from discovery.zookeeper.nerve import Nerve
from discovery.zookeeper.serverset import Serverset
from discovery.zookeeper.session import DisconnectedError, Ensemble, MissingError, ZooKeeperError, joined

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from pathlib import Path

    from discovery.instance import Snapshot
    from discovery.zookeeper.layout import Layout
    from discovery.zookeeper.session import Session

SESSION_TIMEOUT = 10.0  # seconds; the servers allow from 2 to 20 times their tickTime
TIMEOUT = 5.0  # seconds
HEARTBEAT = 10.0  # seconds
BATCH = 100  # children whose data is asked for at a stretch


def make_layout(layout: str, endpoint: str = "") -> Layout:
    """Return the layout of this name: curator, serverset (at one of its additional endpoints, if named) or nerve."""
    match layout:
        case "curator":
            return Curator()
        case "serverset":
            return Serverset(endpoint)
        case "nerve":
            return Nerve()
    raise ValueError(f"there is no layout {layout}")


class ZooKeeperRegistry:
    """The services in the ensemble whose members are at `hosts` (`127.0.0.1:2181`).

    A service's name is its path: `/services/web`. `layout` and `endpoint` are as in `make_layout`. With a `username`,
    the password, or the content of `password_file`, is sent along (scheme digest). `session_timeout` is how many
    seconds the servers remember us while we are not connected; `timeout` how many an answer may take, or a new
    connection.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        layout: str = "curator",
        endpoint: str = "",
        username: str = "",
        password: str = "",
        password_file: Path | None = None,
        session_timeout: float = SESSION_TIMEOUT,
        timeout: float = TIMEOUT,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._ensemble = Ensemble(tuple(hosts), session_timeout, username, password, password_file)
        self._layout = make_layout(layout, endpoint)
        self._timeout = timeout
        self._heartbeat = heartbeat

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each change, but no more than twenty a second, and one at each heartbeat."""
        try:
            async with joined(self._ensemble) as session, aclosing(self._follow(session, service)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        except ZooKeeperError as error:
            raise RegistryError(f"ZooKeeper at {', '.join(self._ensemble.hosts)}: {service}: {error}") from error

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the children of a path, each with the number of its own children."""
        try:
            async with joined(self._ensemble) as session:
                await session.connected(self._timeout)
                return await self._services(session, below)
        except (ZooKeeperError, DisconnectedError) as error:
            said = str(error) or "the connection broke"
            raise RegistryError(f"ZooKeeper at {', '.join(self._ensemble.hosts)}: {below}: {said}") from error

    async def _services(self, session: Session, below: str) -> tuple[Listed, ...]:
        try:
            names = sorted(await session.answer(session.ask("get_children_async", below), self._timeout))[:CHILD_LIMIT]
        except MissingError:
            return ()
        paths = [f"{below.rstrip('/')}/{name}" for name in names]
        found: list[Listed] = []
        for start in range(0, len(paths), BATCH):
            some = paths[start : start + BATCH]
            stats = await session.answers([session.exists(path, watch=False) for path in some], self._timeout)
            found += [
                Listed(first_line(path), stat.numChildren) for path, stat in zip(some, stats, strict=True) if stat
            ]
        return tuple(found)

    async def _follow(self, session: Session, path: str) -> AsyncGenerator[Snapshot, None]:
        follower = _Follower(self._layout)
        with session.listening(path, follower):
            while True:
                await self._read(session, path, follower.members)
                yield follower.members.snapshot(path)
                await asyncio.sleep(PACE)
                await self._wait(session, path, follower)

    async def _wait(self, session: Session, path: str, follower: _Follower) -> None:
        """Return when there is something to read, or when a comparison shows that there is not."""
        try:
            async with asyncio.timeout(self._heartbeat):
                await follower.news.wait()
        except TimeoutError:
            try:
                follower.members.differs(await session.answer(session.exists(path, watch=False), self._timeout))
            except DisconnectedError:
                follower.members.disconnected()
        follower.news.clear()

    async def _read(self, session: Session, path: str, members: Members) -> None:
        """Read what is due, once; what changes meanwhile is for the next round."""
        give_up = float("inf")
        while members.is_due:
            await session.connected(self._timeout)
            try:
                if members.list_is_due:
                    await self._list(session, path, members)
                names = members.take()
                for start in range(0, len(names), BATCH):
                    await self._read_some(session, path, members, names[start : start + BATCH])
            except DisconnectedError:
                members.disconnected()
                now = asyncio.get_running_loop().time()
                give_up = min(give_up, now + self._timeout)
                if now >= give_up:
                    raise ZooKeeperError("the connection breaks again and again") from None
            else:
                return

    async def _list(self, session: Session, path: str, members: Members) -> None:
        if members.session != session.id:
            # A member that lags behind its leader would take us back in time; within a session none does.
            await session.answer(session.ask("sync_async", path), self._timeout)
        members.begin_list()
        number = session.id
        try:
            names, stat = await session.answer(session.children(path), self._timeout)
        except MissingError:
            members.absent(number)
            if await session.answer(session.exists(path, watch=True), self._timeout) is not None:
                members.fired("")  # it was made between the two questions
        else:
            members.listed(names, stat, number)

    async def _read_some(self, session: Session, path: str, members: Members, names: list[str]) -> None:
        """Read some children: of most the data, of others the name says everything."""
        wanted = [name for name in names if not members.read_name(name)]
        answers: list[Any] = await session.answers([session.data(path, name) for name in wanted], self._timeout)
        for name, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, MissingError):
                members.gone(name)  # it went between the list and now
            else:
                data, stat = answer
                members.read(name, data, stat.mzxid)
        await asyncio.sleep(0)  # many instances are no reason to keep requests waiting


class _Follower:
    """What one watch knows, and whether there is news."""

    def __init__(self, layout: Layout) -> None:
        self.members = Members(layout)
        self.news = asyncio.Event()

    def fired(self, name: str) -> None:
        self.members.fired(name)
        self.news.set()

    def disconnected(self) -> None:
        self.members.disconnected()
        self.news.set()
