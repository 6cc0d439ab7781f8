"""The JSON schema of what a user may write, for editors, for `pointsman schema`, and for our own error messages."""

import functools
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from config.errors import KeyPath
from config.frozen import Model
from config.model import Config


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: CoreSchema | Any) -> bool:
        """Titles of keys would only repeat the keys."""
        return False


def schema(root: type[Model] = Config, title: str = "pointsman configuration") -> dict[str, Any]:
    """Return the schema of a file whose whole is `root`, in the dialect of draft 2020-12."""
    result = root.model_json_schema(schema_generator=_Generator)
    models = {model.__name__: model for model in _models(Model)}
    for name, definition in [*result["$defs"].items(), (root.__name__, result)]:
        _write_defaults(_properties(definition), models[name])
    return {"$schema": GenerateJsonSchema.schema_dialect, **result, "title": title}


def _models(model: type[Model]) -> Iterator[type[Model]]:
    for derived in model.__subclasses__():
        yield derived
        yield from _models(derived)


def _properties(definition: dict[str, Any]) -> dict[str, Any]:
    for part in (definition, *definition.get("anyOf", ())):
        if "properties" in part:
            properties: dict[str, Any] = part["properties"]
            return properties
    return {}


def _write_defaults(properties: dict[str, Any], owner: type[Model]) -> None:
    """Put defaults as a user writes them, `5s` for 5.0; leave out those that say no more than the description."""
    defaults = {key: value for key, value in properties.items() if "default" in value}
    if not defaults:
        return
    written = owner.model_construct().model_dump(mode="json", warnings=False)
    for key, value in defaults.items():
        value["default"] = written[key]
        if written[key] in (None, "", []) or isinstance(written[key], dict):
            del value["default"]


@functools.cache
def _cached(root: type[Model]) -> dict[str, Any]:
    return schema(root)


def at(path: KeyPath, root: type[Model] = Config) -> list[dict[str, Any]]:
    """Return the forms that a value at `path` may have, each as a schema without references."""
    whole = _cached(root)
    forms = list(_forms(whole, whole))
    for step in path:
        inner = [part for form in forms if (part := _step(form, step)) is not None]
        forms = [form for part in inner for form in _forms(part, whole)]
    return forms


def keys_at(path: KeyPath, root: type[Model] = Config) -> list[str]:
    """Return the keys that a mapping at `path` may have."""
    return sorted({key for form in at(path, root) for key in form.get("properties", ())})


def _forms(part: dict[str, Any], whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in part:
        yield from _forms(whole["$defs"][part["$ref"].rpartition("/")[2]], whole)
    elif "anyOf" in part or ("oneOf" in part and "properties" not in part):
        for form in part.get("anyOf", part.get("oneOf", ())):
            yield from _forms(form, whole)
    else:
        yield part


def _step(form: dict[str, Any], step: str | int) -> dict[str, Any] | None:
    if isinstance(step, int):
        return form.get("items")
    named = form.get("properties", {}).get(step)
    free = [*form.get("patternProperties", {}).values(), form.get("additionalProperties")]
    return next((part for part in (named, *free) if isinstance(part, dict)), None)
