"""What a test wants of its machine: had, or a skip that says why it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.servers.fetch import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

Wanted = TypeVar("Wanted")


def had_or_skipped(config: pytest.Config, what: str, find: Callable[[], Wanted]) -> Wanted:
    """Return what `find` returns, which may fetch it, and then says so where people see it."""
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            return find()
    except UnavailableError as error:
        pytest.skip(f"no {what}: {error}")
