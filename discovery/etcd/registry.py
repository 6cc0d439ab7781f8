"""Services in etcd: every key below a prefix is one instance, and etcd tells of each change at once.

The keys are listed at one revision, and watched from the next one on, so that no change falls between. A watch that is
silent may have nothing to tell, or may be dead (etcd's own notifications of progress come every ten minutes). So every
HEARTBEAT the keys are compared with what the watch told; it costs etcd a look at the prefix, and us a single key.

How a value is read is the concern of entries; what is asked, and what follows from the answers, of prefix;
HTTP, JSON and the login of gateway.
"""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing
from typing import TYPE_CHECKING

from yarl import URL

from discovery.etcd.gateway import EtcdError, Gateway, Login
from discovery.etcd.listing import list_services
from discovery.etcd.members import Members
from discovery.etcd.prefix import CompactedError, Prefix
from discovery.news import News
from discovery.pace import PACE
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from pathlib import Path

    from discovery.catalog import Listed
    from discovery.instance import Snapshot

TIMEOUT = 5.0  # seconds
HEARTBEAT = 10.0  # seconds
BATCH = 100  # messages that are read at a stretch, some two milliseconds of work


class EtcdRegistry:
    """The services in the etcd cluster whose members are at `endpoints` (`http://127.0.0.1:2379`).

    A service's name is its prefix: `/services/web/`. The members are tried in turn, first the one that last worked.
    With a `username`, the password, or the content of `password_file`, gets the token that is shown; the user needs to
    read the prefix. `timeout` is how many seconds an answer may take.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        username: str = "",
        password: str = "",
        password_file: Path | None = None,
        timeout: float = TIMEOUT,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._endpoints = list(endpoints)
        self._login = Login(username, password, password_file) if username else None
        self._timeout = timeout
        self._heartbeat = heartbeat

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each change, but no more than twenty a second, and one at each heartbeat."""
        complaints: list[str] = []
        for endpoint in tuple(self._endpoints):
            is_watched = False
            try:
                async with (
                    Gateway(endpoint, self._login, self._timeout) as gateway,
                    aclosing(self._follow(gateway, service)) as snapshots,
                ):
                    async for snapshot in snapshots:
                        is_watched = True
                        yield snapshot
            except EtcdError as error:
                self._endpoints.sort(key=lambda other: other == endpoint)  # its turn comes last now
                complaint = f"etcd at {URL(endpoint).with_user(None)}: {error}"
                if is_watched:
                    raise RegistryError(complaint) from error
                complaints.append(complaint)
        raise RegistryError("; ".join(complaints))

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services whose prefixes are one step below one: `/services/`. Raises RegistryError."""
        members = Members(self._endpoints, self._login, self._timeout)
        try:
            return await list_services(members.ask, below)
        except EtcdError as error:
            raise RegistryError(f"etcd: {error}") from error
        finally:
            await members.close()

    async def _follow(self, gateway: Gateway, service: str) -> AsyncGenerator[Snapshot, None]:
        while True:
            prefix = Prefix(service)
            while prefix.listed(await gateway.ask("/v3/kv/range", prefix.list_question())):
                pass
            try:
                async with aclosing(self._moments(gateway, prefix)) as moments:
                    # What happened before the list was made, nobody told us.
                    yield prefix.snapshot(service, continuous=False)
                    async for arrived in moments:
                        yield dataclasses.replace(prefix.snapshot(service, continuous=True), arrived=arrived)
            except CompactedError:
                continue

    async def _moments(self, gateway: Gateway, prefix: Prefix) -> AsyncGenerator[float, None]:
        """Keep the prefix as etcd has it, and yield at the moments for a snapshot, with the time its news came."""
        news, told = News(), asyncio.Event()
        tasks = [
            asyncio.create_task(self._receive(gateway, prefix, news, told)),
            asyncio.create_task(self._compare(gateway, prefix, news, told)),
        ]
        for task in tasks:
            task.add_done_callback(lambda _: news.tell())
        try:
            while True:
                await news.wait()
                news.clear()
                for task in tasks:
                    if task.done():
                        task.result()
                yield news.since
                # The keeper would wait as long with the next one; so no set is put together that nobody sees.
                await asyncio.sleep(PACE)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, gateway: Gateway, prefix: Prefix, news: News, told: asyncio.Event) -> None:
        count = 0
        async with aclosing(gateway.stream("/v3/watch", prefix.watch_question())) as messages:
            async for message in messages:
                if prefix.changed(message):
                    news.tell()
                    told.set()
                count += 1
                if count % BATCH == 0:
                    await asyncio.sleep(0)  # a burst of changes is no reason to keep requests waiting
        raise EtcdError("the watch ended")

    async def _compare(self, gateway: Gateway, prefix: Prefix, news: News, told: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            told.clear()
            comparison = prefix.compare()
            if not prefix.is_same(comparison, await gateway.ask("/v3/kv/range", comparison.question)):
                try:
                    async with asyncio.timeout(self._timeout):
                        await told.wait()  # most likely the change is on its way to us, or came while we asked
                except TimeoutError:
                    raise EtcdError(f"the watch did not tell of a change within {self._timeout:g} s") from None
            news.tell()
