"""What of a limit is a worker's: those that hold for all clients or requests together are divided among the workers.

Each part is rounded up, so that every worker lets at least one pass: all together let pass less than one more a worker.
"""

from __future__ import annotations

from typing import TypeVar

from config.listener import Listener
from config.model import Config
from config.service import Settings

L = TypeVar("L", Config, Listener, Settings)

DIVIDED = (
    "connections", "connections_per_client", "in_flight", "in_flight_per_endpoint", "queue", "queue_per_endpoint",
)  # fmt: skip


def part_of(config: Config, workers: int) -> Config:
    """Return a configuration by which each of so many workers does its part."""
    services = {name: _parted(one, workers) for name, one in config.services.items()}
    listeners = tuple(_parted(one, workers) for one in config.listeners)
    catalogs = tuple(one.model_copy(update={"settings": _parted(one.settings, workers)}) for one in config.catalogs)
    update = {"listeners": listeners, "services": services, "catalogs": catalogs}
    return _parted(config, workers).model_copy(update=update)


def _parted(level: L, workers: int) -> L:
    """Return a level of the configuration with its part of the limits that stand there."""
    limits = level.limits
    if limits is None:
        return level
    given = {key: getattr(limits, key, None) for key in DIVIDED}
    parts = {key: -(-most // workers) for key, most in given.items() if most}
    return level.model_copy(update={"limits": limits.model_copy(update=parts)})
