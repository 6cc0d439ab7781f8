"""A second thing that some registries can do: say which services they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Listed:
    """A service that a registry holds: its name, as `watch` takes it, and what the list itself tells of it.

    `instances` is None where the registry would have to be asked for each service.
    """

    name: str
    instances: int | None = None
    tags: tuple[str, ...] = ()


@runtime_checkable
class Catalog(Protocol):
    """A registry that can list its services."""

    async def services(self, below: str) -> tuple[Listed, ...]:
        """List the services, by name; where names are paths, those `below` one.

        Raises RegistryError when the registry cannot be read.
        """
        ...
