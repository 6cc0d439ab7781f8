"""What a TLS client says first, and the name of the server that it wants (RFC 8446 4.1.2 and 5.1, RFC 6066 3).

Nothing but the name is taken from it, but all of its form is checked: what we take for one name, the server must not
take for another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 16 * 1024  # bytes of a hello, the headers of its records included

_HANDSHAKE, _MAJOR = 22, 3
_CLIENT_HELLO = 1
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_LARGEST_RECORD = 16 * 1024
_VERSION_AND_RANDOM = 2 + 32
_SERVER_NAME, _HOST_NAME = 0, 0
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_LONGEST_NAME = 255


class HelloError(ValueError):
    """What began like a TLS client's first words went on as none; the text says how."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The server's name in lower case, without a dot at its end; empty where the client names none.

    `tls` is false when the client speaks something else.
    """

    name: str = ""
    tls: bool = True


class HelloReader:
    """Reads one hello from however many pieces, records and segments it comes in.

    `data` is all that came, to be passed on as it is. Each byte is looked at once, so that a client that sends one at a
    time costs no more than another.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self._at = 0  # where the next record begins
        self._message = bytearray()

    def feed(self, data: bytes) -> Hello | None:
        """Take in a piece; return the hello once it is whole, None before. Raises HelloError."""
        self.data += data
        seen = self.data
        if (seen and seen[0] != _HANDSHAKE) or (len(seen) > 1 and seen[1] != _MAJOR):
            return Hello(tls=False)
        while len(seen) - self._at >= _RECORD_HEADER:
            kind, major = seen[self._at], seen[self._at + 1]
            length = int.from_bytes(seen[self._at + 3 : self._at + 5], "big")
            if (kind, major) != (_HANDSHAKE, _MAJOR):
                raise HelloError("another record stands in the middle of the hello")
            if not 0 < length <= _LARGEST_RECORD:
                raise HelloError(f"a record of {length} bytes")
            begin = self._at + _RECORD_HEADER
            if len(seen) < begin + length:
                break
            self._message += seen[begin : begin + length]
            self._at = begin + length
            whole = self._whole()
            if whole is not None:
                return Hello(_server_name(whole))
        if len(seen) >= MOST:
            raise HelloError(f"the hello is larger than {MOST} bytes")
        return None

    def _whole(self) -> bytes | None:
        """Return the message's body if it is all there."""
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise HelloError("the first message is not a ClientHello")
        if len(message) < _MESSAGE_HEADER:
            return None
        length = int.from_bytes(message[1:4], "big")
        if length > MOST:
            raise HelloError(f"the hello is larger than {MOST} bytes")
        if len(message) > _MESSAGE_HEADER + length:
            raise HelloError("something follows the hello in its record")
        return bytes(message[_MESSAGE_HEADER:]) if len(message) == _MESSAGE_HEADER + length else None


class _Fields:
    """The fields of a structure, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Return the next so many bytes."""
        if self.left < count:
            raise HelloError("a field is longer than what holds it")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, least: int = 0, most: int = 2**16) -> bytes:
        """Return what stands behind its length, a number of `size` bytes."""
        length = self.number(size)
        if not least <= length <= most:
            raise HelloError(f"a field of {length} bytes, where {least} to {most} are allowed")
        return self.take(length)


def _server_name(body: bytes) -> str:
    """Read a ClientHello's body to its end, and return the name in it."""
    fields = _Fields(body)
    fields.take(_VERSION_AND_RANDOM)
    fields.vector(1, most=32)  # the session's identity
    if len(fields.vector(2, least=2)) % 2:
        raise HelloError("half a cipher suite")
    fields.vector(1, least=1)  # compression methods
    if not fields.left:
        return ""  # as before TLS 1.2, without extensions
    extensions = _Fields(fields.vector(2))
    if fields.left:
        raise HelloError("something follows the extensions")
    name, seen = "", set[int]()
    while extensions.left:
        kind = extensions.number(2)
        if kind in seen:
            raise HelloError(f"extension {kind} twice")
        seen.add(kind)
        content = extensions.vector(2)
        if kind == _SERVER_NAME:
            name = _host_name(content)
    return name


def _host_name(content: bytes) -> str:
    """Read the extension server_name."""
    whole = _Fields(content)
    names = _Fields(whole.vector(2, least=1))
    if whole.left:
        raise HelloError("something follows the server's name")
    found = b""
    while names.left:
        kind, name = names.number(1), names.vector(2, least=1)
        if kind == _HOST_NAME:
            if found:
                raise HelloError("two names of the server")
            if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
                raise HelloError("the server's name is no host name")
            found = name
    return found.decode().lower().removesuffix(".")
