"""Fetch programs written in Java out of Maven Central into the user's cache folder, by the ordinary `mvn`."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.debian import debian_program
from tests.servers.fetch import UnavailableError, cache_folder

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def java() -> str:
    """Return the path of Java; UnavailableError when it cannot be had."""
    return debian_program("java").path


def maven_jars(pom: Path) -> Path:
    """Return the folder that holds the dependencies which a pom names, after fetching them if they are not there yet.

    Two runs may ask at once: the second waits for the first. What is there was renamed into place whole, and a pom
    that changes gets a folder of its own.
    """
    name = f"{pom.stem}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    folder = cache_folder() / "maven" / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _fetch(pom, folder)
    except OSError as error:
        raise UnavailableError(f"the cache folder cannot be used: {error}") from error
    return folder


def _fetch(pom: Path, folder: Path) -> None:
    maven = debian_program("mvn")
    print(f"fetching what {pom.name} names from Maven Central into {folder}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        jars = Path(made) / "jars"
        command = [maven.path, "-B", "-q", "-f", str(pom), COPY, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        try:
            done = subprocess.run(
                command, cwd=made, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"mvn did not end within {error.timeout:g} s") from error
        if done.returncode or not jars.is_dir():
            said = next(
                (line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line), "no reason given"
            )
            raise UnavailableError(f"mvn could not fetch what {pom.name} names: {said}")
        jars.rename(folder)
