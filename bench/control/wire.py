"""A kept HTTP/1.1 connection that is asked by hand: what is timed is not to wait for a client library."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Self

DEADLINE = 20.0  # seconds that an answer may take
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class WireError(Exception):
    """The connection ended, or what came on it is nothing that is understood here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class Wire:
    """One connection, made anew when it was closed between two questions. Answers need a Content-Length."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(self, head: bytes, body: bytes = b"") -> Answer:
        """Send and wait for the answer. Raises OSError or WireError."""
        self.send(head, body)
        return self.receive()

    def send(self, head: bytes, body: bytes = b"") -> None:
        """Send a request line with its Host, see `request`, and a body. Raises OSError."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), DEADLINE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        self._socket.sendall(b"%b%b\r\n%b" % (head, length, body))

    def receive(self) -> Answer:
        """Wait for the answer to what was sent. Raises OSError or WireError."""
        try:
            return self._receive()
        except (OSError, WireError):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next question makes another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self) -> Answer:
        assert self._socket is not None
        data = b""
        while (end := data.find(_END)) < 0:
            data += self._more()
        head = data[:end]
        length = _LENGTH.search(head)
        if length is None:
            raise WireError(f"an answer without a Content-Length: {head[:200]!r}")
        whole = end + len(_END) + int(length[1])
        while len(data) < whole:
            data += self._more()
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return Answer(int(head[9:12]), data[end + len(_END) : whole])

    def _more(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(65536)
        if not data:
            raise WireError("the connection was closed before the answer was whole")
        return data


def request(path: str, host: str = "127.0.0.1", method: str = "GET") -> bytes:
    """Make a head for `send`, made once where it is asked again and again."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n".encode()
