"""The seam between pointsman and a registry: one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from discovery.instance import Snapshot


class RegistryError(Exception):
    """The registry could not be read: away, refusing, or answering nonsense. The text says what to look at."""


class Registry(Protocol):
    """A place that knows who exists."""

    def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield the service's snapshots for ever: the present one first, then one at each answer of the registry.

        An answer that changed nothing may be yielded too: it tells the keeper that the registry is alive.
        Raises RegistryError when the registry cannot be read; the keeper then calls `watch` again, after a back-off.
        An implementation therefore needs no retry of its own, and must release what it holds when it is closed.
        """
        ...
