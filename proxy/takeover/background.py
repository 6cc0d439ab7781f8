"""A process that goes on by itself, and a command that ends once it serves: what a reload of systemd wants."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVES = b"1"


def into_background() -> Callable[[], None]:
    """Go on in a process of its own, and return there what is to be called once it serves.

    The process that was ends then, with status 0, or with that of the new one if it ends before. Must be called before
    there are threads or an event loop. A signal that asks the old one to end is passed on.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: os.kill(child, number))
        with open(read, "rb", buffering=0) as end:
            if end.read(1) == _SERVES:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) % 256)
    os.close(read)
    os.setsid()  # the terminal's hang-up and its keys are not meant for it

    def serves() -> None:
        os.write(write, _SERVES)
        os.close(write)

    return serves
