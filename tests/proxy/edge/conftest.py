"""curl, as those who come by use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.debian import debian_program
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from tests.servers.debian import DebianProgram


@pytest.fixture(scope="session")
def curl(request: pytest.FixtureRequest) -> DebianProgram:
    return had_or_skipped(request.config, "curl", lambda: debian_program("curl"))
