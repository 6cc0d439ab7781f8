"""`pointsman reload` and the admin API of a pointsman in the test's own loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from click.testing import CliRunner

from proxy.cli import main
from tests.proxy.test_reload import at_work, configuration, write

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_says_what_happened(tmp_path: Path) -> None:
    config = configuration("127.0.0.1:9")
    async with at_work(tmp_path, config) as pointsman:
        arguments = ["reload", "--admin", f"127.0.0.1:{pointsman.application.admin_port}"]

        async def run() -> tuple[int, str]:
            result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
            return result.exit_code, result.output

        assert await run() == (0, "nothing has changed\n")
        write(tmp_path, {**config, "drain_timeout": "2s"})
        assert await run() == (0, "drain_timeout\nreloaded\n")
        write(tmp_path, {**config, "drain_timeout": "soon", "colour": "red"})
        status, output = await run()
        assert status == 1
        assert "drain_timeout: must be a duration" in output
        assert "colour: unknown key" in output
