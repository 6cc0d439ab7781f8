"""An authority for all tests of ACME, which asks one port of this machine for proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import pebble
from tests.servers.ports import free_port
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def pebble_programs(request: pytest.FixtureRequest) -> Path:
    """The programs of the authority; skips what needs them when they cannot be had."""
    return had_or_skipped(request.config, "pebble", pebble.installed)


@pytest.fixture(scope="session")
def proof_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def authority(
    pebble_programs: Path, proof_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pebble.Pebble]:
    """One that refuses a third of all nonces, and knows no proof of before."""
    server = pebble.Pebble(tmp_path_factory.mktemp("pebble"), proof_port, nonces=33)
    server.start()
    yield server
    server.stop()
