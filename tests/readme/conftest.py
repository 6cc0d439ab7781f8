"""The fixtures that give a test its snippet."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.readme import snippets
from tests.readme.consoles import Console
from tests.readme.staging import staged

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.readme.staging import Staged


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "runs(*names): the snippets of README.md that the test runs")


@pytest.fixture
def parts(request: pytest.FixtureRequest) -> list[snippets.Snippet]:
    """The snippets that the test says it runs."""
    mark = request.node.get_closest_marker("runs")
    found = snippets.found()
    return [found[name] for name in mark.args]


@pytest.fixture
def stage(parts: list[snippets.Snippet], tmp_path: Path) -> Staged:
    """Runs a pointsman with the test's first snippet."""
    return functools.partial(staged, parts[0], tmp_path)


@pytest.fixture
def console(parts: list[snippets.Snippet]) -> Console:
    """Runs the test's snippet of a console."""
    [one] = [part for part in parts if part.language == "console"]
    return Console(one)
