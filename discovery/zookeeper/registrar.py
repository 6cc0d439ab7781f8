"""The provider's side of ZooKeeper: an instance is a node of its own that lasts as long as a session.

Each lease has a session to itself. So whatever became of a question whose answer was lost with the connection, the end
of the session takes back: no node is left behind that nobody renews.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from kazoo.exceptions import KazooException, NoNodeError, RolledBackError, RuntimeInconsistency
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE

from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError
from discovery.zookeeper.registry import BATCH, SESSION_TIMEOUT, TIMEOUT, make_layout
from discovery.zookeeper.session import (
    DisconnectedError,
    Ensemble,
    ExistsError,
    MissingError,
    Session,
    ZooKeeperError,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kazoo.protocol.states import ZnodeStat

    from discovery.instance import Instance
    from discovery.zookeeper.layout import Node

ATTEMPTS = 3  # at putting a node in the place of another that comes and goes


class ZooKeeperRegistrar:
    """Registers instances in the ensemble at `hosts`; all parameters are those of the registry.

    The nodes may be read by anyone. They may be changed by anyone too unless there is a login; then only by it. The
    same goes for the path, where it is not there yet: with a login, nobody else registers below it.
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
    ) -> None:
        self._ensemble = Ensemble(tuple(hosts), session_timeout, username, password, password_file)
        self._layout = make_layout(layout, endpoint)
        self._timeout = timeout

    async def register(self, service: str, instance: Instance) -> ZooKeeperLease:
        """Make the node below the path `service`, and the path if there is none."""
        where = f"ZooKeeper at {', '.join(self._ensemble.hosts)}: {service}"
        try:
            node = self._layout.node(service, instance)
            credential = self._ensemble.read_credential()
        except (ValueError, ZooKeeperError) as error:
            raise RegistryError(f"{where}: {error}") from error
        begin = functools.partial(Session, self._ensemble.hosts, self._ensemble.session_timeout, credential)
        session = begin()
        try:
            await session.connected(self._timeout)
            owner = session.id
            path = await self._make(session, service, node)
            if node.sequential:
                await self._replace(session, service, path, instance)
        except (ZooKeeperError, MissingError, ExistsError, DisconnectedError) as error:
            await session.close()
            raise RegistryError(f"{where}: {_said(error)}") from error
        except BaseException:
            await session.close()
            raise
        return ZooKeeperLease(session, begin, path, owner, self._ensemble.session_timeout / 3, self._timeout, where)

    async def _make(self, session: Session, service: str, node: Node) -> str:
        """Make the node, in place of one of the same name, and return its path."""
        path = f"{service}/{node.name}"
        acl = [*CREATOR_ALL_ACL, *READ_ACL_UNSAFE] if self._ensemble.username else OPEN_ACL_UNSAFE
        for _ in range(ATTEMPTS):
            try:
                made: str = await self._ask(
                    session, "create_async", path, node.data, acl=acl, ephemeral=True, sequence=node.sequential,
                    makepath=True,
                )  # fmt: skip
            except ExistsError:
                if await self._swap(session, path, node.data, acl):
                    return path
            else:
                return made
        raise ZooKeeperError(f"the node {node.name} comes and goes: is somebody else registering it?")

    async def _swap(self, session: Session, path: str, data: bytes, acl: Any) -> bool:
        """Put the node in the place of an older one in one step, so that nobody sees neither of them."""

        def fill(transaction: Any) -> None:
            transaction.delete(path)
            transaction.create(path, data, acl=acl, ephemeral=True)

        results = await session.answer(session.commit(fill), self._timeout)
        failed = [result for result in results if isinstance(result, KazooException)]
        if not failed:
            return True
        reason = next((one for one in failed if not isinstance(one, RolledBackError | RuntimeInconsistency)), failed[0])
        if isinstance(reason, NoNodeError):
            return False  # it went meanwhile
        raise ZooKeeperError(f"the older node {path} cannot be replaced: {type(reason).__name__}")

    async def _replace(self, session: Session, service: str, made: str, instance: Instance) -> None:
        """Remove older nodes of the same identity, in layouts whose names do not hold it."""
        ours = made.rpartition("/")[2]
        names = [
            name
            for name in await self._ask(session, "get_children_async", service)
            if name != ours and self._layout.is_entry(name)
        ]
        for start in range(0, len(names), BATCH):
            paths = [f"{service}/{name}" for name in names[start : start + BATCH]]
            answers = await self._data(session, paths)
            for path, answer in zip(paths, answers, strict=True):
                if isinstance(answer, MissingError):
                    continue
                if self._identity(path.rpartition("/")[2], answer[0] or b"") == instance.id:
                    await session.answers([session.ask("delete_async", path)], self._timeout)

    async def _data(self, session: Session, paths: list[str]) -> list[Any]:
        return await session.answers([session.ask("get_async", path) for path in paths], self._timeout)

    def _identity(self, name: str, data: bytes) -> str:
        """Return the identity that a node is read as; empty when it is none of an instance."""
        try:
            return "".join(one.id for one in self._layout.instances({name: self._layout.read(name, data)}))
        except ValueError:
            return ""

    async def _ask(self, session: Session, method: str, *args: Any, **kwargs: Any) -> Any:
        return await session.answer(session.ask(method, *args, **kwargs), self._timeout)


