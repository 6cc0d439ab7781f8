"""How an address is connected to: by TCP or a unix socket, with what is said before all else, with TLS or without."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

P = TypeVar("P", bound=asyncio.BaseProtocol)

_CLOSING = 2.0  # seconds that the other side has to agree with the end of TLS, whose default is 30


@dataclass(frozen=True, slots=True)
class Dial:
    """A way to an address.

    With a `path` it is a unix socket, and host and port are unused. `first` are the bytes that are sent before all
    else, TLS included: a PROXY header. `server_name` is what the certificate must bear, where `tls` wants one.
    """

    host: str
    port: int
    path: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    first: bytes = b""

    async def connect(self, make: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        """Connect, and have the protocol that `make` makes speak; the handshake of TLS is over by then.

        Raises OSError, and UnicodeError for a host that is no name.
        """
        if not self.first:
            transport, protocol = await self._open(make, self.tls)
            return cast("asyncio.Transport", transport), protocol
        if self.tls is None:
            transport, protocol = await self._open(make, None)
            cast("asyncio.Transport", transport).write(self.first)
            return cast("asyncio.Transport", transport), protocol
        return await self._behind_the_first(self.tls, make)

    async def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, and read and write by streams. Raises as `connect` does."""
        reader = asyncio.StreamReader()
        transport, protocol = await self.connect(lambda: asyncio.StreamReaderProtocol(reader))
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    async def _open(self, make: Callable[[], P], tls: ssl.SSLContext | None) -> tuple[asyncio.BaseTransport, P]:
        loop = asyncio.get_running_loop()
        if tls is None:
            if self.path:
                return await loop.create_unix_connection(make, self.path)
            return await loop.create_connection(make, self.host, self.port)
        if self.path:
            return await loop.create_unix_connection(
                make, self.path, ssl=tls, server_hostname=self.server_name, ssl_shutdown_timeout=_CLOSING
            )
        return await loop.create_connection(
            make, self.host, self.port, ssl=tls, server_hostname=self.server_name, ssl_shutdown_timeout=_CLOSING
        )

    async def _behind_the_first(self, tls: ssl.SSLContext, make: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        plain, waiting = await self._open(_Waiting, None)
        transport = cast("asyncio.Transport", plain)
        transport.write(self.first)
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, waiting, tls, server_hostname=self.server_name, ssl_shutdown_timeout=_CLOSING
            )
        except BaseException:
            transport.abort()
            raise
        if secured is None or waiting.spoiled:
            (secured or transport).abort()
            raise ConnectionResetError("it spoke, or left, before it was asked")
        protocol = make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        return secured, protocol


class _Waiting(asyncio.Protocol):
    """Holds the place of whoever will speak once the handshake is over."""

    def __init__(self) -> None:
        self.spoiled = False

    def data_received(self, data: bytes) -> None:
        self.spoiled = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.spoiled = True
