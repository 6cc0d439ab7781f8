"""A client that speaks plain HTTP where TLS is spoken: it is told so, in HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.http.downstream import Downstream

if TYPE_CHECKING:
    import asyncio


class Plain(Downstream):
    """A connection without TLS to a listener with TLS."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what is spoken here, whatever the client wants, and close."""
        super().connection_made(transport)
        if not self._lingering:
            self._refuse(400, "TLS is spoken on this port: ask for https://")
