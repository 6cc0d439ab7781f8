"""TLS hellos: real ones, however they are cut, and what is none."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tcp.hello import MOST, Hello, HelloError, HelloReader
from proxy.tcp.names import Names


def hello(name: str | None) -> bytes:
    """What Python's ssl, that is OpenSSL, says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


REAL = hello("db.example.com")


def records(message: bytes, sizes: list[int]) -> bytes:
    """A handshake message in records of these sizes, and a last one of what is left."""
    written = b""
    for size in [*sizes, len(message)]:
        part, message = message[:size], message[size:]
        if part:
            written += b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
    return written


def read(data: bytes) -> Hello | None:
    return HelloReader().feed(data)


def test_a_real_hello_names_its_server() -> None:
    assert read(REAL) == Hello("db.example.com")
    assert read(hello("DB.example.COM")) == Hello("db.example.com")
    assert read(hello(None)) == Hello("")


@given(st.lists(st.integers(1, 200), max_size=20), st.lists(st.integers(1, 300), max_size=20))
def test_it_may_come_in_any_records_and_segments(sizes: list[int], cuts: list[int]) -> None:
    data = records(REAL[5:], sizes)
    reader = HelloReader()
    sent = 0
    for cut in [*cuts, len(data)]:
        piece = data[sent : sent + cut]
        sent += len(piece)
        found = reader.feed(piece)
        assert (found is not None) == (sent == len(data))
        if found is not None:
            assert found == Hello("db.example.com")
            break
    assert bytes(reader.data) == data


@given(st.integers(0, len(REAL) - 1))
def test_a_beginning_is_not_enough(length: int) -> None:
    assert read(REAL[:length]) is None


@given(st.integers(0, len(REAL) - 1), st.integers(0, 255))
def test_a_damaged_one_is_read_or_refused(at: int, byte: int) -> None:
    damaged = bytearray(REAL)
    damaged[at] = byte
    try:
        found = read(bytes(damaged))
    except HelloError:
        return
    assert found is None or isinstance(found.name, str)


@given(st.binary(max_size=600))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\x16", b"\x16\x03\x01", REAL[:9], REAL[:60]):
        try:
            read(start + data)
        except HelloError:
            pass


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x16\x02x"])
def test_what_is_no_tls_has_no_name(data: bytes) -> None:
    assert read(data) == Hello(tls=False)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x00",  # a record with nothing in it
        b"\x16\x03\x01\x40\x01",  # too large a record
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
        REAL[:3] + (len(REAL) - 4).to_bytes(2, "big") + REAL[5:] + b"\x00",  # more behind it
        records(REAL[5:], [10])[:15] + b"\x15\x03\x01\x00\x02\x01\x00",  # an alert in its middle
        REAL.replace(b"db.example.com", b"db.exam\x00le.com"),
        REAL.replace(b"db.example.com", b"db..xample.com"),
        b"\x16\x03\x01\x40\x00\x01\x00\x50\x00" + bytes(MOST),
    ],
    ids=["nothing", "large", "other", "more", "alert", "zero", "dots", "endless"],  # real ones are random
)
def test_malformed_ones_are_refused(data: bytes) -> None:
    with pytest.raises(HelloError):
        read(data)


def test_the_first_name_that_matches_wins() -> None:
    names = Names([("a.x.com", 1), ("*.x.com", 2), ("b.x.com", 3), ("*.a.x.com", 4)], 0)
    wanted = {"a.x.com": 1, "b.x.com": 2, "c.a.x.com": 2, "x.com": 0, "": 0, "y.com": 0}
    assert {name: names.find(name) for name in wanted} == wanted
    assert Names([("*.a.com", 1)], None).find("a.com") is None
    assert list(names.shown())[-1] == ("", 0)


labels = st.sampled_from(["a", "b", "x"])
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)


@given(st.lists(st.tuples(st.booleans(), hosts), max_size=12), hosts)
def test_a_look_up_finds_what_going_through_all_routes_would(routes: list[tuple[bool, str]], name: str) -> None:
    written = [f"*.{host}" if below else host for below, host in routes]
    matching = [
        place for place, (below, host) in enumerate(routes) if (name.endswith(f".{host}") if below else name == host)
    ]
    found = Names([(host, place) for place, host in enumerate(written)], None).find(name)
    assert found == (matching[0] if matching else None)
