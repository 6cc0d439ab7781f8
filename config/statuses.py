"""Sets of HTTP statuses as a user writes them: `200`, `2xx`, `200-399`, or a list of those."""

import re
from typing import Annotated

from config.declaring import PlainSerializer, PlainValidator, WithJsonSchema
from config.units import show

Ranges = tuple[tuple[int, int], ...]

_RANGE = re.compile("([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def parse_statuses(value: object) -> Ranges:
    """Return the ranges that `value` names, each with both its ends included."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("must name at least one status, such as 200, 2xx or 200-399")
        return tuple(_parse_range(item) for item in value)
    return (_parse_range(value),)


def _parse_range(value: object) -> tuple[int, int]:
    if isinstance(value, tuple) and len(value) == 2:
        value = f"{value[0]}-{value[1]}"  # from code, not from a file: YAML has no tuples
    found = None if isinstance(value, bool) else _RANGE.fullmatch(str(value))
    if found is None:
        raise ValueError(f"must be statuses from 100 to 599, such as 200, 2xx or 200-399, not {show(value)}")
    if found[1]:
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    first, last = int(found[2]), int(found[3] or found[2])
    if first > last:
        raise ValueError(f"must be a range whose first status is the smaller, such as 200-399, not {show(value)}")
    return first, last


def format_statuses(ranges: Ranges) -> list[str]:
    """Write ranges as `parse_statuses` reads them."""
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


_ONE = {
    "anyOf": [
        {"type": "string", "pattern": "^(?:[1-5]xx|[1-5][0-9]{2}(?:-[1-5][0-9]{2})?)$"},
        {"type": "integer", "minimum": 100, "maximum": 599},
    ]
}
Statuses = Annotated[
    Ranges,
    PlainValidator(parse_statuses),
    PlainSerializer(format_statuses, return_type=list[str]),
    WithJsonSchema(
        {
            "anyOf": [*_ONE["anyOf"], {"type": "array", "items": _ONE, "minItems": 1}],
            "examples": [200, "2xx", "200-399"],
        }
    ),
]
