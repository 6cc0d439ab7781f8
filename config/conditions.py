"""What a route may want of a request beside its host and path: methods, headers, the query, the client."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from config.declaring import (
    AfterValidator,
    CoreSchema,
    Field,
    GetJsonSchemaHandler,
    JsonSchemaValue,
    model_serializer,
    model_validator,
)
from config.expressions import Expression
from config.frozen import Model
from config.units import Bool, show

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"(?:[!-~\x80-\U0010ffff](?:[ \t!-~\x80-\U0010ffff]*[!-~\x80-\U0010ffff])?)?")
# What is between a client and the proxy next to it, and is not kept of a request.
_NOT_KEPT = {
    "connection", "expect", "http2-settings", "keep-alive", "max-forwards", "proxy", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "transfer-encoding", "x-request-id",
}  # fmt: skip


def _method(method: str) -> str:
    if not _TOKEN.fullmatch(method) or method != method.upper():
        raise ValueError(f"must be a method such as GET, in capitals, not {show(method)}")
    return method


def _condition_header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"must be the name of a header such as X-Canary, not {show(name)}")
    if name.lower() in _NOT_KEPT:
        raise ValueError(f"must be another header: {name} is for this hop alone, and nothing can be routed by it")
    return name


def _condition_field(name: str) -> str:
    if not name or len(name) > 200 or not name.isprintable():
        raise ValueError(f"must be the name of a field of the query such as debug, decoded, not {show(name)}")
    return name


def _value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError(f"must be one line without a space at either end, not {show(text)}")
    return text


def one_form(given: Mapping[str, Any]) -> str | None:
    """Want exactly one of the forms of a condition."""
    forms = [key for key in ("value", "present", "regex") if key in given]
    return None if len(forms) == 1 else "must have regex and nothing else, or be a text, true or false"


class Wanted(Model):
    """What a field must be: a text, which is its exact value; true: it is there; false: it is not; or {regex: …}."""

    rules = (one_form,)

    value: Annotated[str, AfterValidator(_value)] | None = Field(default=None, description="Its exact value.")
    present: Bool | None = Field(default=None, description="true: it is there; false: it is not.")
    regex: Expression | None = Field(
        default=None, description="A regular expression (Python's) that is found in its value."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_word(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"present": value}
        return {"value": value} if isinstance(value, str) else value

    @model_serializer
    def _as_written(self) -> Any:
        if self.regex is not None:
            return {"regex": self.regex}
        return self.value if self.present is None else self.present

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a word will do."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        properties = {"regex": {"type": "string", "description": mapping["properties"]["regex"]["description"]}}
        form = {"type": "object", "properties": properties, "required": ["regex"], "additionalProperties": False}
        return {"description": description, "anyOf": [{"type": "string"}, {"type": "boolean"}, form]}


Method = Annotated[str, AfterValidator(_method)]
ConditionHeader = Annotated[str, AfterValidator(_condition_header)]
ConditionField = Annotated[str, AfterValidator(_condition_field)]
