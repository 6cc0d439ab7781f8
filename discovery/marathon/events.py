"""Marathon's stream of events, as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Marathon does not promise their order, so nothing is learned from an event but that an app must be read again.
"""

from __future__ import annotations

import json

from config.units import show

# The events that may change which tasks of an app take requests; the others, deployments' steps for one, are many.
TYPES = (
    "status_update_event",
    "health_status_changed_event",
    "instance_changed_event",
    "instance_health_changed_event",
    "unknown_instance_terminated_event",
    "app_terminated_event",
    "api_post_event",
    "deployment_success",
)
LINE_LIMIT = 4 * 2**20  # bytes; api_post_event holds the whole definition of an app


class Events:
    """Takes the stream in as it comes, and tells which apps it speaks of."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Return the app of each event that is whole now, and an empty text for one that names none.

        Raises ValueError when the stream is no stream of events.
        """
        self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        apps: list[str] = []
        for line in lines:
            text = bytes(line.removesuffix(b"\r"))
            if text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
            elif not text and self._data:
                apps.append(_app(b"\n".join(self._data)))
                self._data = []
        if len(self._rest) + sum(map(len, self._data)) > self._limit:
            raise ValueError(f"an event is larger than {self._limit} bytes")
        return apps


def _app(data: bytes) -> str:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"an event is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise ValueError(f"an event must be an object, not {show(event)}")
    definition = event.get("appDefinition")
    named = (
        event.get("appId") or event.get("runSpecId") or (definition.get("id") if isinstance(definition, dict) else "")
    )
    return named if isinstance(named, str) else ""
