"""What this process registers: itself, or the process beside it, in as many registries as it was asked to."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from typing import TYPE_CHECKING

from discovery import check
from discovery.dialing import Dial
from discovery.instance import Instance
from discovery.registration import Registration
from proxy import registrars

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
    from typing import Any

    from config.register import Register
    from proxy.journal import Journal
    from proxy.registrars import Target
    from proxy.tasks import Tasks

_log = logging.getLogger(__name__)


class Registrations:
    """The registrations of one process.

    `own_port` says which port stands for one that is left out; it is asked when they start.
    """

    def __init__(self, wanted: Sequence[Register], journal: Journal, own_port: Callable[[], int] = lambda: 0) -> None:
        self._wanted = wanted
        self._journal = journal
        self._own_port = own_port
        self._running: list[Registration] = []
        self._keys: dict[Registration, str] = {}
        self._delay = max((one.deregister_delay for one in wanted), default=0.0)

    def start(self, tasks: Tasks) -> None:
        """Begin to keep each instance in its registry."""
        for wanted in self._wanted:
            key, registration = self._make(wanted, wanted.port or self._own_port())
            self._running.append(registration)
            self._keys[registration] = key
            tasks.start(registration.run(), f"the registration of {wanted.service}")

    def keys(self) -> list[str]:
        """Return what would be registered, and where: the same for two processes that would take each other's place."""
        return [_key(wanted, registrars.make(wanted), wanted.port or self._own_port()) for wanted in self._wanted]

    async def share(self, keys: Collection[str]) -> list[str]:
        """Do nothing but renew those that another process is about to register too; return the keys of those in."""
        shared = [registration for registration in self._running if self._keys[registration] in keys]
        await asyncio.gather(*(registration.share() for registration in shared))
        return [self._keys[registration] for registration in shared if registration.is_in]

    def resume(self) -> None:
        """Go on alone: nobody took our place."""
        for registration in self._running:
            registration.resume()

    def give_up(self, keys: Collection[str] | None = None) -> None:
        """Leave those to another process that registers them; None: all."""
        for registration in list(self._running):
            if keys is None or self._keys[registration] in keys:
                registration.give_up()
                self._running.remove(registration)

    def are_in(self, keys: Collection[str]) -> bool:
        """Tell whether all of these are registered."""
        return all(registration.is_in for registration in self._running if self._keys[registration] in keys)

    async def leave(self, hurry: asyncio.Event) -> None:
        """Take all instances out, and wait until those who sent requests have noticed; `hurry` ends the wait."""
        if self._running:
            await _unless(hurry, self._leave())

    async def withdraw(self) -> None:
        """Take all instances out; nobody need notice, for there is nothing left that could serve."""
        await asyncio.gather(*(registration.leave() for registration in self._running))

    async def _leave(self) -> None:
        were_in = await asyncio.gather(*(registration.leave() for registration in self._running))
        if any(were_in) and self._delay:
            _log.info("out of the registry; serving for another %g s, until everybody has noticed", self._delay)
            await asyncio.sleep(self._delay)

    def _make(self, wanted: Register, port: int) -> tuple[str, Registration]:
        target = registrars.make(wanted)
        probe = wanted.probe

        def told(kind: str, identity: str, text: str) -> None:
            self._journal.keep(wanted.service, kind, identity, text)

        return _key(wanted, target, port), Registration(
            target.service,
            target.registrar,
            functools.partial(_describe, wanted, target, port),
            check=None if probe.none else _check(wanted, port),
            interval=probe.interval,
            rise=probe.rise,
            fall=probe.fall,
            journal=told,
            leaving=target.leaving,
        )


def _key(wanted: Register, target: Target, port: int) -> str:
    return json.dumps([wanted.kind, target.places, target.service, wanted.identity(port)])


async def _describe(wanted: Register, target: Target, port: int) -> Instance:
    return Instance(
        id=wanted.identity(port),
        address=wanted.address or await target.own_address(),
        port=port,
        weight=wanted.weight,
        zone=wanted.zone,
        tags=wanted.tags,
        metadata=wanted.metadata,
    )


def _check(wanted: Register, port: int) -> Callable[[], Awaitable[check.Outcome]]:
    probe = wanted.probe
    loopback = "::1" if ":" in (wanted.address or "") else "127.0.0.1"
    host, port = probe.address or loopback, probe.port or port
    dial = Dial(host, port)
    if not probe.http:
        return functools.partial(check.tcp, dial, probe.timeout)
    authority = probe.host or f"{f'[{host}]' if ':' in host else host}:{port}"
    headers = {"User-Agent": "pointsman-probe"}
    return functools.partial(check.http, dial, authority, probe.http, probe.timeout, probe.expects, headers=headers)


async def _unless(hurry: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but give it up as soon as there is a hurry."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(hurry.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
