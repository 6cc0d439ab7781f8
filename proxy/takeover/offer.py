"""The running process's side of a takeover: hands over what it listens on, and goes on until the other serves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

from config.units import format_duration
from proxy.acceptor import Acceptor
from proxy.sockets import BindError, bind_unix, remove_socket, why_unbound
from proxy.takeover.channel import Channel, peer_of
from proxy.takeover.failing import FAILED, REFUSED, TakeoverError
from proxy.takeover.messages import (
    MOST_PARTS,
    MOST_SOCKETS,
    VERSION,
    ByHand,
    Done,
    Go,
    Hello,
    Ready,
    Refused,
    Sockets,
    State,
    Yours,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from discovery.embedded.catalog import Times
    from proxy.application import Application

_log = logging.getLogger(__name__)

HELLO = 5.0  # seconds for the first word
READY = 900.0  # seconds until the other is ready: it has a deadline of its own, which is sooner
DONE = 60.0  # seconds from there until it serves; it registers in them
SENDING = 10.0  # seconds that a line of ours may take
_LAST_WORD = 1.0  # seconds that telling the other why may take
_RELOADING = 35.0  # seconds that a reload under way may take
_MOST_READ = 4 * 2**20  # bytes of a line of the other
_MOST_AT_ONCE = 8  # conversations
_BACKLOG = 16


class Offer:
    """Offers the takeover of an application at a unix socket, to processes of the same user and to root's.

    One takeover is under way at a time, by process `busy`. `counts` are those that came to nothing.
    """

    def __init__(self, application: Application, path: Path) -> None:
        self.path = path
        self.busy: int | None = None
        self.counts = {FAILED: 0, REFUSED: 0}
        self._application = application
        self._bound: list[socket.socket] = []
        self._acceptor: Acceptor | None = None
        self._talks: set[asyncio.Task[object]] = set()
        self._handed = False

    async def bind(self, handed: list[socket.socket]) -> None:
        """Listen, on a socket that was handed over or on one of its own. Raises BindError."""
        self._bound, self._handed = handed, bool(handed)
        if not handed:
            try:
                self._bound = [await asyncio.to_thread(_listen, str(self.path))]
            except OSError as error:
                raise BindError(f"cannot listen on takeover.socket {self.path}: {why_unbound(error)}") from error

    def start(self) -> None:
        """Talk to those who come; from now on the socket is our own."""
        self._handed = False
        for sock in self._bound:
            sock.listen(_BACKLOG)  # again, for the kernel to know that it is we who listen: see peer_of
        self._acceptor = Acceptor(self._bound, self._serve)
        self._acceptor.start()

    @property
    def sockets(self) -> list[socket.socket]:
        """What it listens on."""
        return self._bound

    def sweep(self) -> None:
        """Accept again, once there are descriptors."""
        if self._acceptor is not None and self._acceptor.paused:
            self._acceptor.resume()

    async def stop(self) -> None:
        """Listen no more, and end what is under way."""
        self._close()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def _close(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close(shared=True)
        for sock in self._bound:
            sock.close()
        if self._bound and not self._handed:
            remove_socket(str(self.path))
        self._bound = []

    async def _serve(self, sock: socket.socket) -> None:
        if len(self._talks) >= _MOST_AT_ONCE:
            sock.close()
            return
        task = asyncio.create_task(self._talk(sock), name="a takeover")
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, sock: socket.socket) -> None:
        """Have one conversation, to its end."""
        peer = peer_of(sock)
        channel = Channel(sock, most=_MOST_READ)
        began = False
        try:
            if not peer.is_trusted_by(os.geteuid()):
                raise TakeoverError(f"a process of user {peer.uid} may not take over one of user {os.geteuid()}")
            await self._hear(channel)
            async with self._turn(peer.pid):
                began = True
                await self._hand_over(channel)
        except asyncio.CancelledError:
            await _refuse(channel, "it is ending")
            raise
        except TakeoverError as error:
            await _refuse(channel, str(error))
            self._told(FAILED if began else REFUSED, peer.pid, str(error))
        except Exception as error:
            _log.exception("a takeover met a fault in pointsman")
            await _refuse(channel, f"a fault in pointsman: {type(error).__name__}: {error}")
            self._told(FAILED, peer.pid, f"a fault in pointsman: {type(error).__name__}")
        finally:
            channel.close()

    async def _hear(self, channel: Channel) -> None:
        hello = await channel.receive(Hello, within=HELLO)
        if hello.version != VERSION:
            raise TakeoverError(
                f"it speaks version {hello.version} of the takeover, and the running one version {VERSION}: "
                "restart instead"
            )

    @contextlib.asynccontextmanager
    async def _turn(self, pid: int) -> AsyncIterator[None]:
        """Keep others from taking over, and the configuration from changing."""
        application = self._application
        if self.busy is not None:
            raise TakeoverError(f"another takeover is under way, by process {self.busy}")
        self.busy = pid
        try:
            try:
                async with asyncio.timeout(_RELOADING):
                    await application.reloader.pause()
            except TimeoutError:
                raise TakeoverError(f"a reload takes longer than {format_duration(_RELOADING)}") from None
            if application.ending:
                raise TakeoverError("it is ending")
            yield
        finally:
            self.busy = None

    async def _hand_over(self, channel: Channel) -> None:
        """Lead the conversation after the first word. Raises TakeoverError; then all is as it was."""
        application, pid = self._application, channel.peer.pid
        began = time.monotonic()
        _log.info("process %d begins to take over", pid)
        places = application.places()
        if len(places) > MOST_PARTS or any(len(place.sockets) > MOST_SOCKETS for place in places):
            raise TakeoverError(f"more than {MOST_PARTS} addresses, or {MOST_SOCKETS} sockets of one, cannot go over")
        for place in places:
            said = Sockets(role=place.role, bind=place.bind, count=len(place.sockets), lent=place.lent)
            await channel.send(said, place.sockets, within=SENDING)
        await channel.send(self._state(), within=SENDING)
        ready = await channel.receive(Ready, within=READY)
        if not all(number < len(places) for number in ready.takes):
            raise TakeoverError("it takes what it was not offered")
        with contextlib.ExitStack() as undo:
            undo.callback(application.registrations.resume)
            registered = await application.registrations.share(ready.registers)
            times: Times = {}
            if ready.registry and application.registry is not None:
                undo.callback(application.go_on_with_registry)
                times = await application.registry.let_go()
                if ready.registry != application.registry.folder:
                    times = {}
            await channel.send(Yours(registered=registered, times=times), within=SENDING)
            await channel.receive(Done, within=DONE)
            if application.ending:
                raise TakeoverError("it is ending")
            undo.pop_all()
        # From here on the other one serves, whatever becomes of us.
        taken = [places[number] for number in ready.takes]
        self._handed = any(place.role == "takeover" for place in taken)
        application.give_way(pid, taken, ready.registers)
        if self._handed:
            self._close()  # who comes next wants the other one
        with contextlib.suppress(TakeoverError):
            await channel.send(Go(), within=SENDING)
        text = f"process {pid} has taken over within {time.monotonic() - began:.2f} s"
        _log.info("%s; this one drains, and ends", text)
        application.journal.keep("", "taken_over", "", text)
        if not application.ending:
            application.end()

    def _state(self) -> State:
        application = self._application
        services = {
            name: ByHand(drained=dict(service.pool.drains.reasons), weights=dict(service.weights))
            for name, service in application.services.items()
            if service.pool.drains.reasons or service.weights
        }
        return State(
            pid=os.getpid(),
            generation=application.generation,
            watchdog=application.notifier.watchdog,
            services=services,
            split_weights={
                name: dict(split.weights)
                for name, split in application.splits.items()
                if split.weights != application.config.splits[name].services
            },
        )

    def _told(self, result: str, pid: int, text: str) -> None:
        self.counts[result] += 1
        _log.warning("process %d did not take over, and all stays as it was: %s", pid, text)
        self._application.journal.keep("", f"takeover_{result}", "", f"process {pid}: {text}")


async def _refuse(channel: Channel, why: str) -> None:
    with contextlib.suppress(TakeoverError):
        await channel.send(Refused(error=why), within=_LAST_WORD)


def _listen(path: str) -> socket.socket:
    """Bind a socket that only its user may connect to: nobody else can between binding and listening."""
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    sock = bind_unix(path)
    try:
        os.chmod(path, 0o600)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        remove_socket(path)
        raise
    return sock
