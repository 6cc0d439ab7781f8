"""Makes a registry that another package brings along: see docs/extending.md."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from config.own_registries import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.registry import Registry


class OwnRegistryError(ValueError):
    """It cannot be loaded, has no such option, or refuses its value; the text says which."""


def make(name: str, options: Mapping[str, Any]) -> Registry:
    """Return the registry of this name with its options, which are the keyword-only parameters of its constructor.

    The constructor does no I/O, and raises ValueError for an option that makes no sense. Raises OwnRegistryError.
    """
    try:
        registry = INSTALLED[name].load()
    except Exception as error:  # whatever the import of somebody else's package may raise
        raise OwnRegistryError(f"the registry {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    parameters = [
        parameter
        for parameter in inspect.signature(registry).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            offer = f"its options are {', '.join(known)}" if known else "it has none"
            raise OwnRegistryError(f"the registry {name!r} has no option {option!r}; {offer}")
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty and parameter.name not in options:
            raise OwnRegistryError(f"the registry {name!r} needs the option {parameter.name!r}")
    try:
        return cast("Registry", registry(**options))
    except ValueError as error:
        raise OwnRegistryError(f"the registry {name!r}: {error}") from error
    except Exception as error:  # a value of another type than it thought of, as a rule
        raise OwnRegistryError(f"the registry {name!r}: {type(error).__name__}: {error}") from error
