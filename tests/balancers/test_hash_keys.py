from __future__ import annotations

from typing import Any

import pytest

from balancers.hash_keys import hash64, hashes, read_key
from tests.balancers.asking import Asked

REQUEST = Asked(
    client="10.1.2.3",
    target=b"/a/b?user=J%C3%B6rg+X&empty=&user=2&a%20b=c",
    headers={b"x-user": b"me", b"cookie": b"a=1; sid=x=y ;b"},
)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("client", b"10.1.2.3"),
        ("path", b"/a/b"),
        ({"header": "X-User"}, b"me"),
        ({"header": "X-Other"}, b""),
        ({"cookie": "sid"}, b"x=y"),
        ({"cookie": "b"}, b""),
        ({"query": "user"}, "Jörg X".encode()),
        ({"query": "empty"}, b""),
        ({"query": "a"}, b""),
        ([{"header": "X-Other"}, {"cookie": "sid"}, "client"], b"x=y"),
        ([{"header": "X-Other"}, {"query": "none"}], b""),
    ],
)
def test_keys(written: Any, found: bytes) -> None:
    assert read_key(written)(REQUEST) == found


@pytest.mark.parametrize(
    "written", ["host", [], [[]], {}, {"header": ""}, {"header": 1}, {"ip": "x"}, {"header": "a", "cookie": "b"}, None]
)
def test_what_is_no_key(written: Any) -> None:
    with pytest.raises(ValueError, match=r"key must be|the name of a header"):
        read_key(written)


def test_hashes_are_the_same_for_ever() -> None:
    """Proxies of different versions stand side by side, and must agree."""
    assert hash64(b"a") == 0x40F89E395B66422F
    assert hashes(b"web-1", 3) == hashes(b"web-1", 20)[:3]
    assert len(set(hashes(b"web-1", 1000))) == 1000
