"""PostgreSQL, as an instance behind raw connections: a new cluster in a folder, without a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.fetch import UnavailableError, debian_package
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTALLED = Path("/usr/lib/postgresql")
_LIBRARIES = ("postgresql-client-15", "libpq5", "libxml2", "libicu72", "libldap-2.5-0", "libsasl2-2")
# It refuses to run as root, and is told another name of the user where it does.
_AS_ANOTHER = ["unshare", "--user", "--map-user=1000", "--"]
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=1MB", "jit=off")


class Postgres:
    """The programs, and how they are run."""

    def __init__(self, programs: Path, libraries: Path | None) -> None:
        self._programs = programs
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        if libraries is not None:
            self._environment["LD_LIBRARY_PATH"] = str(libraries)

    def server(self, folder: Path, port: int) -> ServerProcess:
        """Make a cluster, and a server of it on a port of 127.0.0.1, not started yet. Raises UnavailableError."""
        data = folder / "data"
        made = self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C")
        if made.returncode:
            raise UnavailableError(f"initdb failed: {made.stderr.decode().strip()}")
        settings = [part for one in (*_FAST, "listen_addresses=127.0.0.1") for part in ("-c", one)]
        command = [*_prefix(), str(self._programs / "postgres"), "-D", str(data), "-p", str(port), "-k", "", *settings]
        return ServerProcess(command, folder / "postgres.log", lambda: _answers(port), environment=self._environment)

    def psql(self, port: int, *words: str, stdin: str = "") -> str:
        """Have psql do what it is told, as the superuser; return what it says."""
        at = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = self._run("psql", *at, *words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def _run(self, name: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [*_prefix(), str(self._programs / name), *words]
        return subprocess.run(
            command, input=stdin.encode(), capture_output=True, env=self._environment, timeout=30, check=False
        )


def postgres() -> Postgres:
    """Find the programs, or bring them here. Raises UnavailableError."""
    if _prefix() and shutil.which(_AS_ANOTHER[0]) is None:
        raise UnavailableError("it does not run as root, and there is no unshare to have it run as somebody else")
    installed = sorted(_INSTALLED.glob("*/bin/initdb"))
    if installed:
        return Postgres(installed[-1].parent, None)
    root = debian_package("postgresql-15", "bookworm", *_LIBRARIES)
    return Postgres(root / "usr/lib/postgresql/15/bin", next(root.glob("usr/lib/*-linux-gnu*"), None))


def _prefix() -> list[str]:
    return _AS_ANOTHER if os.geteuid() == 0 else []


def _answers(port: int) -> bool:
    """Ask whether it speaks TLS, which is answered in a byte once it takes connections."""
    with socket.create_connection(("127.0.0.1", port), 1) as sock:
        sock.settimeout(1)
        sock.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        return sock.recv(1) in (b"S", b"N")
