"""Which address of this machine others reach it at."""

from __future__ import annotations

import pytest

from discovery.here import address_towards, is_loopback
from discovery.registry import RegistryError


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", None), ("::1", "::1")])
async def test_towards_this_machine(host: str, address: str | None):
    found = await address_towards(host, 8500)
    assert is_loopback(found)
    assert address in (None, found)


async def test_a_name_that_does_not_exist():
    with pytest.raises(RegistryError, match=r"the name nowhere\.invalid has no address"):
        await address_towards("nowhere.invalid", 8500)


async def test_no_route():
    with pytest.raises(RegistryError, match=r"leads to 255\.255\.255\.255: .*; give the address to register"):
        await address_towards("255.255.255.255", 8500)  # which nobody may send to without asking


@pytest.mark.parametrize(
    ("address", "is_so"), [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("10.0.0.1", False), ("web", False)]
)
def test_loopback(address: str, is_so: bool):
    assert is_loopback(address) == is_so
