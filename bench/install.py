"""Finds the programs that a run needs, and installs Debian's packages for those that are missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping

from bench.contenders import OURS, our_program

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}


class ProgramMissingError(Exception):
    """A program is missing and we could not install it. The text says what to run."""


def programs(names: Iterable[str]) -> dict[str, str]:
    """The path of each program. Raises ProgramMissingError when one is missing and cannot be installed."""
    wanted = set(names)
    ours: dict[str, str] = {}
    if OURS in wanted:
        if not our_program().exists():
            raise ProgramMissingError(
                f"{our_program()} does not exist; run: {sys.executable} -m pip install -e '.[dev]'"
            )
        ours[OURS] = str(our_program())
    return ours | debian_programs({name: PACKAGES[name] for name in sorted(wanted - {OURS})})


def debian_programs(packages: Mapping[str, str]) -> dict[str, str]:
    """The path of each program, by the package that holds it; root's run installs the packages that are missing.

    Raises ProgramMissingError.
    """
    missing = {name: package for name, package in packages.items() if _find(name) is None}
    if missing:
        _install(missing)
    found = {name: path for name in packages if (path := _find(name)) is not None}
    if lost := [name for name in packages if name not in found]:
        raise ProgramMissingError(f"{', '.join(lost)} cannot be found on PATH after the installation")
    return found


def install_command(packages: Iterable[str]) -> list[str]:
    """The command that installs these packages of Debian."""
    return ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]


def _find(name: str) -> str | None:
    # Debian puts nginx and HAProxy where the PATH of a user other than root does not look.
    return shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    )


def _install(missing: Mapping[str, str]) -> None:
    command = install_command(missing.values())
    if shutil.which("apt-get") is None:
        raise ProgramMissingError(
            f"{', '.join(missing)}: not found, and no apt-get to install them with; please install them yourself"
        )
    if os.geteuid() != 0:
        raise ProgramMissingError(f"{', '.join(missing)}: not found; run: sudo {' '.join(command)}")
    print(f"{', '.join(missing)}: not found; installing Debian's packages: {' '.join(command)}", file=sys.stderr)
    print("(a package may start a service of its own, which is neither used nor stopped here)", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-q"], command):
        # apt's output belongs to the progress, not to the table.
        if subprocess.run(step, stdout=sys.stderr, env=environment, check=False).returncode != 0:
            raise ProgramMissingError(f"this failed: {' '.join(step)}")
