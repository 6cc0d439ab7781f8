"""CPU time and memory of who follows many services, at rest and while instances change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.accounting import usage
from bench.control.wire import Wire, WireError, request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY = 60.0  # seconds that a proxy has to know of all services


@dataclass(frozen=True, slots=True)
class Window:
    """What a proxy used in some seconds, and what Consul used for it and for the changes; memory in bytes."""

    seconds: float
    cpu: float
    consul: float
    peak_memory: int
    changes: int

    @property
    def share(self) -> float:
        """Of a core that the proxy used."""
        return self.cpu / self.seconds

    @property
    def consul_share(self) -> float:
        """Of a core that Consul used."""
        return self.consul / self.seconds


@dataclass(frozen=True, slots=True)
class Load:
    """What following the crowd costs a proxy."""

    proxy: str
    ready: float
    """Seconds from its start until it routed to all services."""
    rest: Window
    changing: Window


def watch(proxy: int, consul: int, meanwhile: Callable[[], int]) -> Window:
    """See what two processes use while something is done, which returns how many changes that were."""
    begun, ours, theirs = time.monotonic(), usage(proxy), usage(consul)
    changes = meanwhile()
    seconds = time.monotonic() - begun
    after = usage(proxy)
    cpu, by_consul = after.cpu_seconds - ours.cpu_seconds, usage(consul).cpu_seconds - theirs.cpu_seconds
    return Window(seconds, cpu, by_consul, after.peak_memory, changes)


def wait_for_all(port: int, services: Sequence[str], running: Callable[[], bool], deadline: float = READY) -> None:
    """Wait until each of the services is answered for with 200. Raises TimeoutError, which says which one was not."""
    give_up = time.monotonic() + deadline
    with Wire(port) as wire:
        for service in services:
            head = request("/", host=service)
            while not _answers(wire, head):
                if not running() or time.monotonic() > give_up:
                    state = f"did not route to {service} within {deadline:g} s" if running() else "ended"
                    raise TimeoutError(state)
                time.sleep(0.05)


def _answers(wire: Wire, head: bytes) -> bool:
    try:
        return wire.ask(head).status == 200
    except (OSError, WireError):
        return False
