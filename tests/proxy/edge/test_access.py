"""Lists of addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.trusted import TrustedProxies, parse_trusted_proxies
from proxy.edge.access import Access, Networks

NOBODY = TrustedProxies()
NETWORKS = st.lists(
    st.builds(lambda number, bits: ipaddress.IPv4Network((number << 24 & 0xFFFFFFFF, bits), strict=False),
              st.integers(0, 15), st.integers(0, 32))
    | st.builds(lambda number, bits: ipaddress.IPv6Network((number << 112, bits), strict=False),
                st.integers(0, 15), st.integers(0, 128)),
    max_size=12,
)  # fmt: skip
ADDRESSES = st.integers(0, 2**28 - 1).map(ipaddress.IPv4Address) | st.integers(0, 2**116 - 1).map(ipaddress.IPv6Address)


@given(NETWORKS, ADDRESSES)
def test_a_set_of_networks_holds_what_one_of_them_holds(networks, address) -> None:
    known = getattr(address, "ipv4_mapped", None) or address
    assert (str(address) in Networks(networks)) == any(known in network for network in networks)


@pytest.mark.parametrize(
    ("allow", "deny", "address", "admitted"),
    [
        (None, ["10.0.0.0/8"], "10.1.2.3", False),
        (None, ["10.0.0.0/8"], "11.1.2.3", True),
        (["10.0.0.0/8"], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "11.1.2.3", False),
        (["10.0.0.0/8"], ["10.9.0.0/16"], "10.9.0.1", False),
        (["10.9.0.1"], ["10.0.0.0/8"], "10.9.0.1", False),
        (["10.0.0.0/8"], [], "::ffff:10.1.2.3", True),
        (None, ["::ffff:10.0.0.0/104"], "10.1.2.3", False),
        (["fe80::/10"], [], "fe80::1%eth0", True),
        (["::/0"], [], "10.0.0.1", False),
        (["unix"], [], "", True),
        (["10.0.0.0/8"], [], "", False),
        (None, ["unix"], "", False),
        (["0.0.0.0/0"], [], "no address", False),
    ],
)
def test_deny_wins_and_allow_leaves_nobody_else(allow, deny, address, admitted) -> None:
    access = Access(parse_trusted_proxies(allow) if allow else None, parse_trusted_proxies(deny))
    for asked in (1, 2):  # the second time from memory
        assert access.admits(address) is admitted
        assert access.refused == (0 if admitted else asked)


def test_a_thousand_networks_are_not_a_thousand_comparisons() -> None:
    networks = Networks([ipaddress.IPv4Network((10 << 24 | n << 8, 25)) for n in range(1000)])
    starts, ends = networks._of_size[4]
    assert len(starts) == len(ends) == 1000
    assert "10.3.231.127" in networks
    assert "10.3.231.128" not in networks


def test_neighbours_and_those_within_others_are_one_range() -> None:
    networks = Networks(map(ipaddress.IPv4Network, ["10.0.0.0/8", "10.1.0.0/16", "10.255.0.0/16", "11.0.0.0/32"]))
    assert len(networks._of_size[4][0]) == 2


def test_what_is_remembered_is_bounded() -> None:
    access = Access(None, NOBODY)
    for number in range(5000):
        assert access.admits(str(ipaddress.IPv4Address(number)))
    assert len(access._known) <= 4096
