"""An etcd server of one member, its data in a folder of its own."""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.fetch import UnavailableError, debian_package
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM_FROM_USER = "POINTSMAN_TEST_ETCD"
SUITE = "bookworm"  # holds etcd 3.4.23
MOST_OPERATIONS = 2000  # of a transaction; unless it is told otherwise, etcd takes 128

# A proxy that the environment names is not for servers on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@functools.cache
def program() -> Path:
    """Return the path of the program; UnavailableError when it cannot be had.

    It is the cached one even where the system has an etcd, so that results are the same everywhere; the environment
    variable POINTSMAN_TEST_ETCD names another.
    """
    named = os.environ.get(PROGRAM_FROM_USER)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UnavailableError(f"{PROGRAM_FROM_USER}={named} is not a program")
        return Path(found)
    return debian_package("etcd-server", SUITE) / "usr/bin/etcd"


class EtcdServer:
    """One member on ports of its own. After `kill` or `stop`, `start` brings it back; after a `wipe`, without its data.

    The calls that write block for a few milliseconds each, which a test's event loop can bear. Once authentication is
    on, they are made as root.
    """

    def __init__(self, folder: Path) -> None:
        self.port, peer = free_ports(2)
        self._data = folder / "etcd-data"
        self._token = ""
        self._has_root = False
        command = [
            str(program()), "--name", "test", "--data-dir", str(self._data), "--logger", "zap", "--log-level", "warn",
            "--listen-client-urls", self.address, "--advertise-client-urls", self.address,
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"test=http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--unsafe-no-fsync",
            "--heartbeat-interval", "20", "--election-timeout", "200", "--max-txn-ops", str(MOST_OPERATIONS),
        ]  # fmt: skip
        self._process = ServerProcess(command, folder / "etcd.log", self._is_ready)
        self.stop = self._process.stop
        self.kill = self._process.kill
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw
        self.output = self._process.output

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process.start()
        if self._token:  # it forgot all tokens
            self._log_in()

    def wipe(self) -> None:
        """Drop its data, while it does not run."""
        shutil.rmtree(self._data)
        self._token = ""
        self._has_root = False

    def call(self, path: str, question: object, timeout: float = 10) -> Any:
        """Ask one question of the JSON gateway, and return the answer."""
        headers = {"Authorization": self._token} if self._token else {}
        request = urllib.request.Request(f"{self.address}/v3/{path}", json.dumps(question).encode(), headers)
        try:
            with _open(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise AssertionError(f"{path}: HTTP {error.code}: {said}") from None

    def put(self, key: str | bytes, value: str | bytes | dict[str, Any], lease: str = "0") -> None:
        if isinstance(value, dict):
            value = json.dumps(value)
        self.call("kv/put", {"key": coded(key), "value": coded(value), "lease": lease})

    def delete(self, key: str | bytes) -> None:
        self.call("kv/deleterange", {"key": coded(key)})

    def delete_below(self, prefix: str) -> None:
        self.call("kv/deleterange", {"key": coded(prefix), "range_end": coded(prefix[:-1] + chr(ord(prefix[-1]) + 1))})

    def transaction(self, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = ()) -> None:
        """Write up to MOST_OPERATIONS keys at one revision; none of them twice."""
        acts = [{"request_put": {"key": coded(key), "value": coded(value)}} for key, value in puts]
        acts += [{"request_delete_range": {"key": coded(key)}} for key in deletes]
        self.call("kv/txn", {"success": acts})

    def lease(self, seconds: int) -> str:
        """Return the lease's number; what is put with it goes when it ends."""
        lease: str = self.call("lease/grant", {"TTL": str(seconds)})["ID"]
        return lease

    def revision(self) -> int:
        return int(self.call("kv/range", {"key": coded("/")})["header"]["revision"])

    def compact(self) -> None:
        """Forget all history before the present revision."""
        self.call("kv/compaction", {"revision": str(self.revision()), "physical": True})

    def enable_authentication(self) -> None:
        """Turn it on, for the first time or again."""
        if not self._has_root:
            self.add_user("root", "root's")
            self.call("auth/role/add", {"name": "root"})
            self.call("auth/user/grant", {"user": "root", "role": "root"})
            self._has_root = True
        self.call("auth/enable", {})
        self._log_in()

    def disable_authentication(self) -> None:
        self.call("auth/disable", {})
        self._token = ""

    def add_user(self, name: str, password: str) -> None:
        self.call("auth/user/add", {"name": name, "password": password})

    def let_read(self, user: str, prefix: str) -> None:
        """Give the user a role, of its own name, that may read what is below the prefix."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self.call("auth/role/add", {"name": user})
        right = {"permType": "READ", "key": coded(prefix), "range_end": coded(end)}
        self.call("auth/role/grant", {"name": user, "perm": right})
        self.call("auth/user/grant", {"user": user, "role": user})

    def _log_in(self) -> None:
        self._token = ""
        self._token = self.call("auth/authenticate", {"name": "root", "password": "root's"})["token"]

    def _is_ready(self) -> bool:
        """Ready when there is a leader."""
        with _open(f"{self.address}/health", timeout=5) as response:
            return bool(json.load(response) == {"health": "true"})


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
