"""An instance's connection on which no HTTP is spoken, until it is one side of a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.http.upstream import Upstream

if TYPE_CHECKING:
    import asyncio

    from proxy.http.connections import Connections


class RawUpstream(Upstream):
    """A connection to an instance for one client, never lent to another one.

    What the instance says before the two are joined (the first word is the server's in SMTP or MySQL) is kept.
    """

    __slots__ = ("early", "finished")

    protocol = ""  # by TLS none is asked for

    def __init__(self, home: Connections) -> None:
        super().__init__(home)
        self.early = b""
        self.finished = False  # it has ended its stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing until it is known where that goes."""
        super().connection_made(transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep what came nevertheless."""
        self.early += data

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep that it has said all, which need not be the end."""
        self.finished = True
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out; whoever has it by then is told by the pipe."""
        self.home.lost(self)

    def pause_writing(self) -> None:
        """Remember; the pipe looks at it."""
        self.full = True

    def resume_writing(self) -> None:
        """Remember."""
        self.full = False
