"""A ZooKeeper server of one member, its data in a folder of its own, and a client of the tests' own to write with."""

from __future__ import annotations

import functools
import json
import logging
import shutil
import socket
import time
from typing import TYPE_CHECKING, Any

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.security import make_digest_acl

from tests.servers.fetch import UnavailableError, debian_package
from tests.servers.java import java
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUITE = "bookworm"  # holds ZooKeeper 3.8.0
PACKAGES = (
    "libzookeeper-java", "libslf4j-java", "libnetty-java", "libdropwizard-metrics-java", "libsnappy-java",
)  # fmt: skip
JARS = ("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "netty-all", "metrics-core", "snappy-java")

# A tick is the grain of the time in which sessions expire.
CONFIG = """\
tickTime=100
minSessionTimeout=200
maxSessionTimeout=60000
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr,cons,wchs
"""
TESTER = ("tests", "tests's")  # who may do what is not allowed to others

READY_WITHIN = 60.0  # seconds; a Java of its own takes two on a machine with nothing else to do

quiet = logging.getLogger("tests.kazoo")
quiet.setLevel(logging.CRITICAL + 1)


@functools.cache
def command() -> tuple[str, ...]:
    """Return the command less its last argument, the configuration; UnavailableError when it cannot be had."""
    folder = debian_package(*PACKAGES[:1], SUITE, *PACKAGES[1:]) / "usr/share/java"
    jars = [folder / f"{name}.jar" for name in JARS]
    if missing := [jar.name for jar in jars if not jar.exists()]:
        raise UnavailableError(f"ZooKeeper was unpacked, and lacks {', '.join(missing)}")
    return (
        java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, jars)),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=256",
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    )  # fmt: skip


class ZooKeeperServer:
    """One member on a port of its own. After `kill` or `stop`, `start` brings it back; after a `wipe`, without data.

    The calls that write block for a few milliseconds each, which a test's event loop can bear.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / "zookeeper-data"
        config = folder / "zoo.cfg"
        config.write_text(CONFIG.format(data=self._data, port=self.port))
        self._process = ServerProcess(
            [*command(), str(config)], folder / "zookeeper.log", self._is_ready, deadline=READY_WITHIN
        )
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw
        self.output = self._process.output
        self._client: KazooClient | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process.start()

    def stop(self) -> None:
        self._leave()
        self._process.stop()

    def kill(self) -> None:
        self._leave()
        self._process.kill()

    def wipe(self) -> None:
        """Drop its data, while it does not run."""
        shutil.rmtree(self._data)

    @property
    def client(self) -> KazooClient:
        """A client with a session of its own, which ends when the server is stopped; made when it is first wanted."""
        if self._client is None:
            self._client = self.connect(timeout=30.0)
        return self._client

    def connect(self, **options: Any) -> KazooClient:
        """Make another client, with another session; the caller must `leave` it."""
        client = KazooClient(self.address, logger=quiet, auth_data=[("digest", ":".join(TESTER))], **options)
        client.start(timeout=30)
        return client

    def put(self, path: str, value: bytes | str | dict[str, Any] = b"", **options: Any) -> str:
        """Write a node, with those above it, whether it is there or not; return its path."""
        if isinstance(value, dict):
            value = json.dumps(value)
        data = value.encode() if isinstance(value, str) else value
        if not options:
            try:
                self.client.set(path, data)
            except NoNodeError:
                pass
            else:
                return path
        made: str = self.client.create(path, data, makepath=True, **options)
        return made

    def delete(self, path: str) -> None:
        self.client.delete(path, recursive=True)

    def change_many(self, base: str, changes: Iterable[tuple[str, bytes | None]]) -> None:
        """Write and remove children of `base` in their order, without waiting for each answer; None removes one.

        A child that is there and is written is replaced by a new one.
        """
        present = set(self.client.get_children(base)) if self.client.exists(base) else set()
        if not self.client.exists(base):
            self.client.create(base, makepath=True)
        asked = []
        for name, data in changes:
            if data is None:
                asked.append(self.client.delete_async(f"{base}/{name}"))
                present.discard(name)
            elif name in present:
                asked.append(self.client.set_async(f"{base}/{name}", data))
            else:
                asked.append(self.client.create_async(f"{base}/{name}", data))
                present.add(name)
        for answer in asked:
            answer.get(timeout=60)

    def protect(self, path: str, user: str, password: str) -> None:
        """Let only this user read a node, and nobody but the tests write it."""
        self.client.set_acls(path, [make_digest_acl(user, password, read=True), make_digest_acl(*TESTER, all=True)])

    def expire(self, session: tuple[int, bytes]) -> None:
        """End another client's session: one that takes it over, and closes it."""
        leave(self.connect(client_id=session))

    def watches(self) -> int:
        """How many watches all sessions have."""
        return int(self._told("wchs").rpartition("Total watches:")[2])

    def sessions(self) -> int:
        """How many connections have a session."""
        return self._told("cons").count("sid=0x")

    def packets(self) -> int:
        """How many packets it received from all clients."""
        return int(self._told("srvr").partition("Received:")[2].split()[0])

    def _leave(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            leave(client)

    def _told(self, word: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(word.encode())
            told = bytearray()
            while piece := sock.recv(65536):
                told += piece
        return told.decode()

    def _is_ready(self) -> bool:
        return "Mode: standalone" in self._told("srvr")


def leave(client: KazooClient) -> None:
    """End a client and its session."""
    client.stop()
    client.close()


def until_gone(client: KazooClient, path: str, deadline: float = 10.0) -> None:
    """Wait until a node is gone."""
    give_up = time.monotonic() + deadline
    while client.exists(path):
        assert time.monotonic() < give_up, f"{path} is still there after {deadline:g} s"
        time.sleep(0.02)
