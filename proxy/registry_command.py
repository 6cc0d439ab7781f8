"""`pointsman registry`: the embedded registry as a process of its own."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from discovery.embedded.server import RegistryServer
from proxy.sockets import BindError

if TYPE_CHECKING:
    from pathlib import Path

    from config.units import Bind


async def serve_registry(bind: Bind, data_dir: Path) -> int:
    """Serve until a signal ends it; return the exit status. Raises BindError and RegistryError."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    registry = RegistryServer(bind.host, bind.port, data_dir)
    try:
        await registry.start()
    except OSError as error:
        raise BindError(error.strerror) from error
    try:
        await end.wait()
    finally:
        await registry.stop()
    return 0
