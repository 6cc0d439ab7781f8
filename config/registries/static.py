"""The keys of an instance that is written down in the configuration."""

from typing import Annotated, Any

from config.declaring import (
    AfterValidator,
    CoreSchema,
    Field,
    GetJsonSchemaHandler,
    InitErrorDetails,
    JsonSchemaValue,
    PydanticCustomError,
    ValidationError,
    model_validator,
)
from config.frozen import FrozenMapping, Model
from config.texts import NotEmpty
from config.together import repeated
from config.units import AddressText, Int


class StaticInstance(Model):
    """One instance of a service, written down here. `host:port` or `unix:/path` alone stands for its address."""

    address: AddressText = Field(description="Where the instance listens: host:port, [ipv6]:port or unix:/path.")
    id: NotEmpty | None = Field(
        default=None,
        description="Its identity in metrics, logs and the admin API. What is known of its health is kept as long as "
        "this stays the same. Default: its address.",
    )
    weight: Annotated[Int, Field(ge=0, le=65535)] = Field(
        default=1, description="Its share of requests relative to the other instances, 0 to 65535; 0: no new requests."
    )
    zone: str = Field(
        default="", description="The zone it runs in, for people and for balancers that prefer near ones."
    )
    tags: tuple[str, ...] = Field(default=(), description="Labels, for people and for balancers of your own.")
    metadata: FrozenMapping[str, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="Names and values, for people and for balancers of your own.",
    )

    @property
    def identity(self) -> str:
        """The given id, else the address."""
        return str(self.address) if self.id is None else self.id

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that `host:port` will do."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        return {"description": description, "anyOf": [mapping["properties"]["address"], mapping]}


def _distinct(instances: tuple[StaticInstance, ...]) -> tuple[StaticInstance, ...]:
    twice: list[InitErrorDetails] = [
        {"type": PydanticCustomError("sentence", message), "loc": (place,), "input": None}
        for place, message in repeated(instance.identity for instance in instances)
    ]
    if twice:
        raise ValidationError.from_exception_data("static", twice)
    return instances


StaticInstances = Annotated[tuple[StaticInstance, ...], AfterValidator(_distinct)]
