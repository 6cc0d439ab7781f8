"""Which tests share a worker, when pytest-xdist runs them in several.

A worker gets whole scopes, one after the other. A registry is a scope, so that its server is started once; a file is
one otherwise. Of the files under load two are tested side by side, whatever there are of workers: more of them would
measure each other. They take the longest, so they are begun first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.workermanage import WorkerController

WORKERS = 4  # for two cores, which they keep busy for nine tenths of the time; three take a fifth longer

_UNDER_LOAD = "tests/end_to_end/"
_SIDE_BY_SIDE = 2
_OF_A_WORLD = re.compile(r"(?:tests/discovery/contract/|tests/end_to_end/test_rolls).*\[(\w+)")
_OF_A_REGISTRY = re.compile(r"tests/discovery/(\w+)/")


class Scheduling(LoadScopeScheduling):
    """Hands out the scopes in the order in which their first tests stand in the collection, as far as load permits."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        for name in self.workqueue:  # when all that is left must not run yet, it does nevertheless: nobody idles
            if not name.startswith(_UNDER_LOAD) or self._others_under_load(node) < _SIDE_BY_SIDE:
                self.workqueue.move_to_end(name, last=False)
                break
        super()._assign_work_unit(node)

    def _others_under_load(self, node: WorkerController) -> int:
        """Count the other workers that have such tests to do."""
        return sum(
            any(name.startswith(_UNDER_LOAD) and not all(tests.values()) for name, tests in work.items())
            for other, work in self.assigned_work.items()
            if other is not node
        )


def workers(config: pytest.Config) -> int:
    """Return how many workers there should be: none for a part of the tests, which is run to be looked at."""
    whole = [Path(part).resolve() for part in config.args] == [Path(__file__).parent]
    return WORKERS if whole else 0


def scope(nodeid: str) -> str:
    """Return the name of what a test must share a worker with."""
    file = nodeid.partition("::")[0]
    if registry := _OF_A_WORLD.match(nodeid) or _OF_A_REGISTRY.match(file):
        return f"registry {registry[1]}"
    return file


def longest_first(item: pytest.Item) -> tuple[bool, bool]:
    """Sort tests so that the scopes that take the longest come first, and all else stays in its order."""
    name = scope(item.nodeid)
    return not name.startswith(_UNDER_LOAD), not name.startswith(("registry", "tests/clients", "tests/fuzz"))
