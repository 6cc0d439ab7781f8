"""Read what a Swarm says of a service: its tasks as instances, or its virtual address as the only one."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from discovery.engine.answers import objects, section, text, texts
from discovery.engine.labels import PREFIX, Said, port_of, read_labels
from discovery.instance import Availability, Instance, first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

INGRESS = "ingress"  # leads to published ports only, and through Swarm's own balancing
HOST = "host"
TASK_LIMIT = 20_000  # of the services that one watch follows
_ENDING = ("shutdown", "remove")  # what is wanted of a task that is to end


class NoAddressError(ValueError):
    """There is no address at all; a service that was made just now has none for a moment."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How services are to be read: their tasks or their virtual addresses, on `network` if they have several.

    `port` is of services whose labels name none.
    """

    mode: Literal["tasks", "vip"] = "tasks"
    network: str = ""
    port: int | None = None
    prefix: str = PREFIX


@dataclass(frozen=True, slots=True)
class Service:
    """A service, and what its labels say."""

    id: str
    name: str
    said: Said
    answer: Mapping[str, Any]


def read_service(answer: Mapping[str, Any], terms: Terms) -> Service:
    """Return a service; raise ValueError when its name or its labels make no sense."""
    spec = section(answer, "Spec")
    name = one_line("the name", text(spec, "Name"))
    return Service(text(answer, "ID"), name, read_labels(texts(section(spec, "Labels")), terms.prefix), answer)


def service_name(answer: Mapping[str, Any]) -> str:
    """Return what may be shown of a service's name."""
    return first_line(text(section(answer, "Spec"), "Name")) or "a service without a name"


def read_vip(service: Service, networks: Mapping[str, str], terms: Terms) -> Instance:
    """Return the instance that a virtual address is; raise ValueError where there is none.

    `networks` are the names of the networks, by their identities.
    """
    specs = section(service.answer, "Endpoint", "Spec"), section(service.answer, "Spec", "EndpointSpec")
    if any(text(spec, "Mode") == "dnsrr" for spec in specs):
        raise ValueError("its endpoint mode is dnsrr, which has no virtual address; use mode: tasks")
    wanted = service.said.network or terms.network
    found: dict[str, str] = {}
    for one in objects(section(service.answer, "Endpoint").get("VirtualIPs"), "VirtualIPs"):
        name = networks.get(text(one, "NetworkID"), text(one, "NetworkID"))
        if text(one, "Addr") and (name != INGRESS or wanted == INGRESS):
            found[name] = _address(text(one, "Addr"))
    running = section(service.answer, "ServiceStatus").get("RunningTasks")
    return _instance(
        service.name,
        _choose(found, wanted, terms, "virtual address"),
        service,
        terms,
        is_down="no task of it runs" if running == 0 else "",
    )


def read_task(task: Mapping[str, Any], service: Service, nodes: Mapping[str, str], terms: Terms) -> Instance | None:
    """Return the instance that a task is, or None if it does not run; raise ValueError when it makes no sense.

    `nodes` are the addresses of the nodes by their identities, for tasks on their node's network.
    """
    if text(section(task, "Status"), "State") != "running":
        return None
    wanted = service.said.network or terms.network
    addresses = dict(_attachments(task, nodes))
    if wanted != INGRESS:
        addresses.pop(INGRESS, None)
    desired = text(task, "DesiredState")
    return _instance(
        one_line("the name", task_name(task, service.name)),
        _choose(addresses, wanted, terms, "address"),
        service,
        terms,
        is_draining=f"Swarm wants it {'removed' if desired == 'remove' else desired}" if desired in _ENDING else "",
    )


def task_name(task: Mapping[str, Any], service: str) -> str:
    """Return the name of the task's container: `web.2.` and the task's identity; `web.` and the node's if global."""
    slot = task.get("Slot")
    place = str(slot) if isinstance(slot, int) and slot else text(task, "NodeID")
    return first_line(f"{service}.{place}.{text(task, 'ID')}")


def on_host(task: Mapping[str, Any]) -> bool:
    """Tell whether a task is on its node's network, so that the node's address has to be known."""
    attachments = objects(task.get("NetworksAttachments"), "NetworksAttachments")
    return any(_network_name(one) == HOST for one in attachments)


def read_nodes(answer: object) -> dict[str, str]:
    """Return the addresses of the nodes, by their identities."""
    return {
        text(node, "ID"): first_line(text(section(node, "Status"), "Addr")) for node in objects(answer, "the nodes")
    }


def read_networks(answer: object) -> dict[str, str]:
    """Return the names of the networks, by their identities."""
    return {text(one, "Id"): first_line(text(one, "Name")) for one in objects(answer, "the networks")}


def exposed_ports(service: Service) -> Iterator[int]:
    """Yield the ports that the service's own containers listen on, as far as its published ports tell."""
    for port in objects(section(service.answer, "Endpoint").get("Ports"), "Ports"):
        target = port.get("TargetPort")
        if port.get("Protocol", "tcp") == "tcp" and isinstance(target, int) and 0 < target <= 65535:
            yield target


def _instance(
    identity: str, address: str, service: Service, terms: Terms, *, is_draining: str = "", is_down: str = ""
) -> Instance:
    said = service.said
    availability = Availability.DRAINING if is_draining else Availability.DOWN if is_down else Availability.UP
    return Instance(
        id=identity,
        address=address,
        port=port_of(said, terms.port, exposed_ports(service), terms.prefix),
        weight=said.weight,
        zone=said.zone,
        tags=said.tags,
        metadata=said.metadata,
        availability=availability,
        reason=is_draining or is_down,
    )


def _attachments(task: Mapping[str, Any], nodes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the task's networks and its address on each."""
    for one in objects(task.get("NetworksAttachments"), "NetworksAttachments"):
        name = _network_name(one)
        addresses = one.get("Addresses")
        if name == HOST:
            if address := nodes.get(text(task, "NodeID")):
                yield name, address
        elif isinstance(addresses, list) and addresses:
            yield name, _address(addresses[0])


def _network_name(attachment: Mapping[str, Any]) -> str:
    return first_line(text(section(attachment, "Network", "Spec"), "Name"))


def _choose(addresses: Mapping[str, str], wanted: str, terms: Terms, what: str) -> str:
    if not addresses:
        raise NoAddressError(f"it has no {what} on any network" + ("" if wanted == INGRESS else f" but {INGRESS}"))
    if wanted:
        if wanted not in addresses:
            raise ValueError(f"it has no {what} on the network {first_line(wanted)}, but on {_listed(addresses)}")
        return addresses[wanted]
    if len(addresses) > 1:
        raise ValueError(
            f"it has a{'n' * (what[0] == 'a')} {what} on each of the networks {_listed(addresses)}; say which one with "
            f"the label {terms.prefix}network or the key network"
        )
    return next(iter(addresses.values()))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:10])


def _address(written: object) -> str:
    """Return the address out of `10.0.0.5/24`."""
    try:
        return str(ipaddress.ip_interface(written if isinstance(written, str) else "").ip)
    except ValueError:
        raise ValueError(f"its address {first_line(written) or 'is none'} makes no sense") from None
