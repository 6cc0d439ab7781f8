"""The bounded journal of what happened to membership and health, and why."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass

_log = logging.getLogger("pointsman.events")

SIZE = 2000  # events kept
_WARNINGS = frozenset(["certificate_failed", "certificate_refused", "ejected", "panic", "unbalanced"])


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `number` counts from 1, `time` is seconds since 1970."""

    number: int
    time: float
    service: str
    kind: str
    endpoint: str
    reason: str


class Journal:
    """Keeps the last events."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=SIZE)
        self._number = 0

    def keep(self, service: str, kind: str, endpoint: str, reason: str) -> Event:
        """Add an event that whoever tells of it has logged already."""
        self._number += 1
        event = Event(self._number, time.time(), service, kind, endpoint, reason)
        self._events.append(event)
        return event

    def record(self, service: str, kind: str, endpoint: str, reason: str) -> None:
        """Add an event, and log it."""
        event = self.keep(service, kind, endpoint, reason)
        level = logging.WARNING if kind in _WARNINGS else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, _sentence(event), extra={"service": service, "event": kind, "endpoint": endpoint})

    def since(self, number: int, service: str = "", limit: int = SIZE) -> list[Event]:
        """List the events after `number`, oldest first; the newest `limit` of them."""
        found = [event for event in self._events if event.number > number and service in ("", event.service)]
        return found[-limit:] if limit else []


def _sentence(event: Event) -> str:
    who = f"{event.service}: {event.endpoint} {event.kind}" if event.endpoint else f"{event.service}: {event.kind}"
    return f"{who}, {event.reason}" if event.reason else who
