"""Which address of this machine others reach it at: the one from which it reaches the registry."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from discovery.registry import RegistryError

TIMEOUT = 5.0  # seconds that a name server may take


async def address_towards(host: str, port: int) -> str:
    """Return the local address that the system would send packets for `host` from; none is sent.

    Raises RegistryError when the name has no address, or no route leads there.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except TimeoutError as error:
        raise RegistryError(f"the name {host} was not resolved within {TIMEOUT:g} s") from error
    except OSError as error:
        raise RegistryError(f"the name {host} has no address: {error}") from error
    complaint = "no address"
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(place)  # of UDP: it asks for the route, and sends nothing
                address: str = probe.getsockname()[0]
                return address.partition("%")[0]
        except OSError as error:
            complaint = error.strerror or str(error)
    raise RegistryError(f"no address of this machine leads to {host}: {complaint}; give the address to register")


def is_loopback(address: str) -> bool:
    """Tell whether nobody but this machine reaches `address`."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
