"""A master's events in the documented format. No real one was to be had: Mesos is retired, and nobody packages it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("recorded.jsonl").read_text().splitlines()
]


def record(event: object) -> bytes:
    """Write an event as the stream holds it."""
    text = json.dumps(event, ensure_ascii=False).encode()
    return str(len(text)).encode() + b"\n" + text


def subscribed(*tasks: dict[str, Any]) -> dict[str, Any]:
    """A master's state with these tasks, all of an agent at 10.0.0.1."""
    agents = [{"agent_info": {"hostname": "10.0.0.1", "id": {"value": "a-1"}}}]
    state = {"get_tasks": {"tasks": list(tasks)}, "get_agents": {"agents": agents}}
    return {"type": "SUBSCRIBED", "subscribed": {"get_state": state}}


def task(identity: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "task_id": {"value": identity},
        "agent_id": {"value": "a-1"},
        "framework_id": {"value": "f-1"},
        "state": "TASK_RUNNING",
        "resources": [{"name": "ports", "ranges": {"range": [{"begin": 31000, "end": 31000}]}}],
        **more,
    }


def updated(identity: str, state: str, **status: Any) -> dict[str, Any]:
    told = {"task_id": {"value": identity}, "state": state, **status}
    return {"type": "TASK_UPDATED", "task_updated": {"status": told, "state": state}}
