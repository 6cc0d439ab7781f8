"""From an accepted socket to a client that speaks TLS: counted from the first moment, and over by a deadline."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from typing import TYPE_CHECKING

from proxy.tls.secured import Secured, secured_by
from proxy.tls.speaking import speaking_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.tls.certificates import Certificates

_log = logging.getLogger(__name__)

LONGEST = 60.0  # seconds that a handshake may take where a head may take longer, or for ever
_HANDSHAKE = 0x16  # the type of the record that a client begins TLS with (RFC 8446 5.1)
# Closing has a deadline of the connection's own; the loop's, which also counts the time that a slow client takes to
# receive, must not come before it.
_CLOSING = 24 * 3600.0

# What became of a handshake; the metric's values.
RESULTS = ("full", "resumed", "failed", "timeout", "left", "plain")


class Handshakes:
    """The handshakes of a listener that are under way.

    Nothing is made for a client that has sent nothing yet but an entry here: a crowd of them costs no buffers.
    """

    def __init__(self, certificates: Certificates, patience: float) -> None:
        self.certificates = certificates
        self.results = Counter(dict.fromkeys(RESULTS, 0))
        self._patience = min(patience, LONGEST)
        self._under_way: dict[object, tuple[socket.socket, str]] = {}
        self._silent: set[object] = set()  # those of them that have not sent a byte
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._under_way)

    def go_by(self, certificates: Certificates, patience: float) -> None:
        """Begin handshakes with other certificates, and give them another time, from now on."""
        self.certificates = certificates
        self._patience = min(patience, LONGEST)

    def of_address(self, address: str) -> int:
        """How many of a client are under way."""
        return self._by_address[address]

    async def shake(
        self,
        sock: socket.socket,
        address: str,
        client: asyncio.BaseProtocol,
        plain: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        """Have `client` speak with whoever is at the socket, by TLS; or `plain`, if that is what is spoken there.

        `address` is "" where there is none. The protocol calls `joined` as its connection is made. Raises OSError when
        the connection ends before that.
        """
        self._under_way[client] = (sock, address)
        self._by_address[address] += 1
        self._silent.add(client)
        speaking_with.set(sock)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience):
                first = await _first_byte(sock)
                self._silent.discard(client)
                if not first:
                    self.results["left"] += 1
                    sock.close()
                elif first[0] != _HANDSHAKE:
                    self.results["plain"] += 1
                    self.joined(client)
                    await loop.connect_accepted_socket(plain, sock)
                else:
                    await loop.connect_accepted_socket(
                        lambda: client, sock, ssl=self.certificates.front,
                        ssl_handshake_timeout=LONGEST, ssl_shutdown_timeout=_CLOSING,
                    )  # fmt: skip
        except TimeoutError:
            self.results["timeout"] += 1
            sock.close()
        except ssl.SSLError as error:
            self.results["failed"] += 1
            _log.debug("a handshake with %s failed: %s", address or "a client", error.reason or error)
        except OSError:
            self.results["left"] += 1
            sock.close()
        finally:
            self.joined(client)

    def joined(self, client: object) -> None:
        """Count a handshake that is over no more."""
        found = self._under_way.pop(client, None)
        if found is not None:
            self._silent.discard(client)
            address = found[1]
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]

    def secured(self, transport: asyncio.BaseTransport) -> Secured | None:
        """Say what the handshake of a connection came to, and count it; None for one without TLS."""
        speaker = transport.get_extra_info("ssl_object")
        if speaker is None:
            return None
        self.results["resumed" if speaker.session_reused else "full"] += 1
        options = self.certificates.options
        return secured_by(speaker, asked=options.client_ca is not None, whole=options.forward_certificate)

    def cut(self, *, silent: bool = False) -> None:
        """End the handshakes under way; with `silent`, only those of clients who have sent nothing."""
        for client in list(self._silent if silent else self._under_way):
            try:
                self._under_way[client][0].shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone by itself


async def _first_byte(sock: socket.socket) -> bytes:
    """Wait until a client has sent something, and look at its first byte without taking it; b"" when it has left."""
    while True:
        try:
            return sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            pass
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        loop.add_reader(sock, _wake, readable)
        try:
            await readable
        finally:
            loop.remove_reader(sock)


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
