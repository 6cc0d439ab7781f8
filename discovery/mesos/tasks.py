"""The instance that a Mesos task is: where it listens, and whether it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.units import parse_address, show
from discovery.instance import Availability, Instance, one_line
from discovery.labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

# The states in which a task is over and has left its agent, or was never there.
GONE = frozenset(
    f"TASK_{state}"
    for state in ("FINISHED", "FAILED", "KILLED", "ERROR", "LOST", "DROPPED", "GONE", "GONE_BY_OPERATOR")
)
PORT_LIMIT = 100  # ports of a task that are looked at


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks are a service's instances, and which of their ports and addresses is meant.

    `name` is that of the task, or of its discovery information where it has one; `framework` a framework's name, or
    empty for any. `port` is the name of a port in the discovery information, or the place of a port from 0.
    `in_container` prefers the container's own address to the agent's.
    """

    name: str
    framework: str = ""
    port: str | int = 0
    in_container: bool = False

    def covers(self, task: Mapping[str, Any]) -> bool:
        """Tell whether a task has the name that is wanted."""
        return (text_at(task, "discovery", "name") or text_at(task, "name")) == self.name


@dataclass(frozen=True, slots=True)
class Agent:
    """A machine that runs tasks."""

    hostname: str
    zone: str = ""


def read_task(task: Mapping[str, Any], agent: Agent, wanted: Wanted) -> Instance:
    """Return the instance that a task is; raise ValueError when it describes none."""
    labels = _texts(task.get("labels"))
    ours = read_labels(labels)
    host = _container_address(task) if wanted.in_container else agent.hostname
    if not host:
        raise ValueError("it has no address of its own yet" if wanted.in_container else "its agent has no hostname")
    port = _port(task, wanted.port)
    place = parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    availability, reason = _state(task)
    if ours.draining and availability is Availability.UP:
        availability, reason = Availability.DRAINING, "its label pointsman.draining is true"
    return Instance(
        id=one_line("task_id", task_id(task)),
        address=place.host,
        port=place.port,
        weight=ours.weight,
        zone=ours.zone or one_line("zone", agent.zone),
        tags=ours.tags,
        metadata=labels,
        availability=availability,
        reason=reason,
    )


def _state(task: Mapping[str, Any]) -> tuple[Availability, str]:
    state = task.get("state")
    if state == "TASK_KILLING":
        return Availability.DRAINING, "TASK_KILLING"
    if state != "TASK_RUNNING":
        return Availability.DOWN, state if isinstance(state, str) and state.isidentifier() else "it has no state"
    healthy = _newest_status(task).get("healthy")
    if healthy is False:
        return Availability.DOWN, "its health check fails"
    if healthy is None and isinstance(task.get("health_check"), dict):
        return Availability.DOWN, "its health check has no result yet"
    return Availability.UP, ""


def _port(task: Mapping[str, Any], wanted: str | int) -> int:
    named = _at(task, "discovery", "ports", "ports")
    named = [port for port in named if isinstance(port, dict)][:PORT_LIMIT] if isinstance(named, list) else []
    if isinstance(wanted, str):
        number = next((port.get("number") for port in named if port.get("name") == wanted), None)
        if number is None:
            names = ", ".join(show(port.get("name")) for port in named) or "none"
            raise ValueError(f"it has no port named {show(wanted)}; its names are: {names}")
    else:
        numbers = [port.get("number") for port in named] or _ranges(task)
        if wanted >= len(numbers):
            raise ValueError(f"it has {len(numbers)} ports, and so none at place {wanted}")
        number = numbers[wanted]
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 65535:
        raise ValueError(f"its port must be a number from 1 to 65535, not {show(number)}")
    return number


def _ranges(task: Mapping[str, Any]) -> list[int]:
    """List the ports that the task was given as resources."""
    found: list[int] = []
    resources = task.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        ranges = _at(resource, "ranges", "range") if text_at(resource, "name") == "ports" else None
        for one in ranges if isinstance(ranges, list) else []:
            begin, end = _at(one, "begin"), _at(one, "end")
            if isinstance(begin, int) and isinstance(end, int):
                found += range(begin, min(end + 1, begin + PORT_LIMIT))
    return found[:PORT_LIMIT]


def _container_address(task: Mapping[str, Any]) -> str:
    networks = _at(_newest_status(task), "container_status", "network_infos")
    for network in networks if isinstance(networks, list) else []:
        addresses = _at(network, "ip_addresses")
        for address in addresses if isinstance(addresses, list) else []:
            if found := text_at(address, "ip_address"):
                return found
    return ""


def _newest_status(task: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = task.get("statuses")
    newest = statuses[-1] if isinstance(statuses, list) and statuses else None
    return newest if isinstance(newest, dict) else {}


def _texts(labels: object) -> dict[str, str]:
    """Read Mesos' labels, `{"labels": [{"key": …, "value": …}]}`."""
    listed = _at(labels, "labels")
    if listed is None:
        return {}
    if not isinstance(listed, list) or not all(isinstance(text_at(one, "key"), str) for one in listed):
        raise ValueError("labels must be a list of objects with key and value")
    return {text_at(one, "key"): text_at(one, "value") for one in listed}


def task_id(task: Mapping[str, Any]) -> str:
    """Return the identity of a task; empty when it has none."""
    return text_at(task, "task_id", "value")


def text_at(holder: object, *steps: str) -> str:
    """Return the text that is some steps away, and an empty one where there is none."""
    value = _at(holder, *steps)
    return value if isinstance(value, str) else ""


def _at(holder: object, *steps: str) -> Any:
    for step in steps:
        holder = holder.get(step) if isinstance(holder, dict) else None
    return holder
