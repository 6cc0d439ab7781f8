"""The embedded registry as one thing that starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from discovery.cancelled import end_if_cancelled
from discovery.embedded.api import Api
from discovery.embedded.deadlines import Deadlines
from discovery.embedded.probing import Probing
from discovery.embedded.refusal import RefusedError
from discovery.embedded.rendering import Node
from discovery.embedded.store import Store
from discovery.embedded.waiting import CHECKS, SERVICES, Waiting
from discovery.embedded.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from os import PathLike

    from discovery.embedded.catalog import Applied, Times
    from discovery.embedded.definition import CheckDefinition, Status
    from discovery.embedded.draft import Draft

log = logging.getLogger(__name__)

NODE_NAME = "embedded"  # a host name may change, and what is known of an instance hangs on it
RETRY = 5.0  # seconds until a deadline is looked at again that could not be written down
LONGEST_SLEEP = 3600.0  # seconds


class RegistryServer:
    """A registry on `host` and `port`, which keeps what it is told in `data_dir`; port 0 takes a free one.

    It may go on where another one stopped: on its `bound` socket, which listens already, and with its `times`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        data_dir: str | PathLike[str],
        *,
        bound: socket.socket | None = None,
        times: Times | None = None,
    ) -> None:
        self._bound = bound
        self._times = times or {}
        self._host = host
        self._port = port
        self._data_dir = Path(data_dir)
        self._store = Store(self._data_dir)
        self._stack = contextlib.AsyncExitStack()
        self._waiting = Waiting()
        self._deadlines = Deadlines()
        self._sooner = asyncio.Event()  # a deadline came up that is before all others

    @property
    def address(self) -> str:
        """`http://host:port` to reach it from this machine, with the real port once it is started."""
        host = _reachable(self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def socket(self) -> socket.socket | None:
        """What it listens on, once it is started."""
        return self._bound

    def times(self) -> Times:
        """Return for each check how long it has; once it has stopped, this changes no more."""
        return self._catalog.times(asyncio.get_running_loop().time())

    async def start(self) -> None:
        """Read what was kept, and answer.

        Raises OSError when the address cannot be bound, and RegistryError when `data_dir` cannot be used, for one
        because another registry uses it.
        """
        async with contextlib.AsyncExitStack() as stack:
            bound = self._bound = self._bound or await _bind(self._host, self._port)
            stack.callback(bound.close)
            address, self._port = bound.getsockname()[:2]
            stack.push_async_callback(self._store.close)
            now = asyncio.get_running_loop().time()
            catalog = await self._store.open(now)
            catalog.take_times(self._times, now)
            writer = Writer(catalog, self._store, self._on_applied)
            self._catalog = catalog
            self._writer = writer
            self._probing = Probing(self._on_probed)
            stack.push_async_callback(self._probing.close)
            stack.push_async_callback(_started(writer.run, "registry writer"))
            stack.push_async_callback(_started(self._keep_time, "registry deadlines"))
            node = Node(self._store.node_id, NODE_NAME, _reachable(address), self._port)
            application = Api(catalog, writer, self._waiting, node).application()
            # A client that goes away frees its blocked query at once.
            runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
            stack.push_async_callback(runner.cleanup)
            stack.callback(self._waiting.close)
            await runner.setup()
            await web.SockSite(runner, bound, backlog=1024).start()
            self._follow(catalog.checks)
            self._stack = stack.pop_all()
        kept = len(catalog.services)
        log.info("the embedded registry answers at %s: %d instances kept in %s", self.address, kept, self._data_dir)

    async def stop(self) -> None:
        """Answer what is under way, and let go of the address and the folder."""
        await self._stack.aclose()

    def _on_applied(self, draft: Draft, applied: Applied) -> None:
        self._waiting.wake(applied.names)
        if applied.services:
            self._waiting.wake([SERVICES])
        if applied.checks:
            self._waiting.wake([CHECKS])
        self._expect(draft.checks)
        self._probing.follow((check_id, self._catalog.checks.get(check_id)) for check_id in applied.checks)

    async def _on_probed(self, check_id: str, probed: CheckDefinition, status: Status, output: str) -> None:
        await self._writer.submit(lambda draft: draft.observe(check_id, probed, status, output))

    def _follow(self, check_ids: Iterable[str]) -> None:
        """Take up the checks that were there at the start."""
        self._expect(check_ids)
        self._probing.follow((check_id, self._catalog.checks[check_id]) for check_id in check_ids)

    def _expect(self, check_ids: Iterable[str]) -> None:
        earliest = self._deadlines.earliest
        for check_id in check_ids:
            check = self._catalog.checks.get(check_id)
            if check is not None:
                self._deadlines.add(check_id, check.deadline)
        if self._deadlines.earliest < earliest:
            self._sooner.set()

    async def _keep_time(self) -> None:
        """Do what is due, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            self._sooner.clear()
            due = self._deadlines.due(clock())
            if due:
                await self._expire(due)
                continue
            try:
                async with asyncio.timeout_at(min(self._deadlines.earliest, clock() + LONGEST_SLEEP)):
                    await self._sooner.wait()
            except TimeoutError:
                pass

    async def _expire(self, check_ids: list[str]) -> None:
        try:
            gone = await self._writer.submit(lambda draft: draft.expire(check_ids))
        except RefusedError as error:
            log.warning("%d checks could not be expired yet: %s", len(check_ids), error)
            again = asyncio.get_running_loop().time() + RETRY
            for check_id in check_ids:
                self._deadlines.add(check_id, again)
            return
        for reason in gone:
            log.warning("deregistered service %s", reason)
        self._expect(check_ids)


def _started(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> Callable[[], Coroutine[Any, Any, None]]:
    """Keep work going until the returned function is called; should it die, it is logged and started again."""

    async def keep() -> None:
        while True:
            try:
                await work()
            except Exception as error:
                end_if_cancelled(error)
                log.exception("the %s died, and starts again", name)
                await asyncio.sleep(RETRY)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    task = asyncio.create_task(keep(), name=name)
    return end


async def _bind(host: str, port: int) -> socket.socket:
    """Bind the first address that the host's name has; OSError says what cannot be bound."""
    loop = asyncio.get_running_loop()
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if not host and socket.has_dualstack_ipv6():
            bound = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            bound = socket.create_server(found[0][4][:2], family=found[0][0])
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OSError(error.errno, f"the embedded registry cannot listen on {shown}: {reason}") from None
    bound.setblocking(False)
    return bound


def _reachable(host: str) -> str:
    """Return where to connect to when it listens on `host`."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
