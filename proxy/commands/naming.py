"""Which registry is meant by `consul:http://127.0.0.1:8500` on the command line, or by a service of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from config.discovery import SOURCES
from config.errors import suggest
from proxy import registries
from proxy.commands.running import config_of, end_with, load_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from config.discovery import Discovery
    from discovery.registry import Registry

SERVICE = "service"  # what a service without a name of its own is called here


@dataclass(frozen=True, slots=True)
class Spelling:
    """Which keys of a registry stand on the command line: `KIND:ADDRESS NAME`.

    `address` is the key that follows the colon, a list if it is `several`, parted by commas; `name` is the one that the
    name is for. Empty ones there are none.
    """

    address: str = ""
    name: str = ""
    several: bool = False


# A registry that is not here is told by its keys alone: -o KEY=VALUE.
SPELLINGS = {
    "consul": Spelling("address", "service"),
    "etcd": Spelling("endpoints", "prefix", several=True),
    "eureka": Spelling("urls", "app", several=True),
    "zookeeper": Spelling("hosts", "path", several=True),
    "kubernetes": Spelling("kubeconfig", "service"),
    "docker": Spelling("engine", "service"),
    "swarm": Spelling("engine", "service"),
    "mesos": Spelling("masters", "task", several=True),
    "marathon": Spelling("urls", "app", several=True),
    "dns": Spelling("servers", "name", several=True),
    "http": Spelling("url"),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A registry, and the name to watch there; `kind` is the registry's key in the configuration."""

    kind: str
    registry: Registry
    name: str


def named(text: str, name: str, keys: Mapping[str, Any]) -> Named:
    """Make the registry that a word stands for, to be asked for the service `name`; ends the process if it cannot.

    `keys` are what more is to be said of it, as in the configuration file.
    """
    kind, _, address = text.partition(":")
    if kind not in SOURCES or kind == "static":
        known = [other for other in SOURCES if other != "static"]
        raise click.UsageError(f"there is no registry {kind!r}; {suggest(kind, known, 'there are')}")
    source = address if kind == "file" else _keys(SPELLINGS.get(kind, Spelling()), address, name, keys)
    config = config_of(
        {
            "listeners": [{"bind": "127.0.0.1:1"}],  # which nobody binds: it only completes the configuration
            "routes": [{"service": SERVICE}],
            "services": {SERVICE: {"discovery": {kind: source}}},
        }
    )
    (found,) = config.services[SERVICE].sources
    return _made(name or SERVICE, found)


def of_file(file: Path, service: str) -> list[Named]:
    """Make the registries of a service of a configuration file; ends the process if there is no such service."""
    config = load_config(file)
    wanted = config.services.get(service)
    if wanted is None:
        hint = suggest(service, config.services, "there are")
        end_with(f"{file}: there is no service {service!r}; {hint}")
    return [_made(service, source) for source in wanted.sources]


def _keys(spelling: Spelling, address: str, name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if address:
        if not spelling.address:
            raise click.UsageError("this registry has no address; say what is needed by -o KEY=VALUE")
        found[spelling.address] = address.split(",") if spelling.several else address
    if name and spelling.name:
        found[spelling.name] = name
    return found | dict(keys)


def _made(service: str, source: Discovery) -> Named:
    registry, name = registries.make(service, source)
    return Named(source.kind, registry, name)
