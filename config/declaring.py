"""What the models are declared with: pydantic's words, and pydantic behind them unless it is not wanted.

To read a file takes pydantic; to have a configuration takes only the values. A process that has its file read by
another (proxy/reading.py) is spared pydantic and what it builds of the models: 16 of 49 MiB, and 0.2 s of CPU time.
It imports `config.without_pydantic` before anything else of config.
"""

import sys
from typing import TYPE_CHECKING

CAN_READ = "config.without_pydantic" not in sys.modules

if TYPE_CHECKING or CAN_READ:
    from pydantic import (
        AfterValidator,
        BaseModel,
        BeforeValidator,
        ConfigDict,
        Discriminator,
        Field,
        GetJsonSchemaHandler,
        PlainSerializer,
        PlainValidator,
        SecretStr,
        Tag,
        TypeAdapter,
        ValidationError,
        ValidationInfo,
        WithJsonSchema,
        create_model,
        field_validator,
        model_serializer,
        model_validator,
    )
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError
else:
    from config.without_pydantic import (
        AfterValidator,
        BaseModel,
        BeforeValidator,
        ConfigDict,
        CoreSchema,
        Discriminator,
        Field,
        GetJsonSchemaHandler,
        InitErrorDetails,
        JsonSchemaValue,
        PlainSerializer,
        PlainValidator,
        PydanticCustomError,
        SecretStr,
        Tag,
        TypeAdapter,
        ValidationError,
        ValidationInfo,
        WithJsonSchema,
        create_model,
        field_validator,
        model_serializer,
        model_validator,
    )


def secret(text: str) -> SecretStr:
    """Make a secret of a text."""
    return SecretStr(text)


__all__ = [
    "CAN_READ",
    "AfterValidator",
    "BaseModel",
    "BeforeValidator",
    "ConfigDict",
    "CoreSchema",
    "Discriminator",
    "Field",
    "GetJsonSchemaHandler",
    "InitErrorDetails",
    "JsonSchemaValue",
    "PlainSerializer",
    "PlainValidator",
    "PydanticCustomError",
    "SecretStr",
    "Tag",
    "TypeAdapter",
    "ValidationError",
    "ValidationInfo",
    "WithJsonSchema",
    "create_model",
    "field_validator",
    "model_serializer",
    "model_validator",
    "secret",
]
