"""Read what one EndpointSlice says: the endpoints of a service, some of them, with one set of ports for all.

    {"metadata": {"name": "web-x7k2p", ...}, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
     "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": true}, "zone": "eu-1a", "nodeName": "n1",
                    "targetRef": {"kind": "Pod", "name": "web-0"}, "hints": {"forZones": [{"name": "eu-1a"}]}}]}

https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.instance import NO_METADATA, Instance, first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES = {"IPv4": "ipv4", "IPv6": "ipv6"}  # addressType → our word
MOST_ENDPOINTS = 1000  # of a slice; the API server itself takes no more
MOST_PORTS = 100
MOST_HINTS = 8


class Condition(enum.Enum):
    """What the three conditions of an endpoint come to (KEP-1669), the best first."""

    READY = "ready"
    SERVING = "terminating, and still serves"
    TERMINATING = "terminating"
    UNREADY = "not ready"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {condition: rank for rank, condition in enumerate(Condition)}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a slice: the instance that it is when it may be used.

    `hints` are the zones whose clients it is meant for; empty: it has none.
    """

    instance: Instance
    condition: Condition
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Slice:
    """What a slice says; `unreadable` names what was left out of it, one text an entry."""

    family: str
    endpoints: tuple[Endpoint, ...]
    unreadable: tuple[str, ...]


def read_slice(name: str, given: Mapping[str, Any], port: str | int | None) -> Slice:
    """Return what the slice called `name` says, with the port that is called so, has this number, or is the only one.

    What makes no sense of it is left out, be it the whole.
    """
    try:
        family = FAMILIES.get(given.get("addressType", ""))
        if family is None:
            raise ValueError(f"addressType must be IPv4 or IPv6, not {show(given.get('addressType'))}")
        entries = _objects(given, "endpoints", MOST_ENDPOINTS)
        if not entries:
            return Slice(family, (), ())  # a slice without endpoints has no ports either
        number, protocol = _port(_objects(given, "ports", MOST_PORTS), port)
    except (ValueError, TypeError) as error:
        return Slice("", (), (f"{name}: {error}",))
    endpoints: list[Endpoint] = []
    unreadable: list[str] = []
    for place, entry in enumerate(entries):
        try:
            endpoints.append(_endpoint(entry, family, number, protocol))
        except ValueError as error:
            unreadable.append(f"{name} endpoint {place}: {error}")
    return Slice(family, tuple(endpoints), tuple(unreadable))


def _port(ports: list[dict[str, Any]], wanted: str | int | None) -> tuple[int, str]:
    """Return the number of the port, and the protocol that is spoken there if the slice tells."""
    fitting = [port for port in ports if _text(port, "protocol") in ("", "TCP")]
    if isinstance(wanted, int):
        # A slice that names no port restricts none: a headless Service without ports makes such ones.
        found = [port for port in fitting if port.get("port") in (wanted, None)] or ([] if ports else [{}])
    elif wanted is not None:
        found = [port for port in fitting if _text(port, "name") == wanted]
    else:
        found = fitting
    if len(found) > 1 and wanted is None:
        raise ValueError(f"the service has the ports {_shown(fitting)}: say which one with the key port")
    if not found:
        what = "no TCP port" if wanted is None else f"no TCP port {wanted}"
        raise ValueError(f"the slice has {what}, but {_shown(ports) or 'none at all'}")
    number = found[0].get("port") or wanted
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 65536:
        raise ValueError(f"port must be a number from 1 to 65535, not {show(found[0].get('port'))}; set the key port")
    return number, _text(found[0], "appProtocol")


def _shown(ports: list[dict[str, Any]]) -> str:
    """List ports for people: `http (8080), metrics (9090)`."""
    texts = []
    for port in ports[:10]:
        name, number, protocol = _text(port, "name"), show(port.get("port")), _text(port, "protocol")
        told = number if protocol in ("", "TCP") else f"{number} {protocol}"
        texts.append(f"{name} ({told})" if name else told)
    return ", ".join(texts)


def _endpoint(entry: Mapping[str, Any], family: str, port: int, protocol: str) -> Endpoint:
    node, target = _text(entry, "nodeName"), entry.get("targetRef")
    metadata = {"node": node} if node else {}
    if isinstance(target, dict) and target.get("kind") == "Pod" and (pod := _text(target, "name")):
        metadata["pod"] = pod
    if protocol:
        metadata["app_protocol"] = protocol
    address = _address(entry, family)
    host = f"[{address}]" if ":" in address else address
    # Not the pod's name: of two endpoints with the same name, one would be lost.
    instance = Instance(f"{host}:{port}", address, port, zone=_text(entry, "zone"), metadata=metadata or NO_METADATA)
    return Endpoint(instance, _condition(entry), _hints(entry.get("hints")))


def _address(entry: Mapping[str, Any], family: str) -> str:
    """Return the address; of several, all but the first are to be ignored (kubernetes/kubernetes#106267)."""
    addresses = entry.get("addresses")
    address = addresses[0] if isinstance(addresses, list) and addresses else None
    try:
        # Neither 16843009 nor a network with its host bits is an address here, though ip_address takes a number.
        parsed = ipaddress.ip_address(address if isinstance(address, str) else "")
    except ValueError:
        parsed = None
    if parsed is None or f"ipv{parsed.version}" != family or getattr(parsed, "scope_id", None):
        raise ValueError(f"addresses must begin with an address of IPv{family[-1]}, not {show(address)}")
    return str(parsed)


def _condition(entry: Mapping[str, Any]) -> Condition:
    """Sum up the conditions. Without `ready` it is ready; without `serving` what `ready` says goes for both."""
    conditions = entry.get("conditions")
    if conditions is None:
        conditions = {}
    if not isinstance(conditions, dict):
        raise ValueError(f"conditions must be an object, not {show(conditions)}")
    ready = _flag(conditions, "ready", True)
    serving = _flag(conditions, "serving", ready)
    terminating = _flag(conditions, "terminating", False)
    if ready:
        return Condition.READY
    if terminating:
        return Condition.SERVING if serving else Condition.TERMINATING
    return Condition.UNREADY


def _flag(conditions: Mapping[str, Any], key: str, default: bool) -> bool:
    value = conditions.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValueError(f"conditions.{key} must be true or false, not {show(value)}")
    return value


def _hints(hints: object) -> frozenset[str]:
    if not isinstance(hints, dict):
        return frozenset()
    zones = _objects(hints, "forZones", MOST_HINTS)
    return frozenset(name for zone in zones if (name := _text(zone, "name")))


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{first_line(key)} must be a text, not {show(value)}")
    return one_line(key, value)


def _objects(holder: Mapping[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    value = holder.get(key)
    if value is None:  # Go writes an empty list so
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{key} must be a list of objects, not {show(value)}")
    if len(value) > most:
        raise ValueError(f"{key} must have at most {most} items, not {len(value)}")
    return value
