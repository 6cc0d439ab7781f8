"""The command `pointsman` in the tests' own process, for what is over in a moment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from click.testing import CliRunner

from proxy.cli import main

if TYPE_CHECKING:
    from click.testing import Result


def pointsman(*arguments: object) -> Result:
    """Run it with these arguments; the log, which it sets up and other tests read, is afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
