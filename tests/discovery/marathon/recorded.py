"""An app and events in the documented formats. No real one was to be had: it is retired, and nobody packages it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
STREAM = (_FOLDER / "recorded.sse").read_bytes()


def answer(**more: Any) -> dict[str, Any]:
    """The recorded app, some of its fields replaced."""
    recorded: dict[str, Any] = json.loads((_FOLDER / "recorded.json").read_text())
    return {"app": {**recorded["app"], **more}}


def tasks(*numbers: int) -> dict[str, Any]:
    """An app without health checks that has these tasks."""
    return {
        "app": {
            "id": "/shop/web",
            "tasks": [
                {"id": f"web.{number}", "host": "10.0.0.1", "ports": [31000 + number], "state": "TASK_RUNNING"}
                for number in numbers
            ],
        }
    }


def event(app: str = "/shop/web") -> bytes:
    told = {"eventType": "status_update_event", "appId": app}
    return f"event: status_update_event\ndata: {json.dumps(told)}\n\n".encode()
