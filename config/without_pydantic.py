"""The models without pydantic: their fields, properties and methods, and nothing that could read a file.

Whoever imports this before any of the models gets them so: see `declaring`. A configuration comes to such a process
from another, which has read it, by pickle. What pydantic does beyond that, such as `model_dump`, is not here; what
needs it is a cached property of its model, which whoever reads the file has looked at (`told`).
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_NONE_GIVEN: Any = object()


class FieldInfo:
    """What is said of a field."""

    def __init__(
        self,
        default: Any = _NONE_GIVEN,
        *,
        default_factory: Callable[[], Any] | None = None,
        alias: str | None = None,
        description: str | None = None,
        **_: Any,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.alias = alias
        self.description = description
        self.annotation: Any = None

    def value(self) -> Any:
        """Return the default."""
        return self.default_factory() if self.default_factory else copy.copy(self.default)


Field: Any = FieldInfo


class BaseModel:
    """What a configuration says in one place: immutable, and told apart by its values."""

    model_config: ClassVar[dict[str, Any]] = {}
    model_fields: ClassVar[dict[str, FieldInfo]] = {}
    model_fields_set: frozenset[str]

    def __init_subclass__(cls) -> None:
        fields: dict[str, FieldInfo] = {}
        for base in reversed(cls.__mro__[1:]):
            fields |= getattr(base, "model_fields", {})
        for name, annotation in inspect.get_annotations(cls).items():
            if _is_of_the_class(annotation):
                continue
            said = cls.__dict__.get(name, _NONE_GIVEN)
            field = said if isinstance(said, FieldInfo) else FieldInfo(said)
            field.annotation = annotation
            fields[name] = field
            if said is not _NONE_GIVEN:
                delattr(cls, name)  # its instances have it
        cls.model_fields = fields

    def __init__(self, **given: Any) -> None:
        values = {name: given[name] if name in given else field.value() for name, field in self.model_fields.items()}
        self.__setstate__({"__dict__": values, "__pydantic_fields_set__": set(given)})

    def __getstate__(self) -> dict[str, Any]:
        values = {key: value for key, value in self.__dict__.items() if key != "model_fields_set"}
        return {"__dict__": values, "__pydantic_fields_set__": set(self.model_fields_set)} | _NOTHING_ELSE

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take what `__getstate__` gives, here or in pydantic's models."""
        self.__dict__.update(state["__dict__"], model_fields_set=frozenset(state["__pydantic_fields_set__"]))

    def __setattr__(self, name: str, value: object = None) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed: {name}")

    __delattr__: Any = __setattr__

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((name, self.__dict__[name]) for name in self.model_fields)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((type(self).__qualname__, *(value for _, value in self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Return the same with other values."""
        made = object.__new__(type(self))
        given = self.model_fields_set | set(update)
        made.__setstate__({"__dict__": {**self.__dict__, **update}, "__pydantic_fields_set__": given})
        return made


_NOTHING_ELSE = {"__pydantic_extra__": None, "__pydantic_private__": None}  # of which pydantic's models want to know


def create_model(name: str, *, __base__: type[BaseModel], **fields: tuple[Any, FieldInfo]) -> type[BaseModel]:
    """Make a model with these fields."""
    annotations = {key: annotation for key, (annotation, _) in fields.items()}
    said = {key: field for key, (_, field) in fields.items()}
    return type(name, (__base__,), {"__annotations__": annotations, "__module__": __name__, **said})


class SecretStr:
    """A text that is not shown by accident."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self._secret == other._secret

    def __hash__(self) -> int:
        return hash(self._secret)

    def __len__(self) -> int:
        return len(self._secret)

    def __str__(self) -> str:
        return "**********" if self._secret else ""

    def __repr__(self) -> str:
        return f"SecretStr({str(self)!r})"


class ValidationError(ValueError):
    """What pydantic raises; nobody does here."""


class _Said:
    """Stands for what is said of a type, to whoever reads."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __class_getitem__(cls, _: object) -> type[_Said]:
        return cls


AfterValidator = BeforeValidator = PlainValidator = PlainSerializer = WithJsonSchema = Discriminator = Tag = _Said
TypeAdapter = GetJsonSchemaHandler = ValidationInfo = JsonSchemaValue = CoreSchema = _Said
InitErrorDetails = PydanticCustomError = _Said
ConfigDict = dict


def field_validator(*_: object, **__: object) -> Callable[[Any], Any]:
    """Leave a method as it is: nobody calls it here."""
    return lambda method: method


model_validator = field_validator


def model_serializer(method: Any) -> Any:
    """Leave a method as it is: nobody calls it here."""
    return method


def _is_of_the_class(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", annotation) is ClassVar
