import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import units
from config.statuses import format_statuses, parse_statuses
from config.units import Address, Bind

DURATIONS = {
    "500ms": 0.5, "5s": 5, "1m30s": 90, "2h": 7200, "1d": 86400, "1.5s": 1.5, "1d2h3m4s5ms": 93784.005,
    "0s": 0, "0": 0, "10": 10, 0: 0, 2: 2, 0.25: 0.25, "365d": 365 * 86400,
}  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_duration(text, seconds):
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "5 s",
        "5sec",
        "s",
        "-5s",
        "30s1m",
        "1_0s",
        "+5s",
        "٣s",
        "1e3",
        "366d",
        -1,
        math.nan,
        math.inf,
        True,
        None,
        [5],
    ],
)
def test_not_a_duration(wrong):
    with pytest.raises(ValueError, match=r"^must be a duration"):
        units.parse_duration(wrong)


@given(st.floats(min_value=0, max_value=units.LONGEST))
def test_durations_survive_being_written(seconds):
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (60.0, "1m"), (90061.0, "1d1h1m1s"), (1e-7, "0.0001ms")],
)
def test_durations_are_written_for_people(seconds, text):
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65536), ("1MiB", 1048576), ("10MB", 10**7), ("12B", 12), ("12", 12), (0, 0), (8192, 8192)],
)
def test_size(text, size):
    assert units.parse_size(text) == size


@pytest.mark.parametrize("wrong", ["8k", "8kb", "1.5MiB", "-1B", "1_0", "", "KiB", -1, 1.0, True, None])
def test_not_a_size(wrong):
    with pytest.raises(ValueError, match=r"^must be a size .*KiB"):
        units.parse_size(wrong)


@given(st.integers(min_value=0))
def test_sizes_survive_being_written(size):
    assert units.parse_size(units.format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "share"),
    [("50%", 0.5), ("0%", 0), ("100%", 1), ("12.5%", 0.125), (0.5, 0.5), ("0.5", 0.5), (0, 0), (1, 1)],
)
def test_share(text, share):
    assert units.parse_share(text) == share


def test_a_number_above_one_is_asked_whether_it_is_a_percentage():
    with pytest.raises(ValueError, match="write 50% if that is meant"):
        units.parse_share(50)


@pytest.mark.parametrize("wrong", ["101%", "-1%", -0.1, 101, math.nan, math.inf, True, "half", "", None])
def test_not_a_share(wrong):
    with pytest.raises(ValueError, match=r"^must be a share"):
        units.parse_share(wrong)


@given(st.floats(min_value=0, max_value=1))
def test_shares_survive_being_written(share):
    assert units.parse_share(units.format_share(share)) == share


BINDS = {
    "127.0.0.1:8080": Bind("127.0.0.1", 8080),
    "localhost:0": Bind("localhost", 0),
    "[::1]:8080": Bind("::1", 8080),
    ":8080": Bind("", 8080),
    "unix:/run/p.sock": Bind(path="/run/p.sock"),
}


@pytest.mark.parametrize(("text", "bind"), BINDS.items())
def test_bind(text, bind):
    assert units.parse_bind(text) == bind
    assert str(bind) == text


def test_ipv6_addresses_have_one_form():
    assert str(units.parse_bind("[0:0:0:0:0:0:0:1]:80")) == "[::1]:80"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("::1:8080", "an IPv6 address needs brackets"),
        ("127.0.0.1", "the port is missing"),
        (8080, "not 8080$"),
        ("http://h:80", "leave the scheme out"),
        ("*:80", "as in :8080"),
        ("10.0.0.256:80", "Octet 256"),
        ("12:30", "must be an address"),
        ("a b:80", "must be an address"),
        ("h:1_0", "must be an address"),
        ("h:+5", "must be an address"),
        ("h:٣", "must be an address"),
        ("[::1]", "must be an address"),
        ("[::g]:80", "must be an address"),
        ("h:70000", "at most 65535"),
        ("unix:run/p.sock", "absolute path"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        (None, "not nothing$"),
    ],
)
def test_not_a_bind(wrong, message):
    with pytest.raises(ValueError, match=message):
        units.parse_bind(wrong)


@pytest.mark.parametrize("text", ["10.0.0.5:80", "app1.internal:65535", "[fd00::5]:1", "my_app:80"])
def test_address(text):
    assert str(units.parse_address(text)) == text


def test_an_address_is_host_and_port():
    assert units.parse_address("[fd00::5]:8080") == Address("fd00::5", 8080)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (":80", "must name a host"),
        ("h:0", "from 1 to 65535"),
        ("unix:/x", "must be an address"),
        ("h", "port is missing"),
    ],
)
def test_not_an_address(wrong, message):
    with pytest.raises(ValueError, match=message):
        units.parse_address(wrong)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_addresses_survive_being_written(host, port):
    address = Address(str(host), port)
    assert units.parse_address(str(address)) == address
    assert units.parse_bind(str(Bind(str(host), port))) == Bind(str(host), port)


@given(st.text())
def test_no_text_makes_a_reader_fail_in_another_way(text):
    for parse in (units.parse_duration, units.parse_size, units.parse_share, units.parse_bind, units.parse_address):
        with contextlib.suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("written", "ranges"),
    [
        (200, ((200, 200),)),
        ("2xx", ((200, 299),)),
        ("200-399", ((200, 399),)),
        (["2xx", 304, "401-403"], ((200, 299), (304, 304), (401, 403))),
    ],
)
def test_statuses(written, ranges):
    assert parse_statuses(written) == ranges
    assert parse_statuses(format_statuses(ranges)) == ranges


@pytest.mark.parametrize("wrong", [20, 600, "6xx", "2XX", "200-", "399-200", "200 - 299", [], [[200]], True, None])
def test_not_statuses(wrong):
    with pytest.raises(ValueError, match=r"^must "):
        parse_statuses(wrong)
