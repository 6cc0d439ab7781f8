"""The keys of a name in the DNS."""

from collections.abc import Mapping
from typing import Any, Literal

from config.declaring import Field
from config.frozen import Model
from config.registries.waits import Patience, Pause
from config.texts import DnsName, NameServer
from config.units import Port, format_duration, parse_duration

TTL_MIN, TTL_MAX = 1.0, 300.0  # seconds; what ttl_min and ttl_max are unless they are given


def dns_port(given: Mapping[str, Any]) -> str | None:
    """Want a port for records that name none, and none for those that do."""
    match given.get("type", "both"):
        case "srv":
            return "has port with type srv: leave it out, for SRV records name the ports" if "port" in given else None
        case "a" | "aaaa" | "both":
            return None if "port" in given else "must have a port, for addresses come without; only type srv needs none"
    return None


def dns_ttls(given: Mapping[str, Any]) -> str | None:
    """Want the bounds of the TTL in their order."""
    try:
        least = parse_duration(given.get("ttl_min", TTL_MIN))
        most = parse_duration(given.get("ttl_max", TTL_MAX))
    except ValueError:
        return None
    if least <= most:
        return None
    return f"must have a ttl_min of at most ttl_max, not {format_duration(least)} and {format_duration(most)}"


class Dns(Model):
    """A name in the DNS, asked for again whenever its TTL has passed."""

    rules = (dns_port, dns_ttls)

    name: DnsName = Field(
        description="The whole domain name: web.example.internal, or _http._tcp.example.internal for type srv. Search "
        "lists do not count."
    )
    type: Literal["both", "a", "aaaa", "srv"] = Field(
        default="both",
        description="The records to ask for. a: IPv4 addresses; aaaa: IPv6 addresses; both: these two; srv: SRV "
        "records, which hold targets with their ports and weights.",
    )
    port: Port | None = Field(
        default=None, description="The port of the instances. Required, but for type srv, whose records name it."
    )
    servers: tuple[NameServer, ...] = Field(
        default=(),
        description="The name servers to ask, in turn: IP addresses, with a port unless it is 53. Empty: those of "
        "/etc/resolv.conf, also when that file changes.",
    )
    ttl_min: Pause = Field(
        default=TTL_MIN,
        description="The shortest time from one look to the next, however short a TTL is; 100ms or more.",
    )
    ttl_max: Pause = Field(
        default=TTL_MAX, description="The longest time from one look to the next, however long a TTL is."
    )
    timeout: Patience = Field(
        default=2.0, description="How long a name server may take to answer before the next one is asked; 10ms or more."
    )
