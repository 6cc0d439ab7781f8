"""Pydantic's findings as sentences that say what to write. Its own wording is for programmers and never gets out."""

from collections.abc import Collection, Iterator
from typing import Any

from config.declaring import ValidationError
from config.errors import KeyPath, Problem, listed, suggest
from config.frozen import Model
from config.model import Config
from config.schema import at, keys_at
from config.units import is_number, show

_LEVELS: tuple[tuple[str, KeyPath], ...] = (
    ("at the top of the file", ()),
    ("under a listener", ("listeners", 0)),
    ("under a service", ("services", "any")),
)

# What pydantic puts into a path for its own use: a key that is wrong, and which of two forms a value has.
_NO_STEPS = ("[key]", "[one]", "[several]")


def explain(
    error: ValidationError, unresolved: Collection[KeyPath] = (), root: type[Model] = Config
) -> Iterator[Problem]:
    """Yield one problem for each finding in a file whose whole was to be a `root`.

    `unresolved` are the paths whose variable had no value. What is found at such a place, or at one that holds it, may
    be a mere consequence, and is left out.
    """
    for detail in error.errors(include_url=False):
        path = tuple(step for step in detail["loc"] if step not in _NO_STEPS)
        kind = detail["type"]
        if kind != "extra_forbidden" and any(known[: len(path)] == path for known in unresolved):
            continue
        if kind == "too_short" and detail["input"]:  # pydantic counts only the items that are right
            continue
        yield _sentence(path, kind, detail["input"], detail.get("ctx", {}), detail["msg"], root)


def _sentence(
    path: KeyPath, kind: str, value: Any, context: dict[str, Any], message: str, root: type[Model]
) -> Problem:
    match kind:
        case "value_error":
            return Problem(path, str(context["error"]))
        case "sentence":  # our own PydanticCustomError
            return Problem(path, message)
        case "missing":
            return Problem(path, "this key is required")
        case "extra_forbidden":
            return _unknown_key(path, root)
        case "string_type":
            return _not_text(path, value)
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            hint = "write it without quotes" if isinstance(value, str) and value.strip().isdecimal() else ""
            return Problem(path, f"must be a whole number, not {show(value)}", hint)
        case "bool_type":
            return Problem(path, f"must be true or false, not {show(value)}")
        case "greater_than_equal":
            return Problem(path, f"must be at least {context['ge']}, not {show(value)}")
        case "less_than_equal":
            return Problem(path, f"must be at most {context['le']}, not {show(value)}")
        case "tuple_type":
            hint = f"write [{value}]" if isinstance(value, str) and value.isprintable() else ""
            return Problem(path, f"must be a list, not {show(value)}", hint)
        case "too_short":
            return Problem(path, "must have at least one item")
        case "dict_type" | "mapping_type" | "model_type" | "model_attributes_type":
            return _not_a_mapping(path, value, root)
        case "literal_error":
            return _not_one_of(path, value, root)
    return Problem(path, f"must be another value than {show(value)}")


def _unknown_key(path: KeyPath, root: type[Model]) -> Problem:
    """Say at which other levels of the file the key is known, else which other key was meant."""
    depth = 2 if path[0] in ("listeners", "services") else 0
    section, key = path[depth:-1], str(path[-1])
    levels = _LEVELS if issubclass(root, Config) else ()
    homes = [where for where, level in levels if key in keys_at((*level, *section))]
    if homes:
        return Problem(path, "unknown key", f"it belongs {' or '.join(homes)}")
    return Problem(path, "unknown key", suggest(key, keys_at(path[:-1], root), "valid keys are"))


def _not_text(path: KeyPath, value: Any) -> Problem:
    # The value is not shown: it may be a token.
    if isinstance(value, bool):
        return Problem(path, "must be text, but YAML reads this as true or false", "put it in quotes")
    if is_number(value):
        return Problem(path, "must be text, but YAML reads this as a number", "put it in quotes")
    return Problem(path, f"must be text, not {show(value)}")


def _not_a_mapping(path: KeyPath, value: Any, root: type[Model]) -> Problem:
    keys = keys_at(path, root)
    text = ""
    if any(form.get("type") == "string" for form in at(path, root)):  # an instance or a balancer, in its short form
        text = "an address or " if "address" in keys else "a name or "
    hint = f"valid keys are: {', '.join(keys)}" if keys else ""
    return Problem(path, f"must be {text}a mapping, not {show(value)}", hint)


def _not_one_of(path: KeyPath, value: Any, root: type[Model]) -> Problem:
    allowed = [item for form in at(path, root) for item in form.get("enum", [form["const"]] if "const" in form else [])]
    words = [item if isinstance(item, str) else show(item) for item in allowed]
    return Problem(path, f"must be {listed(words)}, not {show(value)}")
