"""The owner of certificates that are got from an authority: gets them, keeps them young, tells how they stand."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from proxy.tls.acme import pace
from proxy.tls.acme.wanted import OrderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.tls.acme.files import Folder
    from proxy.tls.acme.pace import Standing
    from proxy.tls.acme.wanted import AuthorityOptions

_log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK = 60.0  # seconds between two looks at the folder, in which other processes write too
_TAKEN = 2.0  # seconds until a lock that another process holds is tried again
_LONGEST = 300.0  # seconds after which an order is given up, whatever it is at


class AcmeError(Exception):
    """The folder of certificates cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Domain:
    """How a domain stands; times in seconds since 1970."""

    name: str
    standing: Standing | None = None
    next: float = 0.0  # when it will be ordered, or tried again
    failures: int = 0  # in a row
    error: str = ""  # of the last try, if that failed

    @property
    def state(self) -> str:
        """`valid`, `placeholder` until the first certificate has come, or `expired`."""
        if self.standing is None or self.standing.placeholder:
            return "placeholder"
        return "valid" if time.time() < self.standing.not_after else "expired"


class Renewals:
    """Orders certificates for domains, one after the other, for as long as `run` runs.

    `tell` takes the kind of an event, the domain and a sentence. Raises AcmeError where the folder cannot be used.
    """

    def __init__(
        self,
        options: AuthorityOptions,
        folder: Folder,
        domains: Sequence[str],
        tell: Callable[[str, str, str], None],
        *,
        renew_before: float | None = None,
        source: random.Random | None = None,
    ) -> None:
        self.folder = folder
        self.directory = options.directory
        self.domains = {name: Domain(name) for name in domains}
        self.issued = 0  # certificates got, since the start
        self.failed = 0  # tries that failed, since the start
        self._options = options
        self._tell = tell
        self._renew_before = renew_before
        self._source = source or random.Random()
        try:
            for name in domains:
                folder.prepare(name)
        except OSError as error:
            raise AcmeError(f"acme.folder: {folder.path} cannot be used: {error.strerror or error}") from error

    def follow(self, before: Renewals) -> None:
        """Go on with what another owner has counted and, if it ordered as we do, with what it knows of our domains."""
        self.issued, self.failed = before.issued, before.failed
        if (before._options, before.folder.path) != (self._options, self.folder.path):
            return
        for name in self.domains.keys() & before.domains.keys():
            known = before.domains[name]
            due = known.next if known.failures else pace.due(known.standing, self._renew_before)
            self.domains[name] = replace(known, next=due)

    async def run(self) -> None:
        """Get what is missing and renew what grows old, for ever."""
        while True:
            for name in self.domains:
                await self._see_to(name)
            soonest = min(domain.next for domain in self.domains.values())
            await asyncio.sleep(min(max(soonest - time.time(), 0.05), _LOOK))

    async def _see_to(self, name: str) -> None:
        """Look how a domain stands, and order if that is due."""
        known = self.domains[name]
        try:
            standing = await asyncio.to_thread(self.folder.standing, name)
        except OSError as error:
            self._tried(name, f"{self.folder.path}: {error.strerror or error}", ordered=False)
            return
        due = pace.due(standing, self._renew_before)
        if standing != known.standing:  # the first look, or another process has renewed it
            known = self.domains[name] = Domain(name, standing, due)
        now = time.time()
        if known.next > now:
            return
        try:
            ordered = await self._order(name)
        except OrderError as error:
            self._tried(name, str(error), ordered=error.ordered, retry_after=error.retry_after)
            return
        except Exception as error:  # whatever an authority may make of the library, the proxy goes on
            _log.exception("the order for %s failed", name)
            self._tried(name, f"{type(error).__name__}: {error}", ordered=True)
            return
        if ordered is not None:
            self.domains[name] = replace(known, next=ordered)
            return
        standing = await asyncio.to_thread(self.folder.standing, name)
        if standing is None:
            self._tried(name, f"{self.folder.path}: what was just written there is gone", ordered=True)
            return
        self.domains[name] = Domain(name, standing, pace.due(standing, self._renew_before))
        self.issued += 1
        self._tell("certificate_issued", name, f"good until {_moment(standing.not_after)}")

    async def _order(self, name: str) -> float | None:
        """Order; return when to look again where nothing was to be done by us, None once there is a certificate."""
        stop = threading.Event()

        def work() -> float | None:
            from proxy.tls.acme.authority import order  # 0.1 s, for those who want it alone

            with self.folder.locked() as ours:
                now = time.time()
                if not ours:
                    return now + _TAKEN
                due = pace.due(self.folder.standing(name), self._renew_before)
                allowed = pace.room(self.folder.orders(name), now)
                if max(due, allowed) > now:
                    return max(due, allowed)
                order(self._options, name, self.folder, stop, lambda: self.folder.ordered(name, time.time()))
                return None

        try:
            async with asyncio.timeout(_LONGEST):
                return await _in_thread(work, f"orders a certificate for {name}")
        except TimeoutError:
            raise OrderError(f"the authority did not end within {_LONGEST:g} s", ordered=True) from None
        finally:
            stop.set()

    def _tried(self, name: str, error: str, *, ordered: bool, retry_after: float = 0.0) -> None:
        known = self.domains[name]
        failures = known.failures + 1
        wait = pace.pause(failures, ordered=ordered, retry_after=retry_after, source=self._source)
        self.domains[name] = replace(known, next=time.time() + wait, failures=failures, error=error)
        self.failed += 1
        self._tell("certificate_failed", name, f"{error}; tried again in {wait:.0f} s")


async def _in_thread(work: Callable[[], T], name: str) -> T:
    """Run work that blocks in a thread that nobody waits for at the end: an order may take minutes."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # which is work's

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # told where it is waited for
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
