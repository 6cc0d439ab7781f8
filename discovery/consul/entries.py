"""Read the entries of Consul's `/v1/health/service/:name`: each is a node, a service on it and the checks of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.units import parse_address, show
from discovery.instance import MAX_WEIGHT, NO_METADATA, Availability, Instance, first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"


def read_entries(entries: Sequence[object]) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Return the instances, and what is wrong with each entry that makes no sense."""
    instances: list[Instance] = []
    unreadable: list[str] = []
    for number, entry in enumerate(entries, 1):
        try:
            instances.append(read_entry(entry))
        except ValueError as error:
            unreadable.append(f"{_name(entry) or f'entry {number}'}: {error}")
    return tuple(instances), tuple(unreadable)


def read_entry(entry: object) -> Instance:
    """Return the instance that an entry describes; raise ValueError when it describes none."""
    if not isinstance(entry, dict):
        raise ValueError(f"must be an object, not {show(entry)}")
    node, service = _object(entry, "Node"), _object(entry, "Service")
    name, service_id = one_line("Node", _text(node, "Node")), one_line("ID", _text(service, "ID"))
    if not name or not service_id:
        raise ValueError("has no Node.Node or no Service.ID")
    # Consul's own rule: a service without an address is reached at its node's.
    host, port = _text(service, "Address") or _text(node, "Address"), service.get("Port")
    if not isinstance(port, int) or isinstance(port, bool):
        raise ValueError(f"Port must be a whole number, not {show(port)}")
    place = parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    metadata = _texts(service, "Meta")
    availability, reason, is_warning = _state(entry.get("Checks"))
    return Instance(
        id=f"{name}/{service_id}",  # the ID alone is unique to its agent only
        address=place.host,
        port=place.port,
        weight=_weight(service, "Warning" if is_warning else "Passing"),
        zone=_zone(metadata, _texts(node, "Meta")),
        tags=_tags(service.get("Tags")),
        metadata=metadata,
        availability=availability,
        reason=reason,
    )


def _state(checks: object) -> tuple[Availability, str, bool]:
    """Return what the worst of the checks makes of an instance, why, and whether one of them warns.

    The node's own checks stand in the same list: `serfHealth`, which fails when the node's agent is gone, and
    `_node_maintenance`. Maintenance outweighs a failing check, as it does in Consul.
    """
    if checks is None:
        checks = []
    if not isinstance(checks, list) or not all(isinstance(check, dict) for check in checks):
        raise ValueError("Checks must be a list of objects")
    failing = [check for check in checks if check.get("Status") not in ("passing", "warning")]
    for check in failing:
        if _is_maintenance(check.get("CheckID")):
            return Availability.DRAINING, f"maintenance: {first_line(check.get('Notes')) or 'no reason given'}", False
    if failing:
        first = failing[0]
        label = first_line(first.get("Name")) or first_line(first.get("CheckID")) or "a check without a name"
        more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
        output = first_line(first.get("Output")) or f"is {first_line(first.get('Status')) or 'without a status'}"
        return Availability.DOWN, f"{label}{more}: {output}", False
    return Availability.UP, "", any(check.get("Status") == "warning" for check in checks)


def _is_maintenance(check_id: object) -> bool:
    return isinstance(check_id, str) and (check_id == NODE_MAINTENANCE or check_id.startswith(SERVICE_MAINTENANCE))


def _weight(service: Mapping[str, Any], status: str) -> int:
    weights = service.get("Weights")
    if weights is None:
        return 1
    if not isinstance(weights, dict):
        raise ValueError(f"Weights must be an object, not {show(weights)}")
    weight = weights.get(status, 1)
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"Weights.{status} must be a whole number from 0 to {MAX_WEIGHT}, not {show(weight)}")
    return weight


def _zone(service: Mapping[str, str], node: Mapping[str, str]) -> str:
    return service.get("zone") or node.get("zone") or node.get("availability_zone") or ""


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError("Tags must be a list of texts")
    return tuple(value)


def _texts(holder: Mapping[str, Any], key: str) -> Mapping[str, str]:
    value = holder.get(key)
    if value is None:
        return NO_METADATA
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError(f"{key} must be an object of texts")
    return value


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text, not {show(value)}")
    return value


def _object(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object, not {show(value)}")
    return value


def _name(entry: object) -> str:
    """Return the identity of an entry that could not be read, as far as it has one."""
    match entry:
        case {"Node": {"Node": str(node)}, "Service": {"ID": str(service_id)}}:
            return f"{node}/{service_id}"
    return ""
