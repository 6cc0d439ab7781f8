"""Addresses of which one takes in the other."""

import pytest

from tests.config.reading import SMALL, config_of, errors_of


@pytest.mark.parametrize(
    ("listener", "admin", "clash"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", "0.0.0.0:80 is that port on all IPv4 addresses"),
        ("127.0.0.1:80", "0.0.0.0:80", "0.0.0.0:80 is that port on all IPv4 addresses"),
        (":80", "127.0.0.1:80", ":80 is that port on all addresses"),
        ("[::]:80", ":80", ":80 is that port on all addresses"),
        ("[::]:80", "[::1]:80", "[::]:80 is that port on all IPv6 addresses"),
        ("0.0.0.0:80", "[::]:80", None),
        ("[::]:80", "127.0.0.1:80", None),
        ("0.0.0.0:80", "127.0.0.1:81", None),
        (":0", "127.0.0.1:0", None),
    ],
)
def test_a_wildcard_takes_the_port_of_every_address(listener, admin, clash):
    text = SMALL.replace(":8080", listener) + f"admin: {{bind: '{admin}'}}"
    if clash is None:
        config_of(text)
    else:
        assert errors_of(text) == [
            f"p.yaml:6: admin.bind: {admin} clashes with {listener} of listeners[0].bind; {clash}"
        ]
