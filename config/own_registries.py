"""The registries that other packages bring along: their names, which are keys of `discovery` like those of ours.

Whoever installs a package with an entry point in the group `pointsman.registries` gets the key of its name; what stands
below that key are the keyword arguments of the class that is found there. It is not loaded here.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from config.frozen import FrozenMapping, Model

GROUP = "pointsman.registries"
_NAME = re.compile("[a-z][a-z0-9_-]*")


def _is_free(name: str) -> bool:
    """Tell whether a name can be a key: pydantic's models have names of their own, such as `copy`."""
    return _NAME.fullmatch(name) is not None and not hasattr(Model, name)


INSTALLED: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP) if _is_free(entry.name)}
Options = FrozenMapping[str, Any]
