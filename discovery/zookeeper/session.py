"""One session with a ZooKeeper ensemble: what kazoo does in threads of its own, seen from an event loop.

All watches of one ensemble in one process share a session, and with it one connection; it ends with the last of them.
kazoo connects again by itself, with the session it has or, when that expired, with a new one. It fires and forgets all
watches when the connection breaks: who wants to go on has to read everything again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kazoo import exceptions
from kazoo.protocol.states import EventType, KazooState, KeeperState

from discovery.instance import first_line
from discovery.zookeeper.client import make_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from kazoo.client import KazooClient
    from kazoo.protocol.states import WatchedEvent

log = logging.getLogger(__name__)

FEW = 3  # questions that are asked in the event loop itself
OUTSTANDING = 4  # batches of questions that a session has in flight at a time
CLOSING = 0.5  # seconds that the end of a session is waited for; what takes longer ends on its own

# Puts a question to kazoo, and returns kazoo's own kind of future.
Question = Callable[[], Any]

_BROKEN = (
    exceptions.ConnectionLoss, exceptions.SessionExpiredError, exceptions.ConnectionClosedError,
    exceptions.AuthFailedError,
)  # fmt: skip


class ZooKeeperError(Exception):
    """ZooKeeper is away, refuses, or answers nonsense. The text does not say which."""


class DisconnectedError(Exception):
    """The connection broke before the answer came: whether the question arrived, nobody knows."""


class MissingError(Exception):
    """There is no such node."""


class ExistsError(Exception):
    """There is such a node already."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The servers at `hosts` (`127.0.0.1:2181`), and who asks them; `session_timeout` is in seconds.

    The password, or the content of `password_file`, is read whenever a session is joined.
    """

    hosts: tuple[str, ...]
    session_timeout: float
    username: str = ""
    password: str = ""
    password_file: Path | None = None

    def read_credential(self) -> str:
        """Return `user:password`, or nothing when nobody in particular asks."""
        if not self.username:
            return ""
        if self.password_file is None:
            return f"{self.username}:{self.password}"
        try:
            password = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise ZooKeeperError(f"the password file {self.password_file} cannot be read: {error}") from error
        return f"{self.username}:{password}"


class Listener(Protocol):
    """Who watches the children of one path."""

    def fired(self, name: str) -> None:
        """Take note that the child of this name changed, or, without a name, the list of children."""
        ...

    def disconnected(self) -> None:
        """Take note that the connection broke, and all watches with it."""
        ...


class Session:
    """Questions to an ensemble, their answers as kazoo has them, and what its watches tell.

    `id` is the session's number; it changes when a session expired.

    A session that was without a connection for longer than its time-out is over, whatever the servers say when they are
    back; we begin another one then. ZooKeeper wants that: servers that lost their memory turn a client away, without a
    word, that has seen more of it than they have, and kazoo would ask them for ever.
    """

    def __init__(self, hosts: Sequence[str], session_timeout: float, credential: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_client = functools.partial(make_client, hosts, session_timeout, credential)
        self._session_timeout = session_timeout
        self._over: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()  # connected, or ended for good
        self._listeners: dict[str, set[Listener]] = {}
        self._places = asyncio.Semaphore(OUTSTANDING)
        self.id: int | None = None
        self.ended = ""  # why there will be no connection any more
        self.users = 0
        self._begin()

    async def connected(self, timeout: float) -> None:
        """Return when there is a connection; raise ZooKeeperError when there is none within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            why = f": {self._told.complaint}" if self._told.complaint else ""
            raise ZooKeeperError(f"no connection within {timeout:g} s{why}") from None
        if self.ended:
            raise ZooKeeperError(self.ended)

    def children(self, path: str) -> Question:
        """Ask for the names of the children and the node's numbers, and watch the list."""
        return functools.partial(self._client.get_children_async, path, watch=_Watch(self, path, ""), include_data=True)

    def exists(self, path: str, *, watch: bool) -> Question:
        """Ask for a node's numbers, which are None if there is no such node; with a watch, be told when there is."""
        return functools.partial(self._client.exists_async, path, watch=_Watch(self, path, "") if watch else None)

    def data(self, path: str, name: str) -> Question:
        """Ask for a child's data and its numbers, and watch it."""
        return functools.partial(self._client.get_async, f"{path}/{name}", watch=_Watch(self, path, name))

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Question:
        """Ask what kazoo's method of this name does, `delete_async`."""
        return functools.partial(getattr(self._client, method), *args, **kwargs)

    def commit(self, fill: Callable[[Any], None]) -> Question:
        """Do all that `fill` puts into a transaction, or nothing; each result of it may be an exception of kazoo's."""
        transaction = self._client.transaction()
        fill(transaction)
        return functools.partial(transaction.commit_async)

    async def answer(self, question: Question, timeout: float) -> Any:
        """Return the answer to one question; as `answers` does, but raise a MissingError too."""
        (answer,) = await self.answers([question], timeout)
        if isinstance(answer, MissingError):
            raise answer
        return answer

    async def answers(self, questions: Sequence[Question], timeout: float) -> list[Any]:
        """Return the answers, in their order, or MissingErrors in their place; raise any other exception.

        It is a DisconnectedError, an ExistsError or a ZooKeeperError. All answers must be there within `timeout`
        seconds of the moment when it is the questions' turn.
        """
        if not questions:
            return []
        async with self._places:
            futures = [self._loop.create_future() for _ in questions]
            try:
                # Each question wakes kazoo's thread, which may then keep the interpreter for five milliseconds: many
                # of them are asked in a thread, not in the event loop.
                if len(questions) > FEW:
                    await asyncio.to_thread(self._put, questions, futures)
                else:
                    self._put(questions, futures)
                _, late = await asyncio.wait(futures, timeout=timeout)
                results = [future.exception() or future.result() for future in futures if future.done()]
            finally:
                for future in futures:
                    future.cancel()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, MissingError):
                raise result
        if late:
            raise ZooKeeperError(f"no answer within {timeout:g} s")
        return results

    @contextmanager
    def listening(self, path: str, listener: Listener) -> Iterator[None]:
        """Have a listener told of the watches of a path and its children, while the block lasts."""
        self._listeners.setdefault(path, set()).add(listener)
        try:
            yield
        finally:
            self._listeners[path].discard(listener)
            if not self._listeners[path]:
                del self._listeners[path]

    async def close(self) -> None:
        """End the session; what takes longer than CLOSING goes on without us."""
        if self._over is not None:
            self._over.cancel()
        done = self._end()
        try:
            async with asyncio.timeout(CLOSING):
                await done.wait()
        except TimeoutError:
            pass

    def post(self, callback: Callable[..., object], *args: object) -> None:
        """Call this in the event loop, from any thread; not if it has ended meanwhile."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            pass

    def fired(self, path: str, name: str) -> None:
        """Pass on that a watch fired."""
        for listener in self._listeners.get(path, ()):
            listener.fired(name)

    def _put(self, questions: Sequence[Question], futures: Sequence[asyncio.Future[Any]]) -> None:
        for question, future in zip(questions, futures, strict=True):
            question().rawlink(functools.partial(self.post, _settle, future))

    def _begin(self) -> None:
        self._client, self._told = client, _ = self._make_client()

        def changed(state: str) -> None:  # kazoo calls this in one of its threads
            self.post(self._note, client, state, client.client_state, client.client_id)

        client.add_listener(changed)
        client.start_async()

    def _end(self) -> asyncio.Event:
        """End the client, which blocks, in a thread; return the event that tells of it."""
        client, done = self._client, asyncio.Event()

        def end() -> None:
            try:
                client.stop()
                client.close()
            except Exception as error:  # its thread does not end; it has nobody to talk to any more
                log.debug("a ZooKeeper session could not be ended: %s", first_line(repr(error)))
            self.post(done.set)

        threading.Thread(target=end, name="ends a ZooKeeper session", daemon=True).start()
        return done

    def _begin_anew(self) -> None:
        self._end()
        self._begin()
        self._over = self._loop.call_later(self._session_timeout, self._begin_anew)

    def _note(self, client: KazooClient, state: str, detail: str, client_id: tuple[int, bytes] | None) -> None:
        if client is not self._client:
            return
        if self._over is not None:
            self._over.cancel()
            self._over = None
        if state == KazooState.CONNECTED:
            self.id = client_id[0] if client_id else None
            self._told.complaint = ""
            self._settled.set()
            return
        self._settled.clear()
        if detail == KeeperState.CONNECTING:
            self._over = self._loop.call_later(self._session_timeout, self._begin_anew)
        if detail in (KeeperState.AUTH_FAILED, KeeperState.CLOSED):
            refused = detail == KeeperState.AUTH_FAILED
            self.ended = "the login was refused" if refused else "the session ended: the answer made no sense"
            self._settled.set()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.disconnected()


@dataclass(frozen=True, slots=True)
class _Watch:
    """What kazoo calls when a watch fires. Equal for all who watch one node, so that kazoo keeps one of them."""

    session: Session
    path: str
    name: str

    def __call__(self, event: WatchedEvent) -> None:
        if event.type != EventType.NONE:  # the end of the connection, of which the session is told anyway
            self.session.post(self.session.fired, self.path, self.name)


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    """Pass an answer on, or the reason that there is none."""
    if future.done():
        return
    error = result.exception
    if error is None:
        future.set_result(result.value)
    elif isinstance(error, exceptions.NoNodeError):
        future.set_exception(MissingError())
    elif isinstance(error, exceptions.NodeExistsError):
        future.set_exception(ExistsError())
    elif isinstance(error, _BROKEN):
        future.set_exception(DisconnectedError())
    elif isinstance(error, exceptions.NoAuthError):
        future.set_exception(ZooKeeperError("the rights (ACL) of the node do not allow it"))
    else:
        future.set_exception(ZooKeeperError(f"{type(error).__name__} {first_line(str(error))}".strip()))


_sessions: dict[tuple[asyncio.AbstractEventLoop, Ensemble, str], Session] = {}


@asynccontextmanager
async def joined(ensemble: Ensemble) -> AsyncIterator[Session]:
    """Share a session with all others in this event loop that ask the same ensemble, while the block lasts."""
    credential = ensemble.read_credential()
    key = asyncio.get_running_loop(), ensemble, credential
    session = _sessions.get(key)
    if session is None or session.ended:
        session = _sessions[key] = Session(ensemble.hosts, ensemble.session_timeout, credential)
    session.users += 1
    try:
        yield session
    finally:
        session.users -= 1
        if not session.users:
            if _sessions.get(key) is session:
                del _sessions[key]
            await session.close()
