"""The instances that the tasks of a Marathon app are: `GET /v2/apps/ID?embed=app.tasks`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.units import parse_address, show
from discovery.instance import Availability, Instance, first_line, one_line
from discovery.labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which port and address of an app's tasks is meant.

    `port` is the name of a port in the app's definition, or its place from 0. `in_container` means the task's own
    address and the container's port, not the agent's.
    """

    port: str | int = 0
    in_container: bool = False


def read_app(answer: object, wanted: Wanted) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Return the instances, and what is wrong with each task that makes no sense.

    Raises ValueError when the answer is no app, or the app has no such port.
    """
    app = answer.get("app") if isinstance(answer, dict) else None
    if not isinstance(app, dict):
        raise ValueError(f"the answer must be an object with the key app, not {show(answer)}; is this Marathon's API?")
    tasks = app.get("tasks") or []
    if not isinstance(tasks, list):
        raise ValueError(f"tasks must be a list, not {show(tasks)}")
    place, container_port = _port(app, wanted.port)
    instances: list[Instance] = []
    unreadable: list[str] = []
    for number, task in enumerate(tasks, 1):
        try:
            instances.append(_read_task(task, app, place, container_port if wanted.in_container else None))
        except ValueError as error:
            name = first_line(task.get("id")) if isinstance(task, dict) else ""
            unreadable.append(f"{name or f'task {number}'}: {error}")
    return tuple(instances), tuple(unreadable)


def _read_task(task: object, app: Mapping[str, Any], place: int, container_port: int | None) -> Instance:
    """Read a task; with a `container_port` at its own address, else at its agent's."""
    if not isinstance(task, dict):
        raise ValueError(f"must be an object, not {show(task)}")
    labels = _texts(app.get("labels"))
    ours = read_labels(labels)
    if container_port is None:
        host, port = task.get("host"), _task_port(task, place)
    else:
        addresses = task.get("ipAddresses")
        first = addresses[0] if isinstance(addresses, list) and addresses else None
        host, port = first.get("ipAddress") if isinstance(first, dict) else None, container_port
    if not isinstance(host, str) or not host:
        raise ValueError("it has no address yet")
    found = parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    availability, reason = _state(task, app)
    if ours.draining and availability is Availability.UP:
        availability, reason = Availability.DRAINING, "the app's label pointsman.draining is true"
    identity = task.get("id")
    zone = task.get("zone")
    return Instance(
        id=one_line("id", identity) if isinstance(identity, str) and identity else str(found),
        address=found.host,
        port=found.port,
        weight=ours.weight,
        zone=ours.zone or (one_line("zone", zone) if isinstance(zone, str) else ""),
        tags=ours.tags,
        metadata=labels,
        availability=availability,
        reason=reason,
    )


def _state(task: Mapping[str, Any], app: Mapping[str, Any]) -> tuple[Availability, str]:
    """Say whether a task is ready: it runs, and each of its health checks has found it alive."""
    state = task.get("state", "TASK_RUNNING")  # Marathon before 1.0 listed running ones only, without a state
    if state == "TASK_KILLING":
        return Availability.DRAINING, "TASK_KILLING"
    if state != "TASK_RUNNING":
        return Availability.DOWN, first_line(state) or "it has no state"
    checks = app.get("healthChecks") or []
    results = task.get("healthCheckResults") or []
    if not isinstance(checks, list) or not isinstance(results, list):
        raise ValueError("healthChecks and healthCheckResults must be lists")
    if not checks:
        return Availability.UP, ""
    if any(isinstance(result, dict) and result.get("alive") is not True for result in results):
        return Availability.DOWN, "a health check fails"
    if len(results) < len(checks):
        return Availability.DOWN, "a health check has no result yet"
    return Availability.UP, ""


def _port(app: Mapping[str, Any], wanted: str | int) -> tuple[int, int | None]:
    """Return the place of the wanted port among those of a task, and its number inside of the container."""
    definitions = _definitions(app)
    if isinstance(wanted, str):
        names = [definition.get("name") for definition in definitions]
        if wanted not in names:
            shown = ", ".join(show(name) for name in names if name) or "none"
            raise ValueError(f"the app has no port named {show(wanted)}; its names are: {shown}")
        place = names.index(wanted)
    else:
        place = wanted
    if place >= len(definitions):
        return place, None
    number = definitions[place].get("containerPort") or definitions[place].get("port")
    return place, number if isinstance(number, int) and not isinstance(number, bool) else None


def _definitions(app: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the app's ports. Where they are written depends on its network and on Marathon's version."""
    container = app.get("container")
    container = container if isinstance(container, dict) else {}
    docker = container.get("docker")
    candidates = (
        container.get("portMappings"),
        docker.get("portMappings") if isinstance(docker, dict) else None,
        app.get("portDefinitions"),
    )
    listed = next((ports for ports in candidates if isinstance(ports, list) and ports), [])
    return [port for port in listed if isinstance(port, dict)]


def _task_port(task: Mapping[str, Any], place: int) -> int:
    ports = task.get("ports")
    numbers = ports if isinstance(ports, list) else []
    if place >= len(numbers):
        raise ValueError(f"it has {len(numbers)} ports, and so none at place {place}")
    number = numbers[place]
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"its port must be a number, not {show(number)}")
    return number


def _texts(labels: object) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("labels must be an object of texts")
    return labels
