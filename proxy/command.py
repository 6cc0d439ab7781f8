"""Where the command `pointsman` begins: a signal that comes while the rest is still being loaded ends it quietly."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from compiled import loading

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command."""
    if loading.outcome.refused:
        print(f"pointsman: {loading.outcome.reason}", file=sys.stderr)
        sys.exit(2)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    if sys.argv[1:2] == ["run"]:  # it stays for long, and has its file read by a process that does not
        import config.without_pydantic  # noqa: F401
    from proxy import cli  # half a second's worth of libraries

    cli.main()


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)  # nothing has been started yet that would have to be ended
