"""Programs of Debian's: those on PATH, else unpacked into the cache folder, else installed as root."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.install import ProgramMissingError, debian_programs
from tests.servers.fetch import UnavailableError, cache_folder, debian_package

if TYPE_CHECKING:
    from pathlib import Path

SUITE = "bookworm"  # of what is unpacked; what is installed is of the system's own release
_CANNOT_LOAD = 127  # the exit status of a program whose libraries are missing


@dataclass(frozen=True, slots=True)
class _Packaged:
    """Where a program comes from; `libraries` is None when they are too many to be unpacked beside it."""

    package: str
    libraries: tuple[str, ...] | None


_PROGRAMS = {
    "chromium": _Packaged("chromium", None),
    "curl": _Packaged("curl", None),
    "haproxy": _Packaged("haproxy", None),
    "h2load": _Packaged(
        "nghttp2-client", ("libnghttp2-14", "libev4", "libjansson4", "libjemalloc2", "libxml2", "libicu72")
    ),
    "java": _Packaged("default-jre-headless", None),
    "nginx": _Packaged("nginx-light", None),
    "openssl": _Packaged("openssl", None),
    "mvn": _Packaged("maven", None),
    "redis-server": _Packaged(
        "redis-server",
        (
            "redis-tools",
            "libjemalloc2",
            "liblua5.1-0",
            "lua-bitop",
            "lua-cjson",
            "libatomic1",
            "liblzf1",
            "libhiredis0.14",
        ),
    ),
    "sslscan": _Packaged("sslscan", ()),
    "slowhttptest": _Packaged("slowhttptest", ()),
    "wrk": _Packaged("wrk", None),
    "systemd-socket-activate": _Packaged("systemd", None),
}


@dataclass(frozen=True, slots=True)
class DebianProgram:
    """A program that can be run; `libraries` is the folder of those that the system lacks."""

    path: str
    libraries: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What it is run with. A proxy that ours names is not for servers on this machine."""
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        if self.libraries is not None:
            environment["LD_LIBRARY_PATH"] = str(self.libraries)
        return environment

    def run(
        self, *arguments: str, timeout: float, stdin: bytes = b"", folder: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end, which must come within `timeout` seconds; the exit status is the caller's to judge."""
        return subprocess.run(
            [self.path, *arguments],
            input=stdin,
            capture_output=True,
            cwd=folder,
            env=self.environment,
            timeout=timeout,
            check=False,
        )


@functools.cache
def debian_program(name: str) -> DebianProgram:
    """Find a program, or bring it here; UnavailableError when it cannot be had."""
    if path := shutil.which(name):
        return DebianProgram(path)
    packaged = _PROGRAMS[name]
    if packaged.libraries is None:
        return DebianProgram(_installed(name, packaged.package))
    root = debian_package(packaged.package, SUITE, *packaged.libraries)
    found = DebianProgram(str(root / "usr/bin" / name), next(root.glob("usr/lib/*-linux-gnu*"), None))
    tried = found.run("--help", timeout=10)
    if tried.returncode == _CANNOT_LOAD:
        raise UnavailableError(f"{name} was unpacked, and cannot be run: {tried.stderr.decode().strip()}")
    return found


def _installed(name: str, package: str) -> str:
    """Install a package if need be; of two runs that ask at once, the second waits for the first."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with open(cache_folder() / "apt.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return debian_programs({name: package})[name]
    except ProgramMissingError as error:
        raise UnavailableError(str(error)) from error
    except OSError as error:
        raise UnavailableError(f"the cache folder cannot be used: {error}") from error
