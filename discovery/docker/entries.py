"""Read what `docker inspect` says of a container: the instance that it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from discovery.engine.answers import section, text, texts
from discovery.engine.labels import PREFIX, port_of, read_labels
from discovery.instance import Availability, Instance, first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PORT = re.compile(r"([0-9]{1,5})/tcp")
_EVERYWHERE = ("", "0.0.0.0", "::")  # a published port is bound to all addresses of the host
# What `docker stop` may be told to send, where the number differs from the name only.
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28}
TERM, KILL = 15, 9


@dataclass(frozen=True, slots=True)
class Terms:
    """How containers are to be read.

    `address` says whether requests go to the container's own address, on `network` if it has several, or to the port
    of the host that it published. `host` is the host's address, for those and for containers on the host's network.
    `port` is of containers whose labels name none.
    """

    host: str = "127.0.0.1"
    address: Literal["container", "published"] = "container"
    network: str = ""
    port: int | None = None
    prefix: str = PREFIX


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs: an instance, or what is wrong with it; `ends_by` are the signals that tell it to end."""

    name: str
    labels: Mapping[str, str]
    instance: Instance | None
    complaint: str = ""
    ends_by: frozenset[int] = field(default_factory=lambda: frozenset([TERM, KILL]))


def read_container(answer: Mapping[str, Any], terms: Terms) -> Container | None:
    """Return what `docker inspect` says of a container; None if it does not run."""
    state = section(answer, "State")
    status = text(state, "Status")
    if status not in ("running", "paused"):
        return None
    labels = texts(section(answer, "Config", "Labels"))
    name = first_line(text(answer, "Name").removeprefix("/") or text(answer, "Id")[:12]) or "a container without a name"
    ends_by = frozenset([TERM, KILL, *_signal(text(section(answer, "Config"), "StopSignal"))])
    try:
        instance = _instance(one_line("the name", name), answer, labels, terms)
    except ValueError as error:
        return Container(name, labels, None, f"{name}: {error}", ends_by)
    return Container(name, labels, instance, ends_by=ends_by)


def _instance(name: str, answer: Mapping[str, Any], labels: Mapping[str, str], terms: Terms) -> Instance:
    said = read_labels(labels, terms.prefix)
    bindings = section(answer, "NetworkSettings", "Ports")
    if terms.address == "published":
        given = said.port if said.port is not None else terms.port
        address, port = _published(bindings, given, terms)
    else:
        address = _address(answer, said.network or terms.network, terms)
        exposed = section(answer, "Config", "ExposedPorts")
        port = port_of(said, terms.port, _tcp_ports({**exposed, **bindings}), terms.prefix)
    availability, reason = _state(section(answer, "State"))
    return Instance(
        id=name,
        address=address,
        port=port,
        weight=said.weight,
        zone=said.zone,
        tags=said.tags,
        metadata=said.metadata,
        availability=availability,
        reason=reason,
    )


def _state(state: Mapping[str, Any]) -> tuple[Availability, str]:
    if text(state, "Status") == "paused":
        return Availability.DOWN, "Docker says paused"
    health = text(section(state, "Health"), "Status")
    if health in ("", "none", "healthy"):
        return Availability.UP, ""
    return Availability.DOWN, f"Docker says {first_line(health)}"


def _address(answer: Mapping[str, Any], wanted: str, terms: Terms) -> str:
    mode = text(section(answer, "HostConfig"), "NetworkMode")
    if mode == "host":
        return terms.host
    if mode.startswith("container:"):
        raise ValueError(
            "it has the network of another container and no address of its own; put the labels on that one"
        )
    networks = section(answer, "NetworkSettings", "Networks")
    if not wanted:
        if not networks:
            raise ValueError("it is on no network")
        if len(networks) > 1:
            listed = ", ".join(first_line(name) for name in sorted(networks)[:10])
            raise ValueError(
                f"its networks are {listed}; say which one with the label {terms.prefix}network or the key network"
            )
        (wanted,) = networks
    network = section(networks, wanted)
    address = text(network, "IPAddress") or text(network, "GlobalIPv6Address")
    if not address:
        raise ValueError(f"it has no address on the network {first_line(wanted)}")
    return one_line("its address", address)


def _published(bindings: Mapping[str, Any], given: int | None, terms: Terms) -> tuple[str, int]:
    """Return where the host takes connections for a port of the container."""
    published = {port: list(_bindings(bindings[f"{port}/tcp"])) for port in _tcp_ports(bindings)}
    published = {port: places for port, places in published.items() if places}
    if given is None:
        if not published:
            raise ValueError("it has no published port")
        if len(published) > 1:
            listed = ", ".join(map(str, sorted(published)[:10]))
            raise ValueError(
                f"its published ports are {listed}; say which one with the label {terms.prefix}port or the key port"
            )
        (given,) = published
    if given not in published:
        raise ValueError(f"its port {given} is not published")
    address, port = published[given][0]
    return (terms.host if address in _EVERYWHERE else address), port


def _bindings(places: object) -> Iterator[tuple[str, int]]:
    for place in places if isinstance(places, list) else ():
        if isinstance(place, dict):
            port = text(place, "HostPort")
            if port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65535:
                yield one_line("the address of its port", text(place, "HostIp")), int(port)


def _tcp_ports(ports: Mapping[str, Any]) -> Iterator[int]:
    for port in ports:
        found = _PORT.fullmatch(port)
        if found is not None and 0 < int(found[1]) <= 65535:
            yield int(found[1])


def _signal(name: str) -> tuple[int, ...]:
    """Return the signal that `docker stop` sends, if the container has one of its own: `SIGQUIT`, `QUIT`, `3`."""
    if name.isascii() and name.isdecimal():
        return (int(name[:3]),)
    number = _SIGNALS.get(name.upper().removeprefix("SIG"))
    return () if number is None else (number,)
