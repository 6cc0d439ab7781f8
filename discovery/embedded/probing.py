"""Runs the HTTP and TCP checks, each on its interval."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import ssl
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from discovery import check as probe
from discovery.cancelled import end_if_cancelled
from discovery.dialing import Dial
from discovery.embedded.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from discovery.embedded.catalog import Check
    from discovery.embedded.definition import CheckDefinition, Status

log = logging.getLogger(__name__)

MOST_AT_ONCE = 256  # probes on the wire


class Streak:
    """How many findings in a row have to agree before a check changes its status. The very first one counts alone."""

    def __init__(self, definition: CheckDefinition) -> None:
        self._needed_good = self._good = definition.success_before_passing
        self._needed_bad = self._bad = definition.failures_before_critical

    def counts(self, status: Status) -> bool:
        """Take one finding, and return whether it is the check's status now."""
        if status == "critical":
            self._good, self._bad = 0, self._bad + 1
            return self._bad >= self._needed_bad
        self._good, self._bad = self._good + 1, 0
        return self._good >= self._needed_good


class Probing:
    """One task a check. `found` takes a check's ID, the definition that was probed, the status and the output."""

    def __init__(self, found: Callable[[str, CheckDefinition, Status, str], Awaitable[None]]) -> None:
        self._found = found
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self._tls: ssl.SSLContext | None = None  # to those that are asked by https
        self._tasks: dict[str, tuple[CheckDefinition, asyncio.Task[None]]] = {}

    def follow(self, changed: Iterable[tuple[str, Check | None]]) -> None:
        """Take up checks that are new or other, and drop those that are gone."""
        for check_id, check in changed:
            definition = check.definition if check is not None and check.kind in ("http", "tcp") else None
            running = self._tasks.get(check_id)
            if running is not None:
                if running[0] == definition:
                    continue
                running[1].cancel()
                del self._tasks[check_id]
            if definition is not None:
                task = asyncio.create_task(self._repeat(check_id, definition), name=f"check {check_id}")
                self._tasks[check_id] = definition, task

    async def close(self) -> None:
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, check_id: str, definition: CheckDefinition) -> None:
        streak = Streak(definition)
        clock = asyncio.get_running_loop().time
        # Checks that were registered together do not run together.
        await asyncio.sleep(random.uniform(0, definition.interval_seconds))
        while True:
            began = clock()
            try:
                async with self._at_once:
                    status, output = await self._try(definition)
                if streak.counts(status):
                    await self._found(check_id, definition, status, output)
            except RefusedError as error:
                log.warning("the status of check %s was not taken: %s", check_id, error)
            except Exception as error:
                end_if_cancelled(error)
                log.exception("check %s could not be run", check_id)
            await asyncio.sleep(max(0.0, began + definition.interval_seconds - clock()))

    async def _try(self, definition: CheckDefinition) -> tuple[Status, str]:
        timeout = definition.timeout_seconds
        if definition.kind == "tcp":
            host, _, port = definition.tcp.rpartition(":")
            outcome = await probe.tcp(Dial(host.strip("[]"), int(port)), timeout)
            return ("passing" if outcome.passed else "critical"), outcome.detail
        answered = []

        def expected(status: int) -> bool:
            answered.append(status)
            return 200 <= status <= 299

        headers = {name: ", ".join(values) for name, values in definition.header.items()}
        try:
            url = urlsplit(definition.http)
            host, secure = url.hostname or "", url.scheme == "https"
            if secure and self._tls is None:
                self._tls = await asyncio.to_thread(ssl.create_default_context)
            dial = Dial(host, url.port or (443 if secure else 80), tls=self._tls if secure else None, server_name=host)
        except ValueError as error:
            return "critical", f"{definition.http}: {error}"
        user, _, authority = url.netloc.rpartition("@")
        if user and not any(name.lower() == "authorization" for name in headers):
            headers["Authorization"] = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
        outcome = await probe.http(
            dial,
            authority,
            (url.path or "/") + (f"?{url.query}" if url.query else ""),
            timeout,
            expected,
            method=definition.method.upper() or "GET",
            headers=headers,
        )
        if outcome.passed:
            return "passing", outcome.detail
        return ("warning" if answered == [429] else "critical"), outcome.detail
