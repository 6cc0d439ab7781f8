"""The connection of a client, whatever is asked on it: how it is held up, and how it ends."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from proxy.http.buffers import SIZE
from proxy.http.resets import reset, unsent
from proxy.http.terms import NEVER
from proxy.proxy_protocol import Ends, ends_of

if TYPE_CHECKING:
    import asyncio

    from proxy.edge.admission import Admission
    from proxy.http.exchange import Exchange
    from proxy.http.forwarding import Origin
    from proxy.listener import Listener

_LINGER = 2.0  # seconds in which what a refused client still sends is read and dropped (RFC 9112 9.6)


@mypyc_attr(allow_interpreted_subclasses=True)
class Client:
    """A client's connection.

    `deadline` is when the present wait ends, whatever it is for, and `expires` when the present request must be over;
    the listener's sweep looks at both.
    """

    __slots__ = (
        "_ahead",
        "_exchange",
        "_lingering",
        "_proxied",
        "_resting",
        "deadline",
        "expires",
        "full",
        "held",
        "listener",
        "origin",
        "paused",
        "transport",
    )

    transport: asyncio.Transport
    origin: Origin  # what its requests tell of where they came from

    def __init__(self, listener: Listener, proxied: Ends | None = None) -> None:
        self.listener = listener
        self._proxied = proxied  # what a PROXY header said of it
        self.deadline = self.expires = NEVER
        self._exchange: Exchange | Admission | None = None
        self._ahead = b""  # arrived, not looked at
        self._resting = False  # enough heads were read in this turn of the loop
        self.full = False  # our side of the connection holds more than the client takes
        self.held = False  # the instance does not keep up with the request's body
        self.paused = False  # we do not read
        self._lingering = False  # answered for the last time; what still comes is dropped

    def ends(self) -> Ends | None:
        """Return the connection's ends, as a PROXY header gave them or as they are; None for a unix socket's."""
        return self._proxied or ends_of(self.transport)

    def hold(self, held: bool) -> None:
        """Stop or go on reading the request's body: the instance does not keep up."""
        self.held = held
        self.steer()

    def steer(self) -> None:
        """Read if there is room for what comes."""
        exchange = self._exchange
        connecting = exchange is not None and exchange.upstream is None and not exchange.request_whole
        pause = self.held or connecting or self._resting or len(self._ahead) >= SIZE
        if pause != self.paused and not self.transport.is_closing():
            self.paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def break_off(self) -> None:
        """End the connection so that nobody takes what was sent for the whole: without an end, and with a reset."""
        self._exchange = None
        reset(self.transport)

    def is_gone(self) -> bool:
        """Tell whether the client has ended its stream, which the loop does not see while we do not read.

        Nor does anybody see it while it is behind bytes for which the kernel has no room; then the deadline ends it.
        """
        sock = self.transport.get_extra_info("socket")
        if sock is None:
            return True  # TLS has none any more once the connection is lost
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close at once, answered or not; a client that does not get all learns it by a reset."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
            if exchange.tunnel is not None:
                return  # which closes both its connections
        if exchange is not None or unsent(self.transport):
            self.break_off()
        else:
            self.transport.abort()

    def _close(self) -> None:
        """Close as soon as the client has taken what was written, for which it has some time."""
        slow = self.transport.get_write_buffer_size() > 0
        self.deadline = time.monotonic() + (self.listener.timeouts.stream_idle if slow else _LINGER)
        self.transport.close()

    def _linger(self) -> None:
        """Close when the client has, or soon: closing on unread bytes would be a reset, and lose our answer."""
        self._ahead = b""
        self._lingering = True
        if self.transport.is_closing():
            return
        slow = self.transport.get_write_buffer_size() > 0
        self.deadline = time.monotonic() + (self.listener.timeouts.stream_idle if slow else _LINGER)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()  # TLS: says that it ends, and drops what comes, until the client has closed
            return
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
