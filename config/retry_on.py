"""What happened to a request so that it is tried again, as a user lists it: `[reset, timeout, 502-504]`."""

from dataclasses import dataclass
from typing import Annotated

from config.declaring import PlainSerializer, PlainValidator, TypeAdapter, WithJsonSchema
from config.statuses import Ranges, format_statuses, parse_statuses
from config.units import show

_WORDS = ("connect", "reset", "timeout")
_Condition = str | tuple[int, int]


@dataclass(frozen=True, slots=True)
class RetryOn:
    """The conditions of a retry. A connection that failed needs none: it always is tried on another endpoint.

    `statuses` are ranges from 400 to 599, each with both its ends included.
    """

    reset: bool = False
    timeout: bool = False
    statuses: Ranges = ()

    def covers(self, status: int) -> bool:
        """Tell whether a response of this status is tried again."""
        return any(first <= status <= last for first, last in self.statuses)


def parse_retry_on(value: object) -> RetryOn:
    """Read a list of `connect`, `reset`, `timeout` and statuses; what is wrong is told at each item's place."""
    if isinstance(value, RetryOn):
        return value
    conditions = dict.fromkeys(_LIST.validate_python(value))
    statuses = tuple(condition for condition in conditions if isinstance(condition, tuple))
    return RetryOn("reset" in conditions, "timeout" in conditions, statuses)


def format_retry_on(on: RetryOn) -> list[str]:
    """Write conditions as `parse_retry_on` reads them."""
    words = [word for word, wanted in (("reset", on.reset), ("timeout", on.timeout)) if wanted]
    return words + format_statuses(on.statuses)


def _parse_condition(value: object) -> _Condition:
    if isinstance(value, str) and value in _WORDS:
        return value
    if isinstance(value, str | int):
        try:
            ((first, last),) = parse_statuses(value)
        except ValueError:
            pass
        else:
            if first >= 400:
                return first, last
    raise ValueError(
        f"must be connect, reset, timeout, or statuses from 400 to 599 such as 502, 5xx or 502-504, not {show(value)}"
    )


_LIST: TypeAdapter[tuple[_Condition, ...]] = TypeAdapter(
    tuple[Annotated[_Condition, PlainValidator(_parse_condition)], ...]
)
_ITEM = {
    "anyOf": [
        {"type": "string", "enum": list(_WORDS)},
        {"type": "string", "pattern": "^(?:[45]xx|[45][0-9]{2}(?:-[45][0-9]{2})?)$"},
        {"type": "integer", "minimum": 400, "maximum": 599},
    ]
}
Conditions = Annotated[
    RetryOn,
    PlainValidator(parse_retry_on),
    PlainSerializer(format_retry_on, return_type=list[str]),
    WithJsonSchema({"type": "array", "items": _ITEM, "examples": [["reset", "timeout", "502-504"]]}),
]