class ZooKeeperLease:
    """The node at `path`, which belongs to the session with the number `owner`; `begin` begins another one."""

    def __init__(
        self,
        session: Session,
        begin: Callable[[], Session],
        path: str,
        owner: int | None,
        interval: float,
        timeout: float,
        where: str,
    ) -> None:
        self.path = path
        self.interval = interval
        self._session = session
        self._begin = begin
        self._owner = owner
        self._timeout = timeout
        self._where = where
        self._is_open = True  # the session
        self._is_lost = False  # or was revoked: the node is not ours any more

    async def renew(self) -> None:
        """Look whether the node is there and ours; kazoo keeps the session alive."""
        if self._is_lost or not self._is_open:
            raise LeaseLostError(f"{self._where}: the lease is over")
        try:
            stat = await self._look()
        except (ZooKeeperError, DisconnectedError) as error:
            if not self._session.ended:
                raise RegistryError(f"{self._where}: {_said(error)}") from error
            await self._close()
            raise LeaseLostError(f"{self._where}: {_said(error)}") from error
        if self._session.id != self._owner:
            reason = "the session expired"
        elif stat is None:
            reason = f"the node {self.path} was removed"
        elif stat.ephemeralOwner != self._owner:
            reason = f"the node {self.path} is somebody else's"
        else:
            return
        self._is_lost = True
        await self._close()
        raise LeaseLostError(f"{self._where}: {reason}")

    async def revoke(self) -> None:
        """Remove the node if it is ours still, and end the session, which would do it too, in time.

        When that failed, the session is over for us, but maybe not yet for ZooKeeper: to revoke again looks anew.
        """
        if self._is_lost:
            return
        if not self._is_open:
            self._session, self._is_open = self._begin(), True
        try:
            stat = await self._look()
            if stat is not None and stat.ephemeralOwner == self._owner:
                await self._session.answers([self._session.ask("delete_async", self.path)], self._timeout)
            self._is_lost = True
        except (ZooKeeperError, DisconnectedError) as error:
            raise RegistryError(f"{self._where}: {_said(error)}") from error
        finally:
            await self._close()

    async def release(self) -> None:
        """End the session, and with it those nodes that nobody has replaced."""
        await self._close()

    async def _look(self) -> ZnodeStat | None:
        """Return what the node has, or nothing; a connection that breaks meanwhile is waited for once."""
        try:
            return await self._look_once()
        except DisconnectedError:
            return await self._look_once()

    async def _look_once(self) -> ZnodeStat | None:
        await self._session.connected(self._timeout)
        found: ZnodeStat | None = await self._session.answer(
            self._session.exists(self.path, watch=False), self._timeout
        )
        return found

    async def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._session.close()


def _said(error: Exception) -> str:
    return str(error) or "the connection broke"
