"""The libraries' own tests, sent through pointsman: what they need, kept in the cache folder, and a run of them."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.fetch import UnavailableError, cache_folder
from tests.servers.ports import free_port
from tests.servers.program import Program, is_well

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.pointsman import Pointsman

REQUIREMENTS = Path(__file__).with_name("suites.txt")
LIBRARIES = {"requests": ["tests"], "httpx": ["tests"], "urllib3": ["test"]}  # and where their tests are
_DEADLINE = 100.0  # seconds for one of them


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the tests, by their IDs: an outcome, or the reason why they were left out."""

    outcomes: Mapping[str, str]
    left_out: Mapping[str, str]
    output: str


class Suites:
    """A folder with a virtual environment for all of them, and their sources."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.python = str(folder / "venv/bin/python")

    def run(self, library: str, proxy: Pointsman, port: int, folder: Path) -> Result:
        """Run a library's tests, with its server on `port` behind `proxy`."""
        report = folder / "report.json"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path(__file__).parent),
            "THROUGH_PORT": str(port),
            "THROUGH_URL": f"{proxy.url}/",
            "THROUGH_REPORT": str(report),
        }
        options = [
            "-p",
            f"through.of_{library}",
            "-p",
            "no:cacheprovider",
            "-q",
            "--tb=short",
            f"--basetemp={folder}/tmp",
        ]
        done = subprocess.run(
            [self.python, "-m", "pytest", "-p", f"through.of_{library}", *options, *LIBRARIES[library]],
            cwd=self._folder / library,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        assert report.is_file(), done.stdout
        told = json.loads(report.read_text())
        return Result(told["outcomes"], told["left_out"], done.stdout)

    def httpbin(self, folder: Path) -> Httpbin:
        return Httpbin(self.python, folder)


class Httpbin(Program):
    """The httpbin that requests is tested with, under a server of its own."""

    def __init__(self, interpreter: str, folder: Path) -> None:
        self.port = free_port()
        command = [interpreter, "-m", "waitress", f"--listen=127.0.0.1:{self.port}", "--threads=8", "httpbin:app"]
        super().__init__(command, folder / "httpbin.log", is_well(self.port, "/get"))


@functools.cache
def suites() -> Suites:
    """Return all of them, after fetching what is not there yet; UnavailableError when they cannot be had."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_folder() / "suites" / wanted
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "complete").exists():
                _fetch(folder)
                (folder / "complete").touch()
    except OSError as error:
        raise UnavailableError(f"the cache folder cannot be used: {error}") from error
    return Suites(folder)


def _fetch(folder: Path) -> None:
    """Fill the folder; what an earlier attempt has left there is begun anew."""
    print(
        f"fetching the tests of {', '.join(LIBRARIES)}, and what they need, into {folder}", file=sys.stderr, flush=True
    )
    _run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")])
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", "-r", str(REQUIREMENTS)])
    versions = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    versions = {name.partition("[")[0]: version for name, version in versions.items()}
    for library in LIBRARIES:
        # The tests are not part of what is installed.
        packed = folder / "packed" / library
        shutil.rmtree(packed, ignore_errors=True)
        shutil.rmtree(folder / library, ignore_errors=True)
        source = ["--no-deps", f"--no-binary={library}", f"--dest={packed}", f"{library}=={versions[library]}"]
        _run([*pip, "download", *source])
        (archive,) = packed.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(packed)
        (packed / archive.name.removesuffix(".tar.gz")).rename(folder / library)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"`{' '.join(command)}` did not end within {error.timeout:g} s") from error
    if done.returncode:
        raise UnavailableError(f"`{' '.join(command)}` failed: {' / '.join(done.stderr.splitlines()[-3:])}")
