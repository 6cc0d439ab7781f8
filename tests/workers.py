"""Which tests share a worker, when pytest-xdist runs them in several.

A worker gets whole scopes, one after the other. A registry is a scope, so that its server is started once; a file is
one otherwise. The tests under load are two, whatever there are of workers: more of them side by side would measure
each other. They take the longest, so they are begun first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest

WORKERS = 3  # for two cores: the tests wait for half of their time

_UNDER_LOAD = "tests/end_to_end"
_SIDE_BY_SIDE = 2
_FILES_UNDER_LOAD = sorted(file.name for file in (Path(__file__).parent / "end_to_end").glob("test_*.py"))
_OF_A_WORLD = re.compile(r"(?:tests/discovery/contract/|tests/end_to_end/test_rolls).*\[(\w+)")
_OF_A_REGISTRY = re.compile(r"tests/discovery/(\w+)/")


class Scheduling(LoadScopeScheduling):
    """Hands out the scopes in the order in which their first tests stand in the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def workers(config: pytest.Config) -> int:
    """Return how many workers there should be: none for a part of the tests, which is run to be looked at."""
    whole = [Path(part).resolve() for part in config.args] == [Path(__file__).parent]
    return WORKERS if whole else 0


def scope(nodeid: str) -> str:
    """Return the name of what a test must share a worker with."""
    file = nodeid.partition("::")[0]
    if registry := _OF_A_WORLD.match(nodeid) or _OF_A_REGISTRY.match(file):
        return f"registry {registry[1]}"
    folder, _, name = file.rpartition("/")
    if folder == _UNDER_LOAD:
        return f"under load {_FILES_UNDER_LOAD.index(name) % _SIDE_BY_SIDE}"
    return file


def longest_first(item: pytest.Item) -> tuple[bool, bool]:
    """Sort tests so that the scopes that take the longest come first, and all else stays in its order."""
    file = item.nodeid.partition("::")[0]
    return not file.startswith(_UNDER_LOAD), not file.startswith(("tests/clients", "tests/discovery", "tests/fuzz"))
