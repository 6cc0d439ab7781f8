"""What SmartStack's nerve registers, and Synapse reads.

    <path>/i-3f2a_0000000012            {"host": "10.0.0.5", "port": 8080, "name": "i-3f2a", "weight": 10,
                                         "labels": {"az": "eu-1a"}}
    <path>/base64_64_eyJob3N0Ijoi…_0000000013

With nerve's path encoding the name itself holds the JSON, in URL-safe base64, so that the data need not be read.
`name` says which machine registered the instance, and is not unique: the identity is `host:port`, unless a label `id`
gives another.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from discovery.instance import Availability
from discovery.zookeeper.layout import Node, make_instance, newest, read_labels, read_object, write, write_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.instance import Instance

_ENCODED = re.compile(r"base64_(\d{1,7})_(.*)_-?\d{10}", re.DOTALL)


class Nerve:
    """The layout of nerve's nodes."""

    def is_entry(self, name: str) -> bool:
        """Every child is one."""
        return True

    def wants_data(self, name: str) -> bool:
        """Synapse, too, reads the data of a name that only looks encoded."""
        return _decoded(name) is None

    def read(self, name: str, data: bytes) -> Instance:
        """Return the instance."""
        fields = _decoded(name)
        if fields is None:
            fields = read_object(data)
        labels = read_labels(fields.get("labels"))
        machine = fields.get("name")
        if isinstance(machine, str) and machine != labels.get("id"):
            labels.setdefault("name", machine)
        port = fields.get("port")
        if isinstance(port, str) and port.isascii() and port.isdecimal() and len(port) <= 5:
            port = int(port)  # nerve passes on what its configuration has
        return make_instance(fields.get("host"), port, labels, weight=fields.get("weight"))

    def instances(self, parts: Mapping[str, Instance]) -> tuple[Instance, ...]:
        """Return them, each address once."""
        return newest(parts.items())

    def node(self, service: str, instance: Instance) -> Node:
        """Return the node, without path encoding; nerve knows no instance that is there and takes no requests."""
        if instance.availability is not Availability.UP:
            raise ValueError("nerve's nodes cannot say that an instance takes no requests")
        labels = {name: value for name, value in write_labels(instance).items() if name != "weight"}
        labels["id"] = instance.id
        fields: dict[str, Any] = {
            "host": instance.address,
            "port": instance.port,
            "name": instance.id,
            "weight": instance.weight,
            "labels": labels,
        }
        return Node(f"{instance.id.replace('/', '_')}_", write(fields), sequential=True)


def _decoded(name: str) -> dict[str, Any] | None:
    """Return the JSON object that a name holds; None when it holds none."""
    encoded = _ENCODED.fullmatch(name)
    if encoded is None or int(encoded[1]) != len(encoded[2]):
        return None
    try:
        fields = json.loads(base64.urlsafe_b64decode(encoded[2]))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
