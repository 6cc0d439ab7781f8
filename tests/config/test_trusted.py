import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.trusted import TrustedProxies, format_trusted_proxies, parse_trusted_proxies

NET = ipaddress.ip_network

CASES = [
    ([], TrustedProxies()),
    (["unix"], TrustedProxies(unix=True)),
    (["10.0.0.0/8", "::1", "fd00::/8"], TrustedProxies((NET("10.0.0.0/8"), NET("::1/128"), NET("fd00::/8")))),
    (["10.0.0.5", "unix", "10.0.0.5/32"], TrustedProxies((NET("10.0.0.5/32"),), unix=True)),
    (["::ffff:10.0.0.5", "::ffff:10.0.0.0/104"], TrustedProxies((NET("10.0.0.5/32"), NET("10.0.0.0/8")))),
    (["0.0.0.0/0", "::/0"], TrustedProxies((NET("0.0.0.0/0"), NET("::/0")))),
]


@pytest.mark.parametrize(("written", "trusted"), CASES)
def test_lists(written, trusted):
    assert parse_trusted_proxies(written) == trusted
    assert parse_trusted_proxies(format_trusted_proxies(trusted)) == trusted
    assert parse_trusted_proxies(trusted) is trusted


def test_a_single_address_is_written_without_a_prefix():
    assert format_trusted_proxies(parse_trusted_proxies(["::1/128", "10.0.0.5", "unix"])) == ["::1", "10.0.0.5", "unix"]


@pytest.mark.parametrize(
    "wrong",
    [
        "", "localhost", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/255.0.0.0", "10.0.0.256", "fe80::1%eth0",
        "::g", "10.0.0.1:80", "[::1]", " ::1", "unix:/run/x", "Unix", "\u0661.0.0.1", 5, 10.5, True, None, ["::1"], {},
    ],
)  # fmt: skip
def test_neither_an_address_nor_a_network(wrong):
    with pytest.raises(ValueError, match=r"must be an IP address such as 10\.0\.0\.5, a network such as 10\.0\.0\.0/8"):
        parse_trusted_proxies(["::1", wrong])


@pytest.mark.parametrize(
    ("wrong", "meant", "alone"),
    [("10.1.2.3/8", "10.0.0.0/8", "10.1.2.3"), ("fd00::5/64", "fd00::/64", "fd00::5")],
)
def test_host_bits_are_asked_about(wrong, meant, alone):
    with pytest.raises(ValueError, match=f"did you mean {meant}, or the address {alone} alone?"):
        parse_trusted_proxies([wrong])


def test_who_is_trusted():
    trusted = parse_trusted_proxies(["10.0.0.0/8", "fd00::/8", "::1"])
    for address in ("10.0.0.0", "10.255.255.255", "fd00::1", "::1", "::ffff:10.0.0.5"):
        assert trusted.trusts(address), address
    for address in ("11.0.0.0", "9.255.255.255", "fe00::1", "::2", "::ffff:11.0.0.5", "unix", "", "10.0.0.5:80", "x"):
        assert not trusted.trusts(address), address


def test_everybody_may_be_trusted_but_what_is_no_address():
    trusted = parse_trusted_proxies(["0.0.0.0/0", "::/0", "unix"])
    assert trusted.trusts("::ffff:203.0.113.9")
    assert trusted.trusts("203.0.113.9")
    assert trusted.trusts("2001:db8::1")
    assert not trusted.trusts("")


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_trusts_its_addresses(address, length):
    network = ipaddress.ip_network(f"{address}/{min(length, address.max_prefixlen)}", strict=False)
    trusted = parse_trusted_proxies([str(network)])
    assert trusted.trusts(str(address)) or getattr(address, "ipv4_mapped", None)
