"""Programs built from Go modules into the cache folder: with the Go of the system, else with that of a later Debian."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.fetch import UnavailableError, cache_folder, debian_package

if TYPE_CHECKING:
    from pathlib import Path

SUITE, VERSION = "trixie", "1.24"  # whose Go is used where the system has none that is as new
LONGEST = 3600.0  # seconds that a build may take
TELL = 10.0  # seconds from one line of progress to the next


@dataclass(frozen=True, slots=True)
class Build:
    """A program whose module's go.mod and go.sum are in `folder`; `packages` is roughly of how many it consists."""

    name: str
    version: str
    package: str
    folder: Path
    packages: int
    flags: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies once it is built."""
        return cache_folder() / "go" / f"{self.name}-{self.version}"

    def had(self) -> Path:
        """Return the path; UnavailableError, with how to build it, when it is not there."""
        if not self.path.is_file():
            raise UnavailableError(f"{self.name} takes minutes to build; do it with: make {self.name}")
        return self.path

    def make(self) -> Path:
        """Build it if it is not there, and tell of the progress. Of two runs, the second waits for the first."""
        if self.path.is_file():
            return self.path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path.with_name(f"{self.path.name}.lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self.path.is_file():
                    self._build()
        except OSError as error:
            raise UnavailableError(f"the cache folder cannot be used: {error}") from error
        return self.path

    def _build(self) -> None:
        """Build it aside and rename it. What an interrupted build has got done is kept for the next one."""
        aside = self.path.with_name(f".{self.path.name}-build")
        module = aside / "module"
        shutil.rmtree(module, ignore_errors=True)
        shutil.copytree(self.folder, module, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        made = aside / self.name
        command = [go(), "build", "-v", "-modcacherw", "-trimpath", "-o", str(made), *self.flags, self.package]
        environment = {
            **os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off",
            "GOCACHE": str(aside / "cache"), "GOMODCACHE": str(aside / "modules"),
        }  # fmt: skip
        print(f"building {self.name} {self.version} from Go modules into {self.path}", file=sys.stderr, flush=True)
        self._run(command, module, environment)
        made.rename(self.path)
        shutil.rmtree(aside)

    def _run(self, command: list[str], module: Path, environment: dict[str, str]) -> None:
        began, told, done = time.monotonic(), 0.0, 0
        last: list[str] = []
        with subprocess.Popen(
            command, cwd=module, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:  # with -v, one for each package and each module
                    last = [*last[-20:], line.strip()]
                    done += not line.startswith("go:")
                    passed = time.monotonic() - began
                    if passed > LONGEST:
                        raise UnavailableError(f"{self.name} was not built within {LONGEST:g} s")
                    if passed - told > TELL:
                        told = passed
                        of = f"{done} of about {self.packages} packages" if done else "fetching modules"
                        print(f"{self.name}: {of}, {passed:.0f} s", file=sys.stderr, flush=True)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise UnavailableError(f"{self.name} could not be built: {' / '.join(last)}")


def go() -> str:
    """Return the path of a Go compiler that is new enough; UnavailableError when there is none."""
    named = shutil.which("go")
    if named is not None and _is_new_enough(named):
        return named
    return str(debian_package(f"golang-{VERSION}-go", SUITE, f"golang-{VERSION}-src") / f"usr/lib/go-{VERSION}/bin/go")


def _is_new_enough(program: str) -> bool:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    told = subprocess.run(
        [program, "version"], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    found = re.search(r"go(\d+)\.(\d+)", told.stdout)
    wanted = tuple(map(int, VERSION.split(".")))
    return found is not None and (int(found[1]), int(found[2])) >= wanted
