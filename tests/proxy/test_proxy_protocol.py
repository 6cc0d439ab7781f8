"""PROXY headers as bytes: what is read, what is refused, what is written."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.proxy_protocol import (
    SIGNATURE,
    V2_FIXED,
    V2_MOST,
    BadHeaderError,
    Ends,
    Version,
    crc32c,
    header,
    length_v2,
    own_header,
    parse_v1,
    parse_v2,
)

if TYPE_CHECKING:
    import ipaddress

FOUR = Ends(("192.0.2.1", 56324), ("203.0.113.9", 443))
SIX = Ends(("2001:db8::1", 65535), ("::1", 0))
ADDRESSES_4 = bytes([192, 0, 2, 1, 203, 0, 113, 9]) + struct.pack("!HH", 56324, 443)


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def addition(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def checked(body: bytes) -> bytes:
    """A header whose last addition is the checksum of all of it."""
    whole = v2(0x21, 0x11, body + addition(3, bytes(4)))
    return whole[:-4] + crc32c(whole).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        (b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n", FOUR),
        (b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", SIX),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:203.0.113.9 56324 443\r\n", FOUR),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    ],
)
def test_version_1_is_read(line: bytes, ends: Ends | None) -> None:
    assert parse_v1(line) == ends


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"proxy UNKNOWN\r\n",
        b"PROXY UNKNOWN\n",
        b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n",
        b"PROXY UNKNOWN \xe9\r\n",
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 443 \r\n",
        b"PROXY  TCP4 192.0.2.1 203.0.113.9 56324 443\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 56324\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 65536\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 056324 443\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 +1 443\r\n",
        b"PROXY TCP4 192.0.2.1 203.0.113.9 -1 443\r\n",
        b"PROXY TCP4 192.0.2.01 203.0.113.9 1 443\r\n",
        b"PROXY TCP4 192.0.2.256 203.0.113.9 1 443\r\n",
        b"PROXY TCP4 192.0.2 203.0.113.9 1 443\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 1 443\r\n",
        b"PROXY TCP6 192.0.2.1 203.0.113.9 1 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
        b"PROXY TCP6 1::2::3 ::1 1 443\r\n",
        b"PROXY UDP4 192.0.2.1 203.0.113.9 1 443\r\n",
    ],
)
def test_a_malformed_version_1_is_refused(line: bytes) -> None:
    with pytest.raises(BadHeaderError):
        parse_v1(line)


@pytest.mark.parametrize(
    ("whole", "ends"),
    [
        (v2(0x21, 0x11, ADDRESSES_4), FOUR),
        (v2(0x21, 0x11, ADDRESSES_4 + addition(0x04, b"noop") + addition(0xEA, b"")), FOUR),
        (checked(ADDRESSES_4 + addition(0x01, b"http/1.1")), FOUR),
        (v2(0x21, 0x31, bytes(216)), None),
        (v2(0x21, 0x00, b""), None),
        (v2(0x21, 0x00, addition(0x04, b"")), None),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, ADDRESSES_4), None),
        (v2(0x20, 0x77, b"whatever this is"), None),
    ],
)
def test_version_2_is_read(whole: bytes, ends: Ends | None) -> None:
    assert parse_v2(whole) == ends


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        SIGNATURE,
        b"\r\n\r\n\x00\r\nQUIT\r" + v2(0x21, 0x11, ADDRESSES_4)[12:],
        v2(0x11, 0x11, ADDRESSES_4),
        v2(0x22, 0x11, ADDRESSES_4),
        v2(0x21, 0x12, ADDRESSES_4),  # UDP
        v2(0x21, 0x41, ADDRESSES_4),
        v2(0x21, 0x11, ADDRESSES_4[:-1]),
        v2(0x21, 0x21, ADDRESSES_4),
        v2(0x21, 0x31, bytes(215)),
        v2(0x21, 0x11, ADDRESSES_4, length=13),
        v2(0x21, 0x11, ADDRESSES_4, length=11),
        v2(0x20, 0x00, bytes(V2_MOST + 1)),
        v2(0x21, 0x11, ADDRESSES_4 + b"\x04"),
        v2(0x21, 0x11, ADDRESSES_4 + b"\x04\x00\x02x"),
        v2(0x21, 0x11, ADDRESSES_4 + addition(3, bytes(4))),  # a checksum that does not fit
        v2(0x21, 0x11, ADDRESSES_4 + addition(3, bytes(3))),
        checked(ADDRESSES_4)[:-1] + b"\x01",
    ],
)
def test_a_malformed_version_2_is_refused(whole: bytes) -> None:
    with pytest.raises(BadHeaderError):
        parse_v2(whole)


def test_the_checksum_is_castagnoli_s() -> None:
    # RFC 3720 B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


PORTS = st.integers(0, 65535)
SAME_FAMILY = st.sampled_from([4, 6]).flatmap(
    lambda v: st.tuples(st.ip_addresses(v=v), st.ip_addresses(v=v))  # type: ignore[arg-type]
)


@given(SAME_FAMILY, PORTS, PORTS, st.sampled_from(["v1", "v2"]))
def test_what_is_written_is_read(
    pair: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address], one: int, other: int, version: Version
) -> None:
    source, destination = (str(getattr(ip, "ipv4_mapped", None) or ip) for ip in pair)
    ends = Ends((source, one), (destination, other))
    written = header(version, ends)
    assert (parse_v1 if version == "v1" else parse_v2)(written) == ends


@pytest.mark.parametrize(
    ("version", "ends", "written"),
    [
        ("v1", FOUR, b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n"),
        ("v1", SIX, b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n"),
        ("v1", Ends(("fe80::1%eth0", 1), ("fe80::2%eth0", 2)), b"PROXY TCP6 fe80::1 fe80::2 1 2\r\n"),
        ("v1", Ends(("192.0.2.1", 1), ("::1", 2)), b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"),
        ("v1", None, b"PROXY UNKNOWN\r\n"),
        ("v2", FOUR, v2(0x21, 0x11, ADDRESSES_4)),
        ("v2", None, v2(0x21, 0x00, b"")),
    ],
)
def test_headers_are_written(version: Version, ends: Ends | None, written: bytes) -> None:
    written_now = header(version, ends)
    if version == "v1" and ends is not None and "192.0.2.1" in ends.source and ":" in ends.destination[0]:
        assert written_now in (written, written.replace(b"::ffff:192.0.2.1", b"::ffff:c000:201"))
    else:
        assert written_now == written


def test_our_own_connections_are_told_as_such() -> None:
    assert own_header("v1") == b"PROXY UNKNOWN\r\n"
    assert own_header("v2") == v2(0x20, 0x00, b"")


@given(st.one_of(st.binary(max_size=130), st.binary(max_size=60).map(lambda tail: SIGNATURE + tail)))
def test_nothing_but_the_error_is_raised(data: bytes) -> None:
    for parse in (parse_v1, parse_v2, lambda data: length_v2(data[:V2_FIXED])):
        with contextlib.suppress(BadHeaderError):
            parse(data)


@given(st.binary(max_size=8), st.integers(0, 27))
def test_damage_is_refused_or_read_as_something_well_formed(damage: bytes, at: int) -> None:
    whole = v2(0x21, 0x11, ADDRESSES_4)
    damaged = whole[:at] + damage + whole[at + len(damage) :]
    try:
        ends = parse_v2(damaged)
    except BadHeaderError:
        return
    if ends is not None:
        assert header("v2", ends)[V2_FIXED:] == damaged[V2_FIXED : V2_FIXED + 12]
