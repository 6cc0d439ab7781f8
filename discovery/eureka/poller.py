"""Keep what one Eureka holds, for all who watch it: they share one row of questions, however many services they are.

A row begins with `apps` and goes on with `apps/delta`. Everything is asked for anew when the two do not agree, when
another server answers than before, when more time has passed than a delta tells of, and now and then in any case: the
hash counts instances, and does not know one from another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from weakref import WeakValueDictionary

from discovery.cancelled import end_if_cancelled
from discovery.eureka.answers import Answer, read_answer
from discovery.eureka.client import NO_DELTA, Client, EurekaError, RefusedError
from discovery.eureka.store import Store
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from discovery.login import BasicLogin

log = logging.getLogger(__name__)

# A delta tells of three minutes, and may have lain in the server's cache for half a minute.
LONGEST_GAP = 150.0  # seconds
FULL_EVERY = 300.0  # seconds
LARGE = 64 * 2**10  # bytes of an answer that takes a millisecond or more to read
WOKEN = 50  # watches that are woken at a stretch, some two milliseconds of work


@dataclass(frozen=True, slots=True)
class Account:
    """The servers of one Eureka, who asks them, and how often; times are seconds."""

    urls: tuple[str, ...]
    login: BasicLogin
    interval: float = 5.0
    timeout: float = 5.0


class Moment(NamedTuple):
    """What is known after a round. `breaks` counts the rounds after which something may have been missed."""

    store: Store
    breaks: int


class Poller:
    """Asks the servers of an account as long as anybody wants to know."""

    _pollers: ClassVar[WeakValueDictionary[Account, Poller]] = WeakValueDictionary()

    def __init__(self, account: Account, clock: Callable[[], float] = time.monotonic) -> None:
        self._account = account
        self._clock = clock
        self._urls = list(account.urls)  # the one that worked comes first, the one that failed last
        self._row: _Row | None = None

    @classmethod
    def shared(cls, account: Account) -> Poller:
        """Return the one poller that this process has for an account, as long as anybody holds it."""
        return cls._pollers.setdefault(account, cls(account))

    async def moments(self) -> AsyncGenerator[Moment, None]:
        """Yield after each round, and at once if there was one already. Raises RegistryError when that ends."""
        row = self._row
        if row is None or row.task.done():
            row = self._row = _Row(self._account, self._urls, self._clock)
        wake = asyncio.Event()
        row.watches[wake] = None
        if row.store is not None:
            wake.set()
        try:
            while True:
                await wake.wait()
                wake.clear()
                if row.task.done():
                    error = row.task.exception()
                    # Each of those who watch gets one of its own, for each adds to the traceback.
                    raise RegistryError(str(error)) if isinstance(error, RegistryError) else (error or AssertionError)
                assert row.store is not None
                yield Moment(row.store, row.breaks)
        finally:
            del row.watches[wake]
            if not row.watches:
                if self._row is row:
                    self._row = None
                row.task.cancel()
                await asyncio.gather(row.task, return_exceptions=True)


class _Row:
    """An unbroken row of rounds, from the first watch to the last one, or until no server gives an answer."""

    def __init__(self, account: Account, urls: list[str], clock: Callable[[], float]) -> None:
        self._account = account
        self._urls = urls
        self._clock = clock
        self.store: Store | None = None
        self.breaks = 0
        self.watches: dict[asyncio.Event, None] = {}
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: self._end())

    async def _run(self) -> None:
        """Follow one server until it fails, then the next one; raise RegistryError when each failed in turn."""
        complaints: list[str] = []
        while True:
            url = self._urls[0]
            try:
                async with (
                    Client(url, self._account.login, self._account.timeout) as client,
                    aclosing(self._follow(client)) as rounds,
                ):
                    async for _ in rounds:
                        if complaints:
                            log.warning("%s; asking the one at %s from now on", "; ".join(complaints), url)
                            complaints.clear()
                        await self._wake()
            except EurekaError as error:
                end_if_cancelled(error)
                complaints.append(f"Eureka at {url}: {error}")
                self._urls.sort(key=lambda other: other == url)  # its turn comes last now
                if len(complaints) == len(self._urls):
                    raise RegistryError("; ".join(complaints)) from error

    async def _follow(self, client: Client) -> AsyncGenerator[None, None]:
        """Keep the store as the server has it, and yield after each round."""
        loop = asyncio.get_running_loop()
        deltas = _Deltas(client)
        asked = full_asked = float("-inf")
        while True:
            began, now = loop.time(), self._clock()
            delta = await deltas.ask() if now - asked <= LONGEST_GAP else None
            is_same = delta is not None and self.store is not None and self.store.update(delta)
            if not is_same or now - full_asked >= FULL_EVERY:
                full = await _read(await client.send("GET", "apps"))
                self.store = await asyncio.to_thread(Store, full, delta)
                # Between the two answers to one who asks twice a change may fall, but no loss of memory.
                if not is_same or delta is None or full.hash != delta.hash:
                    self.breaks += 1
                full_asked = now
            asked = now
            yield
            await asyncio.sleep(began + self._account.interval - loop.time())

    async def _wake(self) -> None:
        for number, watch in enumerate(tuple(self.watches), 1):
            watch.set()
            if number % WOKEN == 0:
                await asyncio.sleep(0)

    def _end(self) -> None:
        for watch in self.watches:
            watch.set()


class _Deltas:
    """One server's deltas, each of which is read only if it is another one than before."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._body = b""
        self._answer: Answer | None = None
        self._are_refused = False

    async def ask(self) -> Answer | None:
        """Return what changed; None when the server does not tell."""
        if self._are_refused:
            return None
        try:
            body = await self._client.send("GET", "apps", "delta")
        except RefusedError as error:
            if error.status not in NO_DELTA:
                raise
            self._are_refused = True  # or all is refused, which `apps` will show
            return None
        if self._answer is None or body != self._body:
            self._answer, self._body = await _read(body), body
        return self._answer


async def _read(body: bytes) -> Answer:
    return await asyncio.to_thread(read_answer, body) if len(body) > LARGE else read_answer(body)
