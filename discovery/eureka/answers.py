"""Read what Eureka answers to `apps` and `apps/delta`: the applications, and in them their instances.

    {"applications": {"versions__delta": "1", "apps__hashcode": "DOWN_1_UP_5_", "application": [
        {"name": "ORDERS", "instance": [{"instanceId": "orders-1", "status": "UP", "actionType": "ADDED", …}]}]}}

The underscores are doubled by Eureka's codec unless somebody configured it otherwise. A list of one may stand there as
the one alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.eureka.client import EurekaError
from discovery.eureka.entries import Entry, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAKES_OUT = "DELETED"  # ADDED and MODIFIED both put an instance in the place of what was known of it


@dataclass(frozen=True, slots=True)
class Answer:
    """`hash` says how many instances of each status the server holds: `DOWN_1_UP_5_`. `taken_out` is a delta's word."""

    hash: str
    entries: tuple[Entry, ...]
    taken_out: tuple[bool, ...]


def read_answer(body: bytes) -> Answer:
    """Return what an answer says; raise EurekaError when it makes no sense."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EurekaError(f"the answer is no JSON: {error}") from error
    applications = told.get("applications") if isinstance(told, dict) else None
    if not isinstance(applications, dict):
        raise EurekaError(f"applications must be an object, not {show(applications)}; is this the URL of Eureka's API?")
    code = applications.get("apps__hashcode", applications.get("apps_hashcode"))
    if not isinstance(code, str):
        raise EurekaError(f"apps__hashcode must be a text, not {show(code)}; is this the URL of Eureka's API?")
    entries: list[Entry] = []
    taken_out: list[bool] = []
    for app, instance in _instances(applications):
        entries.append(read_entry(app, instance))
        taken_out.append(instance.get("actionType") == TAKES_OUT)
    return Answer(code, tuple(entries), tuple(taken_out))


def _instances(applications: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for application in _objects(applications, "application"):
        name = application.get("name")
        if not isinstance(name, str):
            raise EurekaError(f"an application's name must be a text, not {show(name)}")
        for instance in _objects(application, "instance"):
            yield name, instance


def _objects(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects, of which a single one may stand there alone, and none at all may be left out."""
    value = holder.get(key)
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise EurekaError(f"{key} must be a list of objects, not {show(value)}")
    return value
