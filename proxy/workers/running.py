"""From the command line to a supervisor with its control process and its workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from proxy.application import Application
from proxy.commands.running import CANNOT_BIND, end_with, status_of
from proxy.descriptors import raise_file_limit
from proxy.edge.shared_buckets import Table
from proxy.systemd import ActivationError, activated
from proxy.workers.control import Workers
from proxy.workers.heritage import Heritage
from proxy.workers.supervisor import Supervisor
from proxy.workers.worker import work

if TYPE_CHECKING:
    import socket

    from config.model import Config
    from proxy.config_file import ConfigFile, Loaded
    from proxy.takeover.claim import Claim
    from proxy.workers.supervisor import Kept

_ENDING = 5.0  # seconds that a worker may take beyond drain_timeout, where nobody is left who tells it to end
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def workers_of(wanted: int | Literal["auto"], quota: Path = _QUOTA) -> int:
    """Return how many workers there are to be: with auto, as many as we may use processors.

    Those are the ones that we may run on, and no more than the time that a container is given, which the kernel says in
    microseconds of each period (cgroup v2, cpu.max).
    """
    if wanted != "auto":
        return wanted
    ours = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text().split()
        return max(min(ours, -(-int(most) // int(period))), 1)
    except (OSError, ValueError):  # no container, or no limit: "max 100000"
        return ours


def run_with_workers(
    count: int, config: Config, file: ConfigFile | None, loaded: Loaded | None, claim: Claim | None
) -> NoReturn:
    """Run until it is asked to end, and end the process with the exit status."""
    raise_file_limit()
    try:
        sockets = activated() if claim is None else []
    except ActivationError as error:
        end_with(f"pointsman: {error}", CANNOT_BIND)

    def control(end: socket.socket, kept: Kept | None) -> int:
        heritage = Heritage(kept) if kept is not None else None
        return status_of(_control(end, heritage))

    async def _control(end: socket.socket, heritage: Heritage | None) -> int:
        workers = Workers(count, end, heritage)
        now = (heritage.loaded if heritage is not None else None) or loaded
        application = Application(
            now.config if now is not None else config, file, now, sockets, claim if heritage is None else None, workers
        )
        status = await application.live()
        if application.died:
            click.echo(f"pointsman: ended because {application.died}", err=True)
        return status

    buckets = Table()

    def worker(number: int, end: socket.socket) -> int:
        return status_of(work(number, end, buckets))

    sys.exit(Supervisor(count, control, worker, config.drain_timeout + _ENDING).run())
