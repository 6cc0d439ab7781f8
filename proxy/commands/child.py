"""A command that is run as a child: started, sent signals, and waited for."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CANNOT_RUN, NOT_FOUND = 126, 127  # the exit statuses of shells
SIGNALLED = 128  # and a signal's number


_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


class CommandError(Exception):
    """The command cannot be run; `status` is what a shell would end with."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Child:
    """A running command. Raises CommandError when it cannot be started.

    It gets SIGTERM when we are killed: whoever starts us anew wants its port free. It is in a process group of its own:
    what is typed at a terminal, Ctrl-C above all, comes to us alone, so that the
    instance is taken out before the command hears of it. The command can therefore not read from that terminal.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            # Not asyncio's: uvloop knows no process groups, and one thread that waits is all that there is to do.
            parent = os.getpid()
            self._process = subprocess.Popen(
                command,
                process_group=0,
                preexec_fn=lambda: _end_with(parent),
            )
        except FileNotFoundError as error:
            raise CommandError(NOT_FOUND, f"{command[0]}: not found") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise CommandError(CANNOT_RUN, f"{command[0]}: cannot be run: {reason}") from error

    async def ended(self) -> int:
        """Wait until it has ended; return its exit status, 128 and the number for a signal."""
        status = await asyncio.to_thread(self._process.wait)
        return status if status >= 0 else SIGNALLED - status

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended does not mind."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self._process.send_signal(signal.SIGKILL)


def _end_with(parent: int) -> None:
    """Have this process get SIGTERM when its parent is gone; called in the child, before it runs its command."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before
        os._exit(SIGNALLED + signal.SIGTERM)
