"""What makes a configuration immutable: the base of its models, and a mapping that cannot be written to."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer

K = TypeVar("K")
V = TypeVar("V")


class Model(BaseModel):
    """A part of the configuration: frozen, with no keys but those it declares."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def one_of(*keys: str) -> ConfigDict:
    """Say in a model's JSON schema that exactly one of `keys` is given; the model itself must check it."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in keys]})


class FrozenDict(Mapping[K, V]):
    """A mapping that cannot be written to. types.MappingProxyType can be neither copied nor pickled."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def freeze(value: Any) -> Any:
    """Return `value` with every mapping in it read-only and every list a tuple."""
    match value:
        case Mapping():
            return FrozenDict({key: freeze(item) for key, item in value.items()})
        case list() | tuple():
            return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """Undo `freeze`, for writing out."""
    match value:
        case Mapping():
            return {key: thaw(item) for key, item in value.items()}
        case list() | tuple():
            return [thaw(item) for item in value]
    return value


FrozenMapping = Annotated[Mapping[K, V], AfterValidator(freeze), PlainSerializer(thaw)]
