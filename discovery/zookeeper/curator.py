"""Curator's service discovery, as Java services and Spring Cloud use it: one node an instance, named by its id.

    <base>/<service>/<id>    {"name": "web", "id": "…", "address": "10.0.0.5", "port": 8080, "sslPort": null, …}

https://curator.apache.org/docs/service-discovery
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.units import show
from discovery.instance import Availability, first_line
from discovery.zookeeper.layout import Node, make_instance, read_labels, read_object, write, write_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.instance import Instance

SPEC_PARTS = 50  # of a uriSpec
OUT_OF_SERVICE = "OUT_OF_SERVICE"  # Spring Cloud's instance_status


class Curator:
    """The layout of Curator's service discovery."""

    def is_entry(self, name: str) -> bool:
        """Every child is one."""
        return True

    def wants_data(self, name: str) -> bool:
        """The name is only an id."""
        return True

    def read(self, name: str, data: bytes) -> Instance:
        """Return the instance; requests go to `port`, else to where `uriSpec` leads, else to `sslPort`.

        The payload is whatever the service likes. Of an object we take what is plain in it, or, as Spring Cloud has it,
        in its `metadata`.
        """
        fields = read_object(data)
        payload = fields.get("payload")
        if isinstance(payload, dict) and isinstance(payload.get("metadata"), dict):
            payload = payload["metadata"]
        labels = read_labels(payload)
        labels.pop("@class", None)  # Jackson's note to itself
        labels.pop("id", None)  # the node's name counts
        host, port = fields.get("address"), fields.get("port")
        uri = _uri(fields)
        if uri:
            labels["uri"] = first_line(uri)
            if port is None:
                host, port = _place(uri, host)
        ssl_port = fields.get("sslPort")
        if ssl_port is not None:
            labels["ssl_port"] = show(ssl_port)
            port = ssl_port if port is None else port
        availability, reason = Availability.UP, ""
        if fields.get("enabled") is False:
            availability, reason = Availability.DRAINING, "Curator says enabled: false"
        elif labels.get("instance_status") == OUT_OF_SERVICE:
            availability, reason = Availability.DRAINING, f"Spring Cloud says {OUT_OF_SERVICE}"
        return make_instance(host, port, labels, id=name, availability=availability, reason=reason)

    def instances(self, parts: Mapping[str, Instance]) -> tuple[Instance, ...]:
        """Return them as they are: names are unique."""
        return tuple(parts.values())

    def node(self, service: str, instance: Instance) -> Node:
        """Return the node; without a payload, which not every reader's class fits, unless there is something to say."""
        if "/" in instance.id or instance.id in (".", ".."):
            raise ValueError(f"the id {instance.id} cannot be the name of a node")
        fields: dict[str, Any] = {
            "name": service.rstrip("/").rpartition("/")[2],
            "id": instance.id,
            "address": instance.address,
            "port": instance.port,
            "sslPort": None,
            "payload": write_labels(instance) or None,
            "serviceType": "DYNAMIC",
            "uriSpec": None,
        }
        if instance.availability is not Availability.UP:
            fields["enabled"] = False  # older readers do not know the key
        return Node(instance.id, write(fields), sequential=False)


def _uri(fields: Mapping[str, Any]) -> str:
    """Put a uriSpec's parts together, by Curator's rules; empty when there is none."""
    spec = fields.get("uriSpec")
    parts = spec.get("parts") if isinstance(spec, dict) else None
    if not isinstance(parts, list) or len(parts) > SPEC_PARTS:
        return ""
    ssl_port = fields.get("sslPort")
    kind = fields.get("serviceType")
    known = {
        "scheme": "http" if ssl_port is None else "https",
        "name": fields.get("name"),
        "id": fields.get("id"),
        "address": fields.get("address"),
        "port": fields.get("port"),
        "ssl-port": ssl_port,
        "registration-time-utc": fields.get("registrationTimeUTC"),
        "service-type": kind.lower() if isinstance(kind, str) else None,
        "[": "{",
        "]": "}",
    }
    told = []
    for part in parts:
        value = part.get("value") if isinstance(part, dict) else None
        if not isinstance(value, str):
            return ""
        value = known.get(value) if part.get("variable") is True else value
        told.append(str(value) if isinstance(value, str | int) else "")
    return "".join(told)


def _place(uri: str, host: object) -> tuple[object, object]:
    """Return the host and the port that a URI names, as far as it does."""
    try:
        parts = urlsplit(uri)
        return (host if host is not None else parts.hostname), parts.port
    except ValueError:
        return host, None
