"""Read what one key below an etcd prefix says: an instance in JSON, or `host:port` and no more.

    /services/web/a   {"address": "10.0.0.5", "port": 8080, "weight": 3, "zone": "eu-1a", "tags": ["v2"]}
    /services/web/b   10.0.0.6:8080

The identity is what follows the prefix: `a` and `b` below `/services/web/`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from config.units import parse_address, show
from discovery.file_format import read_instance
from discovery.instance import first_line, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.instance import Instance

KEYS = ("address", "port", "weight", "zone", "tags", "metadata", "draining")
VALUE_LIMIT = 64 * 2**10  # bytes; etcd takes 1.5 MiB, too much to hold for each key of a large prefix


def read_entry(name: bytes, value: bytes) -> Instance:
    """Return the instance that the key ending in `name` describes; raise ValueError when it describes none."""
    try:
        identity = one_line("the key", name.decode())
    except UnicodeDecodeError:
        raise ValueError("the key must be UTF-8") from None
    if not identity:
        raise ValueError("the key must go on after the prefix")
    fields = _fields(value)
    strange = [first_line(key) for key in fields if key not in KEYS]
    if strange:
        # A misspelt `weight` that is passed over in silence sends a small machine a large one's share.
        raise ValueError(f"unknown key {', '.join(strange)}; the keys are {', '.join(KEYS)}")
    return read_instance(_address(fields), {**fields, "id": identity}, "etcd says draining")


def show_name(name: bytes) -> str:
    """Return what may be shown of a key that may be no text."""
    return first_line(name.decode("utf-8", "backslashreplace")) or "a key without a name"


def _fields(value: bytes) -> Mapping[str, Any]:
    if len(value) > VALUE_LIMIT:
        raise ValueError(f"the value is larger than {VALUE_LIMIT // 2**10} KiB")
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("the value must be UTF-8") from None
    if not text.startswith("{"):
        return {"address": text}
    try:
        fields: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the value is no JSON: {error}") from error
    return fields


def _address(fields: Mapping[str, Any]) -> object:
    """Return `host:port`, whether it is written so or in two parts."""
    address, port = fields.get("address"), fields.get("port")
    if port is None or not isinstance(address, str):
        return address
    if not isinstance(port, int) or isinstance(port, bool):
        raise ValueError(f"port must be a whole number, not {show(port)}")
    try:
        written = parse_address(address).port
    except ValueError:
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if written != port:
        raise ValueError(f"address says port {written}, and port {port}")
    return address
