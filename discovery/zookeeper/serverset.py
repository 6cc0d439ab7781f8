"""Serversets, as Finagle, Aurora and Twitter's own libraries write them.

    <path>/member_0000000003   {"serviceEndpoint": {"host": "h", "port": 1234},
                                "additionalEndpoints": {"http": {"host": "h", "port": 8080}},
                                "status": "ALIVE", "shard": 3, "metadata": {"zone": "eu-1a"}}
    <path>/vector_0000000001   {"vector": [{"select": "shard=3", "weight": 0.5, "priority": 1}]}

What is read, and how weights come about, follows Finagle's finagle-serversets (serverset2: Entry, Vector,
Zk2Resolver).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.units import parse_address, show
from discovery.instance import MAX_WEIGHT, Availability, first_line
from discovery.zookeeper.layout import Node, make_instance, newest, read_object, write, write_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.instance import Instance

MEMBER, VECTOR = "member_", "vector_"
DESCRIPTORS = 10_000  # of one vector
SCALES = (1, 10, 100, 1000)
CLOSE = 1e-6  # what a weight may miss a whole number by

# Finagle sends requests to what is ALIVE, and to nothing else.
_AVAILABILITY = {"ALIVE": Availability.UP, "STOPPING": Availability.DRAINING}
_STATUSES = ("DEAD", "STARTING", "ALIVE", "STOPPING", "STOPPED", "WARNING", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Member:
    """One member, at the endpoint that is wanted."""

    instance: Instance
    shard: int | None


@dataclass(frozen=True, slots=True)
class Vector:
    """Factors of weights, by what they select: a member's name, a shard's number, an address; and of all members."""

    factors: tuple[tuple[str, str, float], ...]  # what is selected by, which, the factor

    def factor(self, name: str, member: Member) -> float:
        """Return what the weight of a member is multiplied by."""
        found = 1.0
        for by, which, factor in self.factors:
            match by:
                case "member":
                    matches = which == name
                case "shard":
                    matches = member.shard is not None and which == str(member.shard)
                case _:
                    matches = which == member.instance.authority
            if matches:
                found *= factor
        return found


class Serverset:
    """The layout of serversets. `endpoint` names an additional endpoint; empty means the service endpoint."""

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = endpoint

    def is_entry(self, name: str) -> bool:
        """Members and weight vectors are; locks and the like are not."""
        return name.startswith((MEMBER, VECTOR))

    def wants_data(self, name: str) -> bool:
        """The name is only a number."""
        return True

    def read(self, name: str, data: bytes) -> Member | Vector:
        """Return the member or the vector."""
        fields = read_object(data)
        return _read_vector(fields) if name.startswith(VECTOR) else self._read_member(fields)

    def instances(self, parts: Mapping[str, Member | Vector]) -> tuple[Instance, ...]:
        """Return the members with the weights that the vectors give them."""
        members = {name: part for name, part in parts.items() if isinstance(part, Member)}
        vectors = [part for part in parts.values() if isinstance(part, Vector) and part.factors]
        if not vectors:
            return newest((name, member.instance) for name, member in members.items())
        weights = {
            name: member.instance.weight * math.prod(vector.factor(name, member) for vector in vectors)
            for name, member in members.items()
        }
        scale = _scale(weights.values())
        return newest(
            (name, dataclasses.replace(member.instance, weight=_whole(weights[name] * scale)))
            for name, member in members.items()
        )

    def node(self, service: str, instance: Instance) -> Node:
        """Return the member; with `endpoint`, its address is both the service endpoint and that additional one."""
        place = {"host": instance.address, "port": instance.port}
        labels = write_labels(instance)
        if instance.id != instance.authority:
            labels["id"] = instance.id
        status = {Availability.UP: "ALIVE", Availability.DRAINING: "STOPPING", Availability.DOWN: "DEAD"}
        fields: dict[str, Any] = {
            "serviceEndpoint": place,
            "additionalEndpoints": {self._endpoint: place} if self._endpoint else {},
            "status": status[instance.availability],
        }
        if labels:
            fields["metadata"] = labels
        return Node(MEMBER, write(fields), sequential=True)

    def _read_member(self, fields: Mapping[str, Any]) -> Member:
        place = fields.get("serviceEndpoint")
        if self._endpoint:
            additional = fields.get("additionalEndpoints")
            place = additional.get(self._endpoint) if isinstance(additional, dict) else None
        if not isinstance(place, dict):
            raise ValueError(f"has no endpoint {self._endpoint}" if self._endpoint else "has no serviceEndpoint")
        status = fields.get("status")
        if status not in _STATUSES:
            status = "UNKNOWN"
        availability = _AVAILABILITY.get(status, Availability.DOWN)
        reason = "" if availability is Availability.UP else f"the serverset says {status}"
        instance = make_instance(
            place.get("host"), place.get("port"), fields.get("metadata"), availability=availability, reason=reason
        )
        shard = fields.get("shard")
        return Member(instance, shard if isinstance(shard, int) and not isinstance(shard, bool) else None)


def _read_vector(fields: Mapping[str, Any]) -> Vector:
    descriptors = fields.get("vector")
    if not isinstance(descriptors, list) or len(descriptors) > DESCRIPTORS:
        raise ValueError(f"vector must be a list of at most {DESCRIPTORS} descriptors, not {show(descriptors)}")
    return Vector(tuple(map(_read_descriptor, descriptors)))


def _read_descriptor(descriptor: object) -> tuple[str, str, float]:
    select = descriptor.get("select") if isinstance(descriptor, dict) else None
    by, _, which = select.partition("=") if isinstance(select, str) else ("", "", "")
    if not isinstance(descriptor, dict) or by not in ("member", "shard", "inet") or not which:
        raise ValueError(f"select must be member=…, shard=… or inet=host:port, not {show(select)}")
    weight = descriptor.get("weight", 1.0)
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"weight must be a number from 0 to {MAX_WEIGHT}, not {show(weight)}")
    return by, str(parse_address(which)) if by == "inet" else first_line(which), float(weight)


def _scale(weights: Any) -> int:
    """Return what makes whole numbers of all weights: 1 if they are, else 10, 100 or at the most 1000."""
    values = list(weights)
    for scale in SCALES:
        if all(abs(value * scale - round(value * scale)) < CLOSE for value in values):
            return scale
    return SCALES[-1]


def _whole(weight: float) -> int:
    """Round a weight, but to 0 only what is 0."""
    return min(MAX_WEIGHT, max(1, round(weight))) if weight > 0 else 0
