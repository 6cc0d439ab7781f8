"""The new process's side of a takeover: gets what the running one listens on, and tells it when it may end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from config.units import format_duration
from discovery.instance import MAX_WEIGHT
from proxy.takeover.channel import Channel
from proxy.takeover.failing import GoneError, TakeoverError
from proxy.takeover.messages import (
    MOST_PARTS,
    VERSION,
    Done,
    Go,
    Hello,
    Message,
    Ready,
    Refused,
    Sockets,
    State,
    Yours,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from proxy.application import Application

_log = logging.getLogger(__name__)

_ANSWER = 60.0  # seconds for an answer of the running process: a reload may be under way
_YOURS = 60.0  # seconds that it may take to let go of the embedded registry and to finish registering
_GO = 10.0  # seconds until it says go
_SENDING = 10.0  # seconds that a line of ours may take
_REGISTERING = 20.0  # seconds in which we register what the other has registered
_EVER = 1e6  # seconds
_LOOK = 0.02  # seconds from one look at whether we are ready to the next
_MOST_READ = 128 * 2**20  # bytes of a line of the other: the times of a million checks

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Claim:
    """The takeover of the process that offers itself at `path`, for an application that is being started.

    `patience` is how many seconds we may take until we are ready. What was handed over belongs to whoever takes it by
    `sockets_of`; the rest is closed by `close`.
    """

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self.pid = 0  # of the process whose place is taken
        self.generation = 0
        self.watchdog = 0.0
        self.took = 0.0  # seconds, from the first word to the last
        self.on_success: Callable[[], None] = lambda: None
        self._patience = patience
        self._began = time.monotonic()
        self._channel: Channel | None = None
        self._offered: list[tuple[Sockets, list[socket.socket]]] = []
        self._taken: set[int] = set()
        self._state = State(pid=0)
        self._yours = Yours()
        self._is_alone = False  # the other one died on the way: what it had is ours

    async def begin(self) -> None:
        """Ask for what it listens on. Raises TakeoverError."""
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_SENDING):
                await asyncio.get_running_loop().sock_connect(sock, str(self.path))
        except (OSError, TimeoutError) as error:
            sock.close()
            why = os.strerror(error.errno) if error.errno else "nobody answers"
            raise TakeoverError(
                f"nobody can be taken over from at {self.path}: {why}; to start the first one leave out --takeover"
            ) from error
        channel = self._channel = Channel(sock, most=_MOST_READ, takes=True)
        peer = channel.peer
        if not peer.is_trusted_by(os.geteuid()):
            raise TakeoverError(f"{self.path} is offered by a process of user {peer.uid}, and this one is of another")
        await channel.send(Hello(version=VERSION, pointsman=version("pointsman")), within=_SENDING)
        while True:
            said = await channel.receive_one_of(Sockets, State, within=_ANSWER)
            if isinstance(said, State):
                break
            if len(self._offered) >= MOST_PARTS:
                raise TakeoverError(f"process {peer.pid} offers more than {MOST_PARTS} addresses")
            self._offered.append((said, channel.take(said.count)))
        self._state, self.pid = said, said.pid
        channel.pid = said.pid
        self.generation, self.watchdog = said.generation + 1, said.watchdog
        _log.info("taking over from process %d, which listens on %d addresses", self.pid, len(self._offered))

    def sockets_of(self, role: str, bind: str) -> list[socket.socket]:
        """Take the sockets of an address, none if there are none; of several equal addresses the first."""
        for number, (said, sockets) in enumerate(self._offered):
            if number not in self._taken and (said.role, said.bind) == (role, bind):
                self._taken.add(number)
                return sockets
        return []

    def lends(self, role: str, bind: str) -> bool:
        """Tell whether somebody else (systemd) listens at an address too, whatever becomes of us."""
        return any(said.lent and (said.role, said.bind) == (role, bind) for said, _ in self._offered)

    def left(self, role: str = "") -> list[socket.socket]:
        """Return the sockets that nobody has taken, of one role or of all."""
        return [
            sock
            for number, (said, sockets) in enumerate(self._offered)
            if number not in self._taken and role in ("", said.role)
            for sock in sockets
        ]

    def offers(self, role: str) -> bool:
        """Tell whether the other one has such a thing."""
        return any(said.role == role for said, _ in self._offered)

    async def settle(self, application: Application) -> None:
        """Wait until we know who is there, then have the other let go of what only one can have.

        Raises TakeoverError.
        """
        deadline = self._began + self._patience
        refusal = asyncio.create_task(self._refusal())
        try:
            while reasons := application.unknown():
                if time.monotonic() > deadline and not self._is_alone:
                    raise TakeoverError(f"it is not ready after {format_duration(self._patience)}: {reasons[0]}")
                await self._unless_ending(application, asyncio.sleep(_LOOK))
                if refusal.done():
                    refusal.result()
        finally:
            refusal.cancel()
            await asyncio.gather(refusal, return_exceptions=True)
        self._set_by_hand(application)
        ready = Ready(
            takes=sorted(self._taken),
            registers=application.registrations.keys(),
            registry=application.registry.folder if application.registry is not None else "",
        )
        answer = await self._unless_ending(application, self._ask(ready, Yours, _YOURS))
        if answer is not None:
            self._yours = answer

    @property
    def times(self) -> dict[str, tuple[float | None, float | None]]:
        """How long the checks of the embedded registry have."""
        return self._yours.times

    async def finish(self, application: Application) -> None:
        """Tell the other that we serve. Raises TakeoverError when it goes on instead."""
        deadline = time.monotonic() + _REGISTERING
        while not application.registrations.are_in(self._yours.registered) and time.monotonic() < deadline:
            await self._unless_ending(application, asyncio.sleep(_LOOK))
        await self._ask(Done(), Go, _GO)
        self.took = time.monotonic() - self._began
        end = "which has died meanwhile" if self._is_alone else "which drains, and ends"
        text = f"took over from process {self.pid}, {end}, within {self.took:.2f} s"
        _log.info("%s", text)
        application.journal.keep("", "took_over", "", text)
        self.close()
        self.on_success()

    async def refuse(self, why: str) -> None:
        """Tell the other that nothing comes of it."""
        if self._channel is not None and not self._is_alone:
            with contextlib.suppress(TakeoverError):
                await self._channel.send(Refused(error=why), within=1.0)

    def close(self) -> None:
        """Hang up, and close what nobody has taken."""
        for sock in self.left():
            sock.close()
        self._taken.update(range(len(self._offered)))
        if self._channel is not None:
            self._channel.close()

    def give_back(self) -> None:
        """Close all that was handed over, for good: whoever had it has it still."""
        for _, sockets in self._offered:
            for sock in sockets:
                sock.close()

    async def _ask(self, said: Ready | Done, kind: type[M], within: float) -> M | None:
        """Say something, and return the answer; None when the other has died, which leaves us what it had."""
        assert self._channel is not None
        if self._is_alone:
            return None
        try:
            await self._channel.send(said, within=_SENDING)
            return await self._channel.receive(kind, within=within)
        except GoneError as error:
            self._go_alone(error)
            return None

    async def _refusal(self) -> None:
        """Raise TakeoverError when the other says that nothing comes of it; it says nothing else before it is asked."""
        assert self._channel is not None
        try:
            refused = await self._channel.receive(Refused, within=_EVER)
        except GoneError as error:
            self._go_alone(error)
        else:
            raise TakeoverError(refused.error)

    def _go_alone(self, error: GoneError) -> None:
        _log.warning("%s: its place is taken all the same", error)
        self._is_alone = True

    def _set_by_hand(self, application: Application) -> None:
        """Do again what an operator did."""
        for name, weights in self._state.split_weights.items():
            split = application.splits.get(name)
            if split is not None:
                with contextlib.suppress(ValueError):  # its services are others
                    split.reweigh(weights)
        for name, by_hand in self._state.services.items():
            service = application.services.get(name)
            if service is None:
                continue
            for identity, weight in by_hand.weights.items():
                with contextlib.suppress(ValueError):  # too many
                    service.weigh(identity, min(weight, MAX_WEIGHT))
            for identity, reason in by_hand.drained.items():
                endpoint = service.pool.endpoint(identity)
                if endpoint is not None:
                    service.drain(endpoint, reason)

    async def _unless_ending(self, application: Application, work: Coroutine[Any, Any, T]) -> T:
        """Do something, unless we are asked to end meanwhile. Raises TakeoverError."""
        working, ended = asyncio.create_task(work), asyncio.create_task(application.ended())
        try:
            await asyncio.wait([working, ended], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise TakeoverError(application.died or "it was asked to end before it had taken over")
        finally:
            working.cancel()
            ended.cancel()
            await asyncio.gather(working, ended, return_exceptions=True)
