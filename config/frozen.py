"""What makes a configuration immutable: the base of its models, and a mapping that cannot be written to."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from config.declaring import AfterValidator, BaseModel, ConfigDict, PlainSerializer, model_validator

# What is given → what is wrong with that. The values are as they were written or as a model has read them.
Rule = Callable[[Mapping[str, Any]], str | None]

K = TypeVar("K")
V = TypeVar("V")


class Model(BaseModel):
    """A part of the configuration: frozen, with no keys but those it declares.

    `rules` say which of its keys go together. They take no more than what is given, so that both ask them: the model,
    of itself, and references.py, of plain data, where a mistake beside them would keep the model from asking. Both find
    the same sentence; an error tells it once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obeys(self) -> Self:
        if self.rules:
            given = {key: getattr(self, key) for key in self.model_fields_set}
            given = {key: value for key, value in given.items() if value is not None}
            for rule in self.rules:
                if message := rule(given):
                    raise ValueError(message)
        return self


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
