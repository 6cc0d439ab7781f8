"""Asks the instances of a service, again and again, whether they work."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery import check
from proxy.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    import aiohttp

    from balancers.endpoint import Endpoint
    from balancers.pool import Change, Pool
    from discovery.instance import Instance

_AT_ONCE = 256  # probes of one service under way; ten thousand instances found at once are not all probed at once


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How a service's instances are probed; times in seconds.

    An HTTP GET of `path`, or without one a connection over TCP. `port` 0 and `host` "" stand for the instance's own.
    Each pause is `interval` give or take the share `jitter` of it, so that probes do not march in step.
    """

    path: str
    host: str
    port: int
    expects: Callable[[int], bool]
    interval: float
    timeout: float
    jitter: float


class Prober:
    """One task an endpoint, from the moment it joins the pool until it leaves; other changes do not disturb it."""

    def __init__(self, options: ProbeOptions, random: Random) -> None:
        self._options = options
        self._random = random
        self._tasks = Tasks()
        self._running: dict[Endpoint, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    def follow(self, change: Change, pool: Pool) -> None:
        """Probe those who joined, leave those alone who left."""
        for endpoint in change.left:
            self._running.pop(endpoint).cancel()
        for endpoint in change.joined:
            work = self._probe(endpoint, pool)
            self._running[endpoint] = self._tasks.start(work, f"the probe of {endpoint.instance.id}")

    def close(self) -> None:
        """Probe nobody any more."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    async def stop(self) -> None:
        """Probe nobody any more, and wait until what was under way has ended."""
        self.close()
        await self._tasks.stop()
        if self._session is not None:
            await self._session.close()

    async def _probe(self, endpoint: Endpoint, pool: Pool) -> None:
        options = self._options
        while True:
            async with self._at_once:
                try:
                    outcome = await self._check(endpoint.instance)
                except Exception as error:  # whatever an instance does, its probe goes on: this one has failed
                    outcome = check.Outcome(False, f"{type(error).__name__}: {error}")
            if not outcome.ours:
                pool.probed(endpoint, outcome.passed, outcome.detail, time.monotonic())
            await asyncio.sleep(options.interval * (1 + options.jitter * (2 * self._random.random() - 1)))

    async def _check(self, instance: Instance) -> check.Outcome:
        options = self._options
        port = options.port or instance.port
        if not options.path:
            return await check.tcp(instance.address, port, options.timeout)
        if self._session is None:
            self._session = check.open_session()
        host = f"[{instance.address}]" if ":" in instance.address else instance.address
        headers = {"User-Agent": "pointsman-probe"}
        if options.host:
            headers["Host"] = options.host
        url = f"http://{host}:{port}{options.path}"
        return await check.http(self._session, url, options.timeout, options.expects, headers=headers)
