"""The server's side of TLS as the loop uses it: which certificate, and what a client is told that cannot be served."""

from __future__ import annotations

import logging
import ssl
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

_log = logging.getLogger(__name__)

# Whose handshake it is: the loop makes the object that speaks TLS in the context of the task that serves the socket.
speaking_with: ContextVar[socket.socket | None] = ContextVar("speaking_with", default=None)


@dataclass(frozen=True, slots=True)
class Names:
    """Which context serves which name; `default` is for all others, None refuses them."""

    default: ssl.SSLContext | None = None
    exact: dict[str, ssl.SSLContext] = field(default_factory=dict)
    below: dict[str, ssl.SSLContext] = field(default_factory=dict)  # example.com for *.example.com

    def find(self, name: str | None) -> ssl.SSLContext | None:
        """Return the context for a name: RFC 6125 6.4.3, a wildcard stands for one label."""
        if not name:
            return self.default
        name = name.lower().rstrip(".")
        return self.exact.get(name) or self.below.get(name.partition(".")[2]) or self.default


class Speaker(ssl.SSLObject):
    """One client's TLS. It tells a client why its handshake failed, which the loop alone does not."""

    outgoing: ssl.MemoryBIO
    sock: socket.socket | None
    server_name: str | None = None  # that the client asked for

    def do_handshake(self) -> None:
        """Go on with the handshake; of one that fails the client gets the alert."""
        # A name that is no ASCII is refused before `choose` is asked, and the interpreter prints a traceback of that.
        before = sys.unraisablehook
        sys.unraisablehook = partial(_tell, before)
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            alert = self.outgoing.read()
            if alert and self.sock is not None:
                try:
                    self.sock.send(alert)
                except OSError:
                    pass  # it is gone, or takes nothing
            raise
        finally:
            sys.unraisablehook = before


def _tell(before: Callable[[sys.UnraisableHookArgs], object], found: sys.UnraisableHookArgs) -> None:
    """Have told what only the interpreter knows, but for names that cannot be read: whoever wants can send those."""
    if isinstance(found.exc_value, UnicodeDecodeError) and isinstance(found.object, bytes):
        _log.debug("a client asked for a name that is no ASCII: %r", found.object)
    else:
        before(found)


def name_asked(transport: asyncio.BaseTransport) -> str:
    """Return the name that a client asked for, in lower case and without a dot at its end; "" for none."""
    speaker = transport.get_extra_info("ssl_object")
    name = speaker.server_name if isinstance(speaker, Speaker) else None
    return (name or "").lower().removesuffix(".")


class Front(ssl.SSLContext):
    """The context that all handshakes of a listener begin with.

    It has no certificate but finds the one that is wanted. Its tickets and sessions outlive a change of certificates,
    for OpenSSL keeps their keys with the context that a handshake began with.
    """

    names: Names

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin to speak with a client."""
        speaker = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(speaker, Speaker)
        speaker.outgoing = outgoing
        speaker.sock = speaking_with.get()
        # The module's own methods only call these, five times a request: 2 to 4 % of its time by TLS.
        inner = getattr(speaker, "_sslobj", speaker)
        for name in ("read", "write", "pending"):
            setattr(speaker, name, getattr(inner, name))
        return speaker

    def choose(self, speaker: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Go on with the context of the certificate that bears the name which the client asks for."""
        found = self.names.find(name)
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        assert isinstance(speaker, Speaker)
        speaker.server_name = name
        speaker.context = found
        return None
