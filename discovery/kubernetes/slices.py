"""What an API server holds of one service: the questions that find it out, and what follows from the answers.

Nothing here waits or reads a clock: the registry asks and passes on. A resourceVersion is a text that is only ever
given back, and never compared or counted.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.instance import Snapshot, first_line, one_line
from discovery.kubernetes.access import KubernetesError
from discovery.kubernetes.api import error_of
from discovery.kubernetes.choice import choose
from discovery.kubernetes.entries import Slice, read_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 20  # slices an answer, of a hundred endpoints mostly; reading them takes some ten milliseconds
SLICE_LIMIT = 10_000  # of one service
ENDPOINT_LIMIT = 100_000
LONGEST_TEXT = 4096  # characters of a resourceVersion and of what continues a list

Message = dict[str, Any]


class Pages:
    """The pages of a list of slices, all of one moment: `question` is asked and the answer read while it `has_more`."""

    def __init__(self, selector: str) -> None:
        self._selector = selector
        self._continue = ""
        self.has_more = True
        self.version = ""  # the resourceVersion of that moment

    def question(self) -> dict[str, str]:
        """Return the query of the next page."""
        question = {"labelSelector": self._selector, "limit": str(PAGE)}
        return {**question, "continue": self._continue} if self._continue else question

    def read(self, answer: Message) -> list[Message]:
        """Return the slices of a page."""
        metadata = _object(answer, "metadata")
        self.version = _opaque(metadata, "resourceVersion")
        items = answer.get("items")
        if items is None:  # Go writes an empty list so
            items = []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise KubernetesError(f"items must be a list of objects, not {show(items)}")
        self.has_more = bool(metadata.get("continue"))
        if self.has_more:
            if not items:
                raise KubernetesError("a page without slices says that there are more")
            self._continue = _opaque(metadata, "continue")
        return items


class Slices:
    """The slices of `service`, as far as the API server told.

    First the list is read, page after page: `list_question` is asked, and the answer given to `listed`, until there is
    no more. Then the events of the watch that `watch_question` opens go to `changed`, in order. Every method that reads
    an answer raises KubernetesError when it makes no sense, and GoneError when the slices must be listed anew.

    `port` is the name or the number of the port to use; None: the only one. `family` and `zone`: see choice.
    """

    def __init__(self, service: str, *, port: str | int | None = None, family: str = "auto", zone: str = "") -> None:
        self._service = service
        self._selector = f"kubernetes.io/service-name={service}"
        self._port = port
        self._family = family
        self._zone = zone
        self._pages = Pages(self._selector)
        self._slices: dict[str, Slice] = {}
        self._endpoints = 0
        self.version = ""  # the resourceVersion of the last change that is known

    def list_question(self) -> dict[str, str]:
        """Return the query of the next page."""
        return self._pages.question()

    def listed(self, answer: Message) -> bool:
        """Take a page, and tell whether there are more."""
        for item in self._pages.read(answer):
            self._put(item)
        self.version = self._pages.version
        return self._pages.has_more

    def watch_question(self, seconds: int) -> dict[str, str]:
        """Return the query that opens the watch of what follows, which the server ends after so many seconds."""
        return {
            "labelSelector": self._selector,
            "watch": "1",
            "resourceVersion": self.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }

    def changed(self, message: Message) -> None:
        """Take one event of the watch."""
        kind, entry = message.get("type"), _object(message, "object")
        match kind:
            case "ADDED" | "MODIFIED":
                self._put(entry)
            case "DELETED":
                self._drop(_name(entry))
            case "BOOKMARK":  # nothing of ours changed up to here
                pass
            case "ERROR":
                raise error_of(entry)
            case _:
                raise KubernetesError(f"the type of an event must be ADDED, MODIFIED or the like, not {show(kind)}")
        self.version = _opaque(_object(entry, "metadata"), "resourceVersion")

    def snapshot(self, *, continuous: bool) -> Snapshot:
        """Return the instances as they are known now."""
        ordered = [one for _, one in sorted(self._slices.items())]
        instances = choose(ordered, family=self._family, zone=self._zone)
        unreadable = itertools.chain.from_iterable(one.unreadable for one in ordered)
        return Snapshot(self._service, instances, self.version, continuous, tuple(unreadable))

    def _put(self, entry: Message) -> None:
        name = _name(entry)
        self._drop(name)
        one = read_slice(name, entry, self._port)
        self._slices[name] = one
        self._endpoints += len(one.endpoints) + len(one.unreadable)
        if len(self._slices) > SLICE_LIMIT or self._endpoints > ENDPOINT_LIMIT:
            raise KubernetesError(f"there are more than {SLICE_LIMIT} slices or {ENDPOINT_LIMIT} endpoints")

    def _drop(self, name: str) -> None:
        before = self._slices.pop(name, None)
        if before is not None:
            self._endpoints -= len(before.endpoints) + len(before.unreadable)


def _name(entry: Message) -> str:
    name = _object(entry, "metadata").get("name")
    try:
        if not isinstance(name, str) or not name:
            raise ValueError(f"it must be a text, not {show(name)}")
        return one_line("it", name)
    except ValueError as error:
        raise KubernetesError(f"a slice has no name: {error}") from error


def _opaque(holder: Mapping[str, Any], key: str) -> str:
    """Read a text that is given back as it is."""
    value = holder.get(key)
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT or not value.isprintable():
        raise KubernetesError(f"{key} must be a text, not {show(first_line(value) or value)}; is this Kubernetes?")
    return value


def _object(holder: Message, key: str) -> Message:
    value = holder.get(key)
    if not isinstance(value, dict):
        raise KubernetesError(f"{key} must be an object, not {show(value)}; is this Kubernetes?")
    return value
