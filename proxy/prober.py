"""Asks the instances of a service, again and again, whether they work."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from discovery import check
from discovery.cancelled import end_if_cancelled
from proxy.http.way import probing
from proxy.probe_pace import Intervals, Pace
from proxy.tasks import Tasks
from proxy.tls.pair import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from balancers.endpoint import Endpoint
    from balancers.pool import Change, Pool
    from discovery.body_match import BodyMatch
    from discovery.instance import Instance
    from proxy.proxy_protocol import Version
    from proxy.tls.instances import InstanceTls

_AT_ONCE = 256  # probes of one service under way; ten thousand instances found at once are not all probed at once


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How a service's instances are probed; times in seconds.

    An HTTP request for `path`, or a question by gRPC for the health of the service `grpc`, or without either a
    connection over TCP. `port` 0 and `host` "" stand for the instance's own.
    """

    path: str
    host: str
    port: int
    expects: Callable[[int], bool]
    timeout: float
    intervals: Intervals
    grpc: str | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BodyMatch | None = None


class Prober:
    """One task an endpoint, from the moment it joins the pool until it leaves; other changes do not disturb it."""

    def __init__(
        self,
        options: ProbeOptions,
        random: Random,
        tls: InstanceTls | None = None,
        proxy_protocol: Version | None = None,
    ) -> None:
        self._options = options
        self._tls = tls
        self._proxy_protocol: Version | None = proxy_protocol
        self._pace = Pace(options.intervals, random)
        self._tasks = Tasks()
        self._running: dict[Endpoint, asyncio.Task[None]] = {}
        self._asleep: dict[Endpoint, _Sleep] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._headers = _headers(options)

    def follow(self, change: Change, pool: Pool) -> None:
        """Probe those who joined, leave those alone who left."""
        for endpoint in change.left:
            self._running.pop(endpoint).cancel()
        for endpoint in change.joined:
            work = self._probe(endpoint, pool)
            self._running[endpoint] = self._tasks.start(work, f"the probe of {endpoint.instance.id}")

    def take_over(self, pool: Pool) -> None:
        """Probe all who are in the pool, instead of another prober."""
        for endpoint in pool.endpoints:
            work = self._probe(endpoint, pool)
            self._running[endpoint] = self._tasks.start(work, f"the probe of {endpoint.instance.id}")

    def sweep(self, requests: int, in_flight: int, pool: Pool, now: float) -> None:
        """Wake those whose interval has become shorter: there are requests again, or they have just been ejected.

        That costs requests nothing: it is told from time to time how many there were so far.
        """
        if self._pace.traffic(requests, in_flight, now):
            for sleep in self._asleep.values():
                sleep.end()
        for endpoint in pool.ejected_for_a_time:
            asleep = self._asleep.get(endpoint)
            if asleep is not None and self._pace.interval(endpoint.health) < asleep.interval:
                asleep.end()

    def close(self) -> None:
        """Probe nobody any more."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    async def stop(self) -> None:
        """Probe nobody any more, and wait until what was under way has ended."""
        self.close()
        await self._tasks.stop()

    async def _probe(self, endpoint: Endpoint, pool: Pool) -> None:
        while True:
            async with self._at_once:
                try:
                    outcome = await self._check(endpoint.instance)
                except Exception as error:  # whatever an instance does, its probe goes on: this one has failed
                    end_if_cancelled(error)
                    outcome = check.Outcome(False, f"{type(error).__name__}: {error}")
            if not outcome.ours:
                pool.probed(endpoint, outcome.passed, outcome.detail, time.monotonic())
            await self._pause(endpoint)

    async def _pause(self, endpoint: Endpoint) -> None:
        """Wait for the time of the next probe, which may come nearer meanwhile."""
        pace, health = self._pace, endpoint.health
        clock = asyncio.get_running_loop().time
        ends = clock() + pace.pause(health)
        while (left := ends - clock()) > 0:
            sleep = self._asleep[endpoint] = _Sleep(left, pace.interval(health))
            try:
                woken = await sleep.slept
            finally:
                sleep.end()
                del self._asleep[endpoint]
            if not woken:
                return
            ends = min(ends, clock() + pace.soon(health))

    async def _check(self, instance: Instance) -> check.Outcome:
        options = self._options
        port = options.port or instance.port
        authority = "localhost" if instance.path else _authority(instance.address, port)
        protocol = "h2" if options.grpc is not None else "http/1.1"
        try:
            dial = await probing(instance, port, self._tls, self._proxy_protocol, protocol)
        except CertificateError as error:
            return check.Outcome(False, str(error))
        if options.grpc is not None:
            from discovery import grpc_health  # and with it h2, 2 MiB, for those who ask by gRPC

            return await grpc_health.check(dial, options.grpc, options.timeout, options.host or authority)
        if not options.path:
            return await check.tcp(dial, options.timeout)
        return await check.http(
            dial,
            authority,
            options.path,
            options.timeout,
            options.expects,
            method=options.method,
            headers=self._headers,
            body=options.body,
        )


class _Sleep:
    """A pause of so many seconds, begun under an interval; `slept` says whether it was ended before its time."""

    __slots__ = ("_timer", "interval", "slept")

    def __init__(self, seconds: float, interval: float) -> None:
        loop = asyncio.get_running_loop()
        self.interval = interval
        self.slept: asyncio.Future[bool] = loop.create_future()
        self._timer = loop.call_later(seconds, self._over, False)

    def end(self) -> None:
        self._timer.cancel()
        self._over(True)

    def _over(self, woken: bool) -> None:
        if not self.slept.done():
            self.slept.set_result(woken)


def _headers(options: ProbeOptions) -> dict[str, str]:
    """Return the headers of an HTTP probe, the user's own instead of ours."""
    ours = {"User-Agent": "pointsman-probe"}
    if options.body is not None:
        ours["Accept-Encoding"] = "identity"  # a body is looked at as it is, so nobody is to compress it
    if options.host:
        ours["Host"] = options.host
    theirs = {name.lower() for name in options.headers}
    return {**{name: value for name, value in ours.items() if name.lower() not in theirs}, **options.headers}


def _authority(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
