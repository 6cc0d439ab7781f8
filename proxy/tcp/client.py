"""A client's connection on which no HTTP is spoken: its hello, where that decides where it goes, and then its pipe."""

from __future__ import annotations

import asyncio
import select
import time
from typing import TYPE_CHECKING, cast

from proxy.http.buffers import SIZE, WRITE_HIGH, WRITE_LOW, Bounded
from proxy.http.forwarding import Forwarding, Origin
from proxy.http.heads import RequestHead
from proxy.http.terms import NEVER
from proxy.proxy_protocol import Ends, ends_of
from proxy.tcp.conversation import Conversation
from proxy.tcp.hello import HelloError, HelloReader
from proxy.tls.speaking import name_asked

if TYPE_CHECKING:
    from proxy.tcp.listener import TcpListener

_LAST_CHANCE = 1.0  # seconds that a connection without an instance has left when the listener is drained
_NOBODY_BELIEVED = Forwarding()


class Client(asyncio.Protocol):
    """One client's connection.

    `deadline` is when the present wait ends, whatever it is for, and `expires` when a connection must be over whose
    endpoint is drained; the listener's sweep looks at both.
    """

    __slots__ = (
        "_early",
        "_hello",
        "_proxied",
        "conversation",
        "deadline",
        "expires",
        "finished",
        "full",
        "listener",
        "origin",
        "transport",
    )

    transport: asyncio.Transport
    origin: Origin

    def __init__(self, listener: TcpListener, proxied: Ends | None = None) -> None:
        self.listener = listener
        self._proxied = proxied  # what a PROXY header said of it
        self.deadline = self.expires = NEVER
        self.full = False  # our side of the connection holds more than the client takes
        self.finished = False  # it has ended its stream before it had an instance
        self.conversation: Conversation | None = None
        self._hello: HelloReader | None = None  # while it is read
        self._early = b""  # what came before there was an instance, behind the hello

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a client: with nothing at all, for the first word may be the server's."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        listener = self.listener
        secured = listener.handshakes.secured(transport) if listener.handshakes is not None else None
        if secured is not None:
            self.transport.set_read_buffer_limits(SIZE)  # type: ignore[attr-defined]  # of TLS alone
        peer = transport.get_extra_info("peername") if self._proxied is None else self._proxied.source
        self.origin = Origin(_NOBODY_BELIEVED, peer, secured)
        now = time.monotonic()
        self.deadline = now + listener.timeouts.request_head
        if (refusal := listener.joined(self)) is not None:
            listener.log_refusal(self, "", "refused", refusal.error)
            self.transport.abort()
        else:
            self._greet(now)
            if listener.draining:
                self.drain()  # it was accepted before; a handshake takes its time

    def _greet(self, now: float) -> None:
        """Find out where it wants to go."""
        if self.origin.secured is not None:
            self._begin(name_asked(self.transport), b"", now)
        elif self.listener.names:
            self._hello = HelloReader()
            self.transport.set_protocol(Bounded(self))
        else:
            self._begin("", b"", now)

    def data_received(self, data: bytes) -> None:
        """Take in a piece of the hello, or what came before there was an instance to send it to."""
        if self._hello is None:
            self._early += data
            return
        try:
            hello = self._hello.feed(data)
        except HelloError as error:
            self._turn_away("", "malformed", f"malformed: {error}")
            return
        if hello is not None:
            seen, self._hello = bytes(self._hello.data), None
            self._begin(hello.name, seen, time.monotonic())

    def eof_received(self) -> bool:
        """Keep that the client has said all, unless it leaves before anybody knew where it wanted to go."""
        self.finished = True
        if self.conversation is None:
            self._turn_away("", "left", "the client left before its hello was whole")
            return False
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is under way for this client."""
        self.listener.left(self)
        if self.conversation is not None:
            self.conversation.abandon()

    def pause_writing(self) -> None:
        """Remember; the pipe looks at it."""
        self.full = True

    def resume_writing(self) -> None:
        """Remember."""
        self.full = False

    # From the conversation.

    def ends(self) -> Ends | None:
        """Return the connection's ends, as a PROXY header gave them or as they are; None for a unix socket's."""
        return self._proxied or ends_of(self.transport)

    def refused(self) -> None:
        """Close: there is no instance for it."""
        self.transport.abort()

    # From the listener.

    idle = False  # nobody knows what a connection is worth to its client

    @property
    def paused(self) -> bool:
        """True while it is not read from, so that the loop does not notice that it is gone."""
        conversation = self.conversation
        if conversation is None:
            return False
        return conversation.pipe is None or conversation.pipe.client_held

    def drain(self) -> None:
        """Let those that have an instance go on; the others have little time left to get one."""
        if self.conversation is None:
            self.deadline = min(self.deadline, time.monotonic() + _LAST_CHANCE)

    def say_goodbye(self) -> None:
        """There is no word that every protocol has for it."""

    def timed_out(self, now: float) -> None:
        """End a wait whose deadline has passed."""
        conversation = self.conversation
        if conversation is None:
            self._turn_away("", "timeout", "the hello did not arrive in time")
        elif self.deadline <= now:
            conversation.timed_out()
        else:
            conversation.abandon()

    def mind_drain(self, now: float, patience: float) -> None:
        """Give a connection whose endpoint is drained so much time, from now on."""
        drained = self.conversation is not None and self.conversation.drained
        if drained != (self.expires != NEVER):
            self.expires = now + patience if drained else NEVER

    def is_gone(self) -> bool:
        """Tell whether the connection is broken; a client that has only said all is still there."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), 0)  # POLLERR and POLLHUP are always told
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close at once."""
        conversation = self.conversation
        if conversation is None or conversation.pipe is None or conversation.ended:
            self.transport.abort()
        if conversation is not None:
            conversation.abandon()  # which closes both sides, where there are two

    def _begin(self, name: str, seen: bytes, now: float) -> None:
        """Find a service, by the name that the client wants where it named one, and an instance of it."""
        terms = self.listener.names.find(name)
        if terms is None:
            self._turn_away(name, "refused", "no route has this name" if name else "it names no server")
            return
        self.transport.pause_reading()
        self._early = seen
        opening = opening_of(self.origin, name)
        self.conversation = Conversation(self, opening, terms, now)
        self.conversation.begin()

    def early(self) -> bytes:
        """Give up what came before there was an instance."""
        early, self._early = self._early, b""
        return early

    def _turn_away(self, name: str, why: str, error: str) -> None:
        if not self.transport.is_closing():
            self._hello = None
            self.listener.refused += 1
            self.listener.log_refusal(self, name, why, error)
            self.transport.close()


class Plain(Client):
    """A connection without TLS to a listener with TLS: it is closed, for no word is known to it for certain."""

    __slots__ = ()

    def _greet(self, now: float) -> None:
        self._turn_away("", "malformed", "TLS is spoken on this port, and the client does not")


def opening_of(origin: Origin, name: str) -> RequestHead:
    """Return what stands in the place of a request's head, for balancers and the access log.

    It has the method TCP, the name that the client wants as its authority, and nothing else.
    """
    head = RequestHead()
    head.method, head.target, head.line, head.authority = b"TCP", b"", b"", name.encode()
    head.minor_version, head.keep_alive, head.expects_continue, head.length = -1, False, False, None
    head.upgrade, head.forwarded, head.request_id, head.max_forwards, head.fields = (), None, b"", None, []
    head.origin = origin
    return head
