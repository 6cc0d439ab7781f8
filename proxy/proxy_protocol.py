"""The PROXY protocol: two addresses ahead of all else on a connection, by which a proxy says whom it speaks for.

Both versions, as https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt has them (sections 2.1 and 2.2). Bytes in,
a value or an error out; nothing here touches a socket. Of version 2's additions (TLVs) only the checksum is looked at.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

Version = Literal["v1", "v2"]

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_START = b"PROXY "
V1_MOST = 107  # bytes of a line of version 1, its end included (2.1)
V2_FIXED = 16  # bytes of version 2 of which the last two say how many come behind them
V2_MOST = 2048  # of those

_PORT = "(0|[1-9][0-9]{0,4})"
_LINE = re.compile(rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) {_PORT} {_PORT}\r\n")
_LOCAL, _PROXY = 0x20, 0x21  # version and command
_TCP4, _TCP6, _UNIX, _UNSPECIFIED = 0x11, 0x21, 0x31, 0x00  # family and protocol
_LENGTHS = {_TCP4: 12, _TCP6: 36, _UNIX: 216, _UNSPECIFIED: 0}
_CRC32C = 0x03

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadHeaderError(Exception):
    """What should be a PROXY header is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a client's connection: where it comes from, and which address of ours it was made to."""

    source: tuple[str, int]
    destination: tuple[str, int]


def ends_of(transport: asyncio.BaseTransport) -> Ends | None:
    """Return the ends of a connection as the system knows them; None for a unix socket's."""
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return Ends(peer[:2], own[:2]) if isinstance(peer, tuple) and isinstance(own, tuple) else None


def parse_v1(line: bytes) -> Ends | None:
    """Read a line with its end; None stands for UNKNOWN: the peer's own address counts. Raises BadHeaderError."""
    if len(line) > V1_MOST:
        raise BadHeaderError(f"a line of more than {V1_MOST} bytes")
    if not line.endswith(b"\r\n") or line.index(b"\n") != len(line) - 1 or not line.isascii():
        raise BadHeaderError("no line of ASCII that ends with CR LF")
    text = line.decode()
    if text == "PROXY UNKNOWN\r\n" or text.startswith("PROXY UNKNOWN "):
        return None  # 2.1: what follows is to be ignored
    found = _LINE.fullmatch(text)
    if found is None:
        raise BadHeaderError("it must be: PROXY TCP4 or TCP6, two addresses, two ports")
    family = ipaddress.IPv4Address if found[1] == "TCP4" else ipaddress.IPv6Address
    try:
        source, destination = family(found[2]), family(found[3])
    except ValueError as error:
        raise BadHeaderError(f"a malformed address: {error}") from None
    ports = int(found[4]), int(found[5])
    if max(ports) > 65535:
        raise BadHeaderError("a port above 65535")
    return Ends((_shown(source), ports[0]), (_shown(destination), ports[1]))


def length_v2(fixed: bytes) -> int:
    """Return how many bytes come behind the first 16 of version 2. Raises BadHeaderError."""
    if not fixed.startswith(SIGNATURE) or len(fixed) != V2_FIXED:
        raise BadHeaderError("the signature of version 2 is missing")
    command, family, length = fixed[12], fixed[13], int.from_bytes(fixed[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeaderError(f"version and command are 0x{command:02x}, which is neither LOCAL nor PROXY of version 2")
    if length > V2_MOST:
        raise BadHeaderError(f"a header of more than {V2_FIXED + V2_MOST} bytes")
    if command == _PROXY:
        if family not in _LENGTHS:
            raise BadHeaderError(f"family and protocol are 0x{family:02x}, which is no connection")
        if length < _LENGTHS[family]:
            raise BadHeaderError("it is too short for its addresses")
    return length


def parse_v2(header: bytes) -> Ends | None:
    """Read a whole header of version 2; None where the peer's own address counts. Raises BadHeaderError.

    That is so for LOCAL, with which a proxy asks for itself, and for addresses that are none of IP's.
    """
    length = length_v2(header[:V2_FIXED])
    if len(header) != V2_FIXED + length:
        raise BadHeaderError("it is shorter or longer than it says")
    if header[12] == _LOCAL:
        return None  # 2.2: addresses of whatever family are to be ignored, and are skipped by the length
    family, start = header[13], V2_FIXED + _LENGTHS[header[13]]
    for place, kind, value in _additions(header, start):
        if kind == _CRC32C:
            _check(header, place, value)
    if family == _TCP4:
        first, second, *ports = struct.unpack_from("!4s4sHH", header, V2_FIXED)
    elif family == _TCP6:
        first, second, *ports = struct.unpack_from("!16s16sHH", header, V2_FIXED)
    else:
        return None
    return Ends((_shown(ipaddress.ip_address(first)), ports[0]), (_shown(ipaddress.ip_address(second)), ports[1]))


def header(version: Version, ends: Ends | None) -> bytes:
    """Write the header for a client's connection; None for one whose addresses are none of IP's."""
    pair = _pair(ends) if ends is not None else None
    if version == "v1":
        if ends is None or pair is None:
            return b"PROXY UNKNOWN\r\n"
        family = "TCP4" if pair[0].version == 4 else "TCP6"
        return f"PROXY {family} {pair[0]} {pair[1]} {ends.source[1]} {ends.destination[1]}\r\n".encode()
    if ends is None or pair is None:
        return SIGNATURE + bytes([_PROXY, _UNSPECIFIED, 0, 0])
    addresses = pair[0].packed + pair[1].packed + struct.pack("!HH", ends.source[1], ends.destination[1])
    family_byte = _TCP4 if pair[0].version == 4 else _TCP6
    return SIGNATURE + struct.pack("!BBH", _PROXY, family_byte, len(addresses)) + addresses


def own_header(version: Version) -> bytes:
    """Write the header for a connection that is nobody's but ours, such as a probe's."""
    return b"PROXY UNKNOWN\r\n" if version == "v1" else SIGNATURE + bytes([_LOCAL, _UNSPECIFIED, 0, 0])


def crc32c(data: bytes) -> int:
    """Return the checksum of Castagnoli's polynomial, reflected (RFC 3720 12.1)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _additions(header: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each addition's value begins, its type and its value. Raises BadHeaderError."""
    while at < len(header):
        length = int.from_bytes(header[at + 1 : at + 3], "big")
        if at + 3 + length > len(header):
            raise BadHeaderError("an addition (TLV) breaks off")
        yield at + 3, header[at], header[at + 3 : at + 3 + length]
        at += 3 + length


def _check(header: bytes, place: int, told: bytes) -> None:
    """2.2.3: the checksum is that of the header with zeroes where the checksum stands."""
    if len(told) != 4 or int.from_bytes(told, "big") != crc32c(header[:place] + bytes(4) + header[place + 4 :]):
        raise BadHeaderError("its checksum does not fit")


def _pair(ends: Ends) -> tuple[_Ip, _Ip] | None:
    """Return both addresses, of one family."""
    try:
        source, destination = (
            ipaddress.ip_address(host.partition("%")[0]) for host, _ in (ends.source, ends.destination)
        )
    except ValueError:
        return None
    if source.version == destination.version:
        return source, destination
    return _as_six(source), _as_six(destination)


def _as_six(address: _Ip) -> ipaddress.IPv6Address:
    return address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}")


def _shown(address: _Ip) -> str:
    """Write an address as it is known of a socket: one of IPv4 in its own form, however it came."""
    return str(getattr(address, "ipv4_mapped", None) or address)
