"""What is known of an engine's containers, and what follows from its events and answers.

Nothing here waits or reads a clock: the registry asks and passes on.

`docker stop` sends a signal, waits, and kills. The event of the signal comes first, when the container still answers:
from then on it drains. A container that goes on in spite of it is up again after PATIENCE.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from discovery.docker.entries import Container, Terms, read_container
from discovery.engine.answers import EngineError, objects, text
from discovery.engine.events import MEMORY
from discovery.engine.labels import has_labels
from discovery.instance import Availability, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from discovery.engine.events import Event
    from discovery.instance import Instance

CONTAINER_LIMIT = 20_000  # that have the labels of one service
HANGING_LIMIT = 10  # containers that the engine cannot tell of in time; with more, it is the engine that hangs
PATIENCE = MEMORY  # seconds that `docker stop` may wait; a stream that begins anew knows no older signals

_ENDS = ("die", "destroy")
_SIGNALS_KEPT = 1000  # of containers that were told to end


class Containers:
    """The containers that have all `wanted` labels.

    `listed` and `happened` return the identities of the containers that have to be looked at; what `docker inspect`
    says of them goes to `inspected`. A list alone tells no health. Times are seconds since 1970 by the engine's clock;
    what happened before `began` is no news, and tells only who was told to end.
    """

    def __init__(self, wanted: Mapping[str, str], terms: Terms, began: float) -> None:
        self._wanted = wanted
        self._began = began
        self._terms = terms
        self._known: dict[str, Container] = {}
        self._rows: dict[str, tuple[object, ...]] = {}  # what the last list said of each
        self._signals: dict[str, dict[int, float]] = {}  # the signals that a container got, and when
        self._unanswered: dict[str, str] = {}

    def listed(self, answer: object) -> list[str]:
        """Take a list; those that it does not hold are gone."""
        rows = {text(row, "Id"): _told(row) for row in objects(answer, "the list of containers")}
        rows.pop("", None)
        if len(rows) > CONTAINER_LIMIT:
            raise EngineError(f"there are more than {CONTAINER_LIMIT} containers with these labels")
        before, self._rows = self._rows, rows
        for identity in [identity for identity in self._known if identity not in rows]:
            self.gone(identity)
        self._unanswered = {identity: name for identity, name in self._unanswered.items() if identity in rows}
        return [identity for identity, row in rows.items() if before.get(identity) != row]

    def happened(self, events: Iterable[Event]) -> list[str] | None:
        """Take events in their order; return None if none of them concerns these containers."""
        looked_at: dict[str, None] = {}
        is_news = False
        for event in events:
            if event.type != "container" or not self._concerns(event):
                continue
            is_news = True
            if event.action == "kill":
                self._told_to_end(event)
            elif event.action in ("start", *_ENDS):
                self._signals.pop(event.id, None)
            if event.time < self._began:
                continue
            if event.action in _ENDS:
                self.gone(event.id)
                looked_at.pop(event.id, None)
            elif event.action != "kill":
                looked_at[event.id] = None
        return list(looked_at) if is_news else None

    def inspected(self, identity: str, answer: Mapping[str, Any] | None) -> None:
        """Take what `docker inspect` says of a container; None if it is gone."""
        self._unanswered.pop(identity, None)
        container = None if answer is None else read_container(answer, self._terms)
        if container is None or not has_labels(container.labels, self._wanted):
            self._known.pop(identity, None)
        else:
            self._known[identity] = container

    def unanswered(self, identity: str, complaint: str) -> None:
        """Take that the engine did not say in time how a container is: what was known of it holds."""
        known = self._known.get(identity)
        if len(self._unanswered) >= HANGING_LIMIT:
            raise EngineError(f"more than {HANGING_LIMIT} containers cannot be looked at: {complaint}")
        self._unanswered[identity] = f"{known.name if known else identity[:12]}: {complaint}"
        self._rows.pop(identity, None)  # the next list has it looked at again

    def gone(self, identity: str) -> None:
        self._known.pop(identity, None)
        self._rows.pop(identity, None)
        self._signals.pop(identity, None)
        self._unanswered.pop(identity, None)

    def snapshot(self, service: str, now: float, *, continuous: bool) -> Snapshot:
        """Return all that run."""
        instances: list[Instance] = []
        unreadable = list(self._unanswered.values())
        for identity, container in self._known.items():
            if container.instance is None:
                unreadable.append(container.complaint)
            elif self._is_ending(identity, container, now):
                instances.append(
                    dataclasses.replace(
                        container.instance, availability=Availability.DRAINING, reason="Docker told it to end"
                    )
                )
            else:
                instances.append(container.instance)
        instances.sort(key=lambda instance: instance.id)
        return Snapshot(service, tuple(instances), "", continuous, tuple(sorted(unreadable)))

    def _concerns(self, event: Event) -> bool:
        if event.id in self._known or event.id in self._unanswered:
            return True
        return has_labels(event.attributes, self._wanted)  # an event has the container's labels among its attributes

    def _told_to_end(self, event: Event) -> None:
        number = event.attributes.get("signal", "")
        if number.isascii() and number.isdecimal() and len(number) < 3:  # there are 64
            if event.id not in self._signals and len(self._signals) >= _SIGNALS_KEPT:
                del self._signals[next(iter(self._signals))]
            self._signals.setdefault(event.id, {})[int(number)] = event.time

    def _is_ending(self, identity: str, container: Container, now: float) -> bool:
        signals = self._signals.get(identity, {})
        return any(number in container.ends_by and now < since + PATIENCE for number, since in signals.items())


def _told(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what of a list's row changes when the container has to be looked at again."""
    status = text(row, "Status")  # `Up 3 minutes (healthy)`
    names, networks = row.get("Names"), row.get("NetworkSettings")
    return str(names), text(row, "State"), status.partition("(")[2], str(networks)
