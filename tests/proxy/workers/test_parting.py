"""Limits that hold for all clients together are divided among the workers, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.load import parse
from proxy.workers.parting import DIVIDED, part_of

LIMITS = {"connections": 100, "connections_per_client": 3, "in_flight": 10, "in_flight_per_endpoint": 1, "queue": 7}


def parsed(**more: Any) -> Any:
    config = {
        "listeners": [{"bind": "127.0.0.1:0", "limits": {"connections": 5}}],
        "routes": [{"service": "web"}],
        "services": {"web": {"discovery": {"static": ["127.0.0.1:9"]}, "limits": {"in_flight": 4, "queue": 0}}},
        **more,
    }
    return parse(json.dumps(config), name="test", folder=Path.cwd(), environ={})


def test_each_part_is_rounded_up() -> None:
    parted = part_of(parsed(limits=LIMITS), 2)
    found = {key: getattr(parted.limits, key) for key in LIMITS}
    assert found == {
        "connections": 50,
        "connections_per_client": 2,
        "in_flight": 5,
        "in_flight_per_endpoint": 1,
        "queue": 4,
    }
    assert set(LIMITS) < set(DIVIDED)


def test_so_are_those_of_listeners_and_services() -> None:
    parted = part_of(parsed(), 3)
    assert parted.listeners[0].limits.connections == 2
    assert parted.services["web"].limits.in_flight == 2


def test_what_is_unlimited_stays_so_and_all_else_too() -> None:
    whole = parsed(limits={"headers": "32KiB", "queue": 0})
    parted = part_of(whole, 4)
    assert parted.limits == whole.limits
    assert parted.services["web"].limits.queue == 0
    assert parted.routes == whole.routes
