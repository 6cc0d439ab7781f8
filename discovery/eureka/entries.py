"""Read what Eureka says of an instance.

    {"instanceId": "orders-1", "app": "ORDERS", "ipAddr": "10.0.0.5", "hostName": "orders-1.internal", "status": "UP",
     "port": {"$": 8080, "@enabled": "true"}, "securePort": {"$": 8443, "@enabled": "false"},
     "dataCenterInfo": {"name": "MyOwn"}, "metadata": {"weight": "3", "zone": "eu-1a"}}

Every registered instance becomes an Entry, whatever its state and however little sense it makes: Eureka counts all of
them, and so must who compares counts with it. Whether it can be used is asked for the applications that are watched.

The form is what Eureka's own codec writes: com.netflix.discovery.converters.EurekaJacksonCodec.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.file_format import read_instance
from discovery.instance import Availability, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.instance import Instance

STATUSES = ("UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN")
AMAZON = "Amazon"  # the data center whose metadata name an availability zone
ZONE_OF_AMAZON = "availability-zone"
NOT_METADATA = "@class"  # the class that an empty map had in Java


@dataclass(frozen=True, slots=True)
class View:
    """Which of an instance's two ports, and which of its two addresses, requests go to."""

    secure: bool = False
    host_name: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered instance, as far as anybody here may want to know it. Values that nobody checked are `object`."""

    app: str  # in capitals
    id: str  # empty if it has none that can be shown
    status: str  # one of STATUSES: what Eureka counts it as
    override: str  # one of STATUSES
    updated: int  # milliseconds of the server's clock
    vips: tuple[str, ...]  # in lower case
    secure_vips: tuple[str, ...]
    ip: object
    host: object
    port: object
    secure_port: object
    metadata: object
    zone: object


def read_entry(app: str, told: Mapping[str, Any]) -> Entry:
    """Return the entry of an application that an object describes; nothing is wrong enough for an error."""
    center = told.get("dataCenterInfo")
    amazon = center.get("metadata") if isinstance(center, dict) and center.get("name") == AMAZON else None
    if not isinstance(amazon, dict):
        amazon = {}
    # com.netflix.appinfo.InstanceInfo.getId: clients before 1.2 sent no instanceId
    identity = told.get("instanceId") or amazon.get("instance-id") or told.get("hostName")
    return Entry(
        app=app.upper(),
        id=identity if isinstance(identity, str) else "",
        status=_status(told.get("status")),
        override=_status(told.get("overriddenstatus") or told.get("overriddenStatus")),
        updated=_milliseconds(told.get("lastUpdatedTimestamp")),
        vips=_names(told.get("vipAddress")),
        secure_vips=_names(told.get("secureVipAddress")),
        ip=told.get("ipAddr"),
        host=told.get("hostName"),
        port=told.get("port"),
        secure_port=told.get("securePort"),
        metadata=told.get("metadata"),
        zone=amazon.get(ZONE_OF_AMAZON),
    )


def read_usable(entry: Entry, view: View) -> Instance:
    """Return the instance that requests can go to; raise ValueError when the entry describes none."""
    if not entry.id:
        raise ValueError("instanceId must be a text")
    port = _port(entry, view)
    key, host = ("hostName", entry.host) if view.host_name else ("ipAddr", entry.ip)
    if not isinstance(host, str) or not host:
        other = "ip" if view.host_name else "hostname"
        raise ValueError(f"{key} must be a text, not {show(host)}; address: {other} would take the other one")
    availability, reason = _state(entry)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fields = {"id": entry.id, "draining": availability is Availability.DRAINING, **_labels(entry)}
    instance = replace(read_instance(address, fields, reason), secure=view.secure)
    if availability is not Availability.DOWN:
        return instance
    return replace(instance, availability=availability, reason=reason)


def show_name(entry: Entry) -> str:
    """Return what may be shown of an entry's identity."""
    return first_line(entry.id) or "an instance without an instanceId"


def _state(entry: Entry) -> tuple[Availability, str]:
    """Return whether new requests may go there, and why not.

    Eureka puts an override in the status's place itself, but a peer may tell of both before it has done so. One that
    takes an instance out counts at once; one that says UP is no reason to use an instance that says otherwise.
    """
    is_overridden = entry.override not in ("UNKNOWN", "UP")
    status = entry.override if is_overridden and entry.status == "UP" else entry.status
    if status == "UP":
        return Availability.UP, ""
    reason = f"Eureka says {status}" + (", which somebody set" if is_overridden and status == entry.override else "")
    return (Availability.DRAINING if status == "OUT_OF_SERVICE" else Availability.DOWN), reason


def _port(entry: Entry, view: View) -> int:
    """Return the port that is wanted, which must be enabled."""
    wanted, told = ("securePort", entry.secure_port) if view.secure else ("port", entry.port)
    number, is_enabled = _read_port(wanted, told)
    if not is_enabled:
        advice = "secure: false" if view.secure else "secure: true"
        raise ValueError(f"{wanted} is not enabled; {advice} would take the other one")
    return number


def _read_port(key: str, told: object) -> tuple[int, bool]:
    """Read `{"$": 8080, "@enabled": "true"}`, or a number alone, as older servers write it."""
    number, enabled = (told.get("$"), told.get("@enabled", True)) if isinstance(told, dict) else (told, True)
    if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) <= 5:
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"{key} must be a number, not {show(number)}")
    return number, enabled is True or str(enabled).lower() == "true"


def _labels(entry: Entry) -> dict[str, object]:
    """Return the metadata, and what of them means something to us: a weight, a zone, tags."""
    metadata = entry.metadata
    if not isinstance(metadata, dict):
        return {"metadata": metadata, "zone": entry.zone}
    metadata = {key: value for key, value in metadata.items() if key != NOT_METADATA and value is not None}
    fields: dict[str, object] = {"metadata": metadata or None, "zone": metadata.get("zone") or entry.zone}
    weight = str(metadata.get("weight", ""))
    if weight.isascii() and weight.isdecimal() and len(weight) <= 9:
        fields["weight"] = int(weight)
    tags = metadata.get("tags")
    if isinstance(tags, str) and tags:
        fields["tags"] = [tag for tag in map(str.strip, tags.split(",")) if tag]
    return fields


def _status(told: object) -> str:
    """Return a status as Eureka's own client understands it."""
    status = told.upper() if isinstance(told, str) else ""
    return status if status in STATUSES else "UNKNOWN"


def _names(told: object) -> tuple[str, ...]:
    """Read the names of virtual hosts, which commas part."""
    names = told.lower().split(",") if isinstance(told, str) else []
    return tuple(dict.fromkeys(name for name in map(str.strip, names) if name))


def _milliseconds(told: object) -> int:
    """Read a time that stands there as a text or a number, and counts for nothing if it is neither."""
    text = str(told)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else 0
