"""Whose word about a request's origin is taken: addresses, networks, and the clients of a unix socket."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from config.declaring import PlainSerializer, PlainValidator, TypeAdapter, WithJsonSchema
from config.units import show

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNIX = "unix"
_PATTERN = "[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?"  # ipaddress also reads netmasks, zones and numbers, which nobody means here


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies in front of us whose headers are believed; `unix` is true when a unix socket's clients are."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    def trusts(self, address: str) -> bool:
        """Tell whether an IP address is trusted; what is no address is not. IPv4 may be written as ::ffff:10.0.0.5."""
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return False
        known = getattr(known, "ipv4_mapped", None) or known
        return any(known in network for network in self.networks)


def parse_trusted_proxies(value: object) -> TrustedProxies:
    """Read a list of addresses, networks and the word `unix`; what is wrong is told at each item's place."""
    if isinstance(value, TrustedProxies):
        return value
    items = _LIST.validate_python(value)
    networks = tuple(item for item in dict.fromkeys(items) if not isinstance(item, str))
    return TrustedProxies(networks, unix=_UNIX in items)


def format_trusted_proxies(trusted: TrustedProxies) -> list[str]:
    """Write what `parse_trusted_proxies` reads."""
    written = [str(network.network_address if network.num_addresses == 1 else network) for network in trusted.networks]
    return [*written, *([_UNIX] if trusted.unix else [])]


def _parse_item(value: object) -> Network | str:
    if value == _UNIX:
        return _UNIX
    if isinstance(value, str) and re.fullmatch(_PATTERN, value):
        try:
            return _unmapped(ipaddress.ip_network(value))
        except ValueError:
            meant = _without_host_bits(value)
        if meant is not None:
            address = value.partition("/")[0]
            raise ValueError(
                f"must be a network without host bits, not {show(value)}; "
                f"did you mean {meant}, or the address {address} alone?"
            )
    raise ValueError(
        "must be an IP address such as 10.0.0.5, a network such as 10.0.0.0/8 or fd00::/8, "
        f"or unix for the clients of a unix socket, not {show(value)}"
    )


def _unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv4-mapped one (RFC 4291, 2.5.5.2) stands for, any other as it is."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _without_host_bits(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


_LIST: TypeAdapter[tuple[Network | str, ...]] = TypeAdapter(
    tuple[Annotated[Network | str, PlainValidator(_parse_item)], ...]
)
TrustedList = Annotated[
    TrustedProxies,
    PlainValidator(parse_trusted_proxies),
    PlainSerializer(format_trusted_proxies, return_type=list[str]),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^(?:{_UNIX}|{_PATTERN})$"},
            "examples": [["10.0.0.0/8", "fd00::/8", "unix"]],
        }
    ),
]
