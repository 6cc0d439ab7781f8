"""How etcd's JSON gateway writes things: keys and values as base64, 64-bit numbers as texts, and zeros not at all.

Every function that reads raises EtcdError when it makes no sense.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.etcd.gateway import EtcdError

if TYPE_CHECKING:
    from collections.abc import Mapping

Message = dict[str, Any]


def range_end(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with `prefix`: its last byte that can be counted up, counted up."""
    counted = prefix.rstrip(b"\xff")
    return counted[:-1] + bytes([counted[-1] + 1]) if counted else b"\0"  # etcd's word for the end of all keys


def encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


def bytes_of(holder: Mapping[str, Any], key: str) -> bytes:
    value = holder.get(key, "")
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise EtcdError(f"{key} must be base64, not {show(value)}") from None


def objects_of(holder: Mapping[str, Any], key: str) -> list[Message]:
    value = holder.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise EtcdError(f"{key} must be a list of objects, not {show(value)}")
    return value


def revision_of(answer: Message) -> int:
    header = answer.get("header")
    revision = number_of(header, "revision") if isinstance(header, dict) else 0
    if not revision:
        raise EtcdError("the answer has no revision; is this etcd's JSON gateway?")
    return revision


def number_of(holder: Mapping[str, Any], key: str) -> int:
    """Read a 64-bit number, which stands there as a text and is 0 if it is left out."""
    value = holder.get(key, "0")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return int(value)
    raise EtcdError(f"{key} must be a number in quotes, not {show(value)}")
