"""Keep one instance in one registry for as long as it works, and take it out when it ends."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from discovery.backoff import Backoff
from discovery.cancelled import end_if_cancelled
from discovery.check import Outcome
from discovery.presence import Act, Presence
from discovery.registrar import LeaseLostError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from discovery.instance import Instance
    from discovery.registrar import Lease, Registrar

log = logging.getLogger(__name__)

PATIENCE = 90.0  # seconds for one act; registrars have shorter waits of their own, for each request
LEAVING = 5.0  # seconds in which an instance that ends can be taken out; then the registry must notice by itself
BRIEF = 1.0  # seconds for that when everything is cancelled
EAGER = 0.25  # seconds between two probes of an instance that has not passed one yet: it is about to start
_LOOK = 0.01  # seconds between two looks at whether an act is over
REPEAT = 60.0  # seconds between two warnings of one failure that goes on

_DONE = {Act.REGISTER: "registered", Act.REVOKE: "deregistered"}
_TRIED = {Act.REGISTER: "registered", Act.RENEW: "renewed", Act.REVOKE: "taken out"}


class Registration:
    """Owns one instance's place in `registrar`, as an instance of `service`.

    `describe` says what is to be registered; it is asked each time, for the machine's address may have changed, and
    may raise RegistryError. `check` tells whether the instance works, and is asked every `interval` seconds: it is
    registered once `rise` checks in a row have passed, taken out after `fall` failures in a row, and registered again
    when it passes. Without a `check` it always works. `journal` gets each notable event: a kind (`registered`,
    `deregistered`, `registration_lost`, `registration_failed`, `registration_recovered`, `probe_failed`), the
    instance's identity and a text for people.

    `leaving` is how many seconds it may take to take the instance out in the end.

    Nothing that a registry does ends it: what fails is tried again after a back-off.
    """

    def __init__(
        self,
        service: str,
        registrar: Registrar,
        describe: Callable[[], Awaitable[Instance]],
        *,
        check: Callable[[], Awaitable[Outcome]] | None,
        interval: float = 2.0,
        rise: int = 1,
        fall: int = 3,
        journal: Callable[[str, str, str], None],
        clock: Callable[[], float] = time.monotonic,
        source: random.Random | None = None,
        leaving: float = LEAVING,
    ) -> None:
        self.service = service
        self.instance: Instance | None = None  # as it was registered last
        self.error = ""  # what the registry said last, if it failed
        self._registrar = registrar
        self._describe = describe
        self._check = check
        self._interval = interval
        self._leaving = leaving
        self._journal = journal
        self._clock = clock
        self._presence = Presence(rise, fall, Backoff(source or random.Random()))
        self._lease: Lease | None = None
        self._is_acting = False
        self._is_shared = False  # another process registers the instance too
        self._is_given_up = False  # and we do no more
        self._next_warning = float("-inf")
        self._wake = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def is_in(self) -> bool:
        """Whether the instance is registered, as far as we know."""
        return self._presence.is_in

    async def run(self) -> None:
        """Keep the instance registered until `leave` is called, or it is cancelled."""
        if self._check is None:
            self._presence.want(self._clock())
        probing = asyncio.create_task(self._probe(self._check)) if self._check else None
        try:
            while not (self._presence.is_over or self._is_given_up):
                self._wake.clear()
                step = self._presence.next()
                if step is not None and self._is_shared and step[0] is not Act.RENEW:
                    step = None
                if step is None or step[1] > self._clock():
                    await self._pause(step[1] - self._clock() if step else None)
                else:
                    await self._do(step[0])
        finally:
            self._gone.set()
            if probing is not None:
                probing.cancel()
                await asyncio.gather(probing, return_exceptions=True)
            if self._lease is not None:  # cancelled, or given up: what can be done at once is done
                with suppress(Exception):
                    async with asyncio.timeout(BRIEF):
                        await (self._lease.release() if self._is_given_up else self._lease.revoke())

    async def leave(self) -> bool:
        """Take the instance out for good, and return whether anybody may still believe that it is there.

        Waits until the registry has dropped it, but no longer than `leaving` seconds.
        """
        was_in = self._presence.is_in or self._is_acting
        self._presence.end(self._clock())
        self._wake.set()
        try:
            async with asyncio.timeout(self._leaving):
                await self._gone.wait()
        except TimeoutError:
            log.warning(
                "service %s: the instance could not be taken out within %g s: %s; the registry will notice by itself",
                self.service, self._leaving, self.error or "the registry does not answer",
            )  # fmt: skip
        return was_in

    async def share(self) -> None:
        """Do nothing but renew from now on: another process is about to register the same instance in our place.

        Waits until what is under way is over, but no longer than LEAVING.
        """
        self._is_shared = True
        deadline = self._clock() + LEAVING
        while self._is_acting and self._clock() < deadline:  # noqa: ASYNC110  # it is about to be over
            await asyncio.sleep(_LOOK)

    def resume(self) -> None:
        """Do all again that is to be done: nobody took our place."""
        self._is_shared = False
        self._presence.hurry(self._clock())  # it may have been put out of the registry again
        self._wake.set()

    def give_up(self) -> None:
        """End soon, and leave the instance where it is: another process has registered it in our place."""
        self._is_given_up = True
        self._wake.set()

    async def _pause(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _do(self, act: Act) -> None:
        self._is_acting = True
        try:
            async with asyncio.timeout(PATIENCE):
                interval = await self._act(act)
        except LeaseLostError as error:
            end_if_cancelled(error)
            await self._lost(str(error))
        except RegistryError as error:
            end_if_cancelled(error)
            self._failed(act, str(error))
        except TimeoutError:
            self._failed(act, f"no answer within {PATIENCE:g} s")
        except Exception as error:
            end_if_cancelled(error)
            # Not an answer that the registrar's code foresaw. The instance goes on, and so do the tries.
            log.exception("service %s: the registrar met a fault of its own", self.service)
            self._failed(act, f"{type(error).__name__}: {error}")
        else:
            self._done(act, interval)
        finally:
            self._is_acting = False

    async def _act(self, act: Act) -> float:
        if act is Act.REGISTER:
            instance = await self._describe()
            self._lease = await self._registrar.register(self.service, instance)
            self.instance = instance
            return self._lease.interval
        assert self._lease is not None
        if act is Act.RENEW:
            await self._lease.renew()
            return self._lease.interval
        await self._lease.revoke()
        self._lease = None
        return 0.0

    def _done(self, act: Act, interval: float) -> None:
        self._presence.done(act, self._clock(), interval)
        if self.error:
            self.error = ""
            log.info("service %s: the registry can be asked again", self.service)
            self._tell("registration_recovered", "the registry can be asked again")
        if act in _DONE:
            assert self.instance is not None
            log.info("service %s: %s %s at %s", self.service, _DONE[act], self.instance.id, self.instance.authority)
            self._tell(_DONE[act], f"at {self.instance.authority}")

    async def _lost(self, text: str) -> None:
        if not self._is_shared:
            log.warning("service %s: the registry lost the instance, it is registered anew: %s", self.service, text)
            self._tell("registration_lost", text)
        lease, self._lease = self._lease, None
        self._presence.lost(self._clock())
        if lease is not None:
            with suppress(Exception):  # it is to release what it holds; the instance is gone already
                async with asyncio.timeout(PATIENCE):
                    await lease.revoke()

    def _failed(self, act: Act, text: str) -> None:
        now = self._clock()
        self._presence.failed(act, now)
        if self._is_shared:
            return  # what was put in our place is no failure
        if not self.error or now >= self._next_warning:
            self._next_warning = now + REPEAT
            log.warning("service %s: the instance could not be %s: %s", self.service, _TRIED[act], text)
            self._tell("registration_failed", text)
        self.error = text

    async def _probe(self, check: Callable[[], Awaitable[Outcome]]) -> None:
        first_failure = True
        has_passed = False
        while True:
            try:
                outcome = await check()
            except Exception as error:  # whatever the instance does, its probe goes on: this one has failed
                end_if_cancelled(error)
                outcome = Outcome(False, f"{type(error).__name__}: {error}")
            if not outcome.ours:
                has_passed = has_passed or outcome.passed
                if self._presence.probed(outcome.passed, self._clock()):
                    self._wake.set()
                    if not outcome.passed:
                        log.warning("service %s: the instance is taken out: %s", self.service, outcome.detail)
                        self._tell("probe_failed", outcome.detail)
                elif not has_passed and first_failure:
                    first_failure = False
                    log.info("service %s: waiting for the instance's probe: %s", self.service, outcome.detail)
            await asyncio.sleep(self._interval if has_passed else min(EAGER, self._interval))

    def _tell(self, kind: str, text: str) -> None:
        self._journal(kind, self.instance.id if self.instance else "", text)
