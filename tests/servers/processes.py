"""The processes of a pointsman with several workers: which there are, and whose a connection is."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.program import Answer, ask, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.pointsman import Pointsman
    from tests.servers.program import Program

_CONTROL = "pointsman-ctrl"
_WORKER = "pointsman-w"
_ESTABLISHED, _LISTEN = "01", "0A"  # include/net/tcp_states.h
_TRIES = 200  # connections, of which each worker gets one


class Processes:
    """Those that a supervisor has started, as the kernel knows them; `port` is where they listen."""

    def __init__(self, program: Program, port: int) -> None:
        self.supervisor = program.pid
        self._port = port

    def children(self) -> dict[int, str]:
        """Return the names of those that run now, by their ids."""
        found = {}
        for pid in Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split():
            try:
                found[int(pid)] = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:  # it has just ended
                pass
        return found

    def workers(self) -> dict[int, int]:
        """Return the ids of the workers, by their numbers."""
        return {
            int(name.removeprefix(_WORKER)): pid for pid, name in self.children().items() if name.startswith(_WORKER)
        }

    def control(self) -> int:
        """Return the id of the control process; 0 while there is none."""
        return next((pid for pid, name in self.children().items() if name == _CONTROL), 0)

    def kill_worker(self, number: int) -> int:
        """Kill a worker, and return the id of the one that comes in its place."""
        return self._killed(self.workers()[number], lambda: self.workers().get(number, 0))

    def kill_control(self) -> int:
        """Kill the control process, and return the id of the one that comes in its place."""
        return self._killed(self.control(), self.control)

    def _killed(self, pid: int, successor: Callable[[], int]) -> int:
        os.kill(pid, signal.SIGKILL)
        until(lambda: successor() not in (0, pid), f"another process is there in the place of {pid}")
        return successor()

    def connections(self) -> dict[int, int]:
        """Return who has accepted the connections to the listener: the client's port, and the worker's number.

        Those that nobody has accepted yet have number 0.
        """
        owners = self._owners()
        return {far: owners.get(inode, 0) for far, state, inode in self._sockets() if state == _ESTABLISHED}

    def accepting(self) -> list[int]:
        """Return the numbers of the workers that have a socket of the listener's."""
        owners = self._owners()
        return [owners[inode] for _, state, inode in self._sockets() if state == _LISTEN and inode in owners]

    def _owners(self) -> dict[int, int]:
        return {inode: number for number, pid in self.workers().items() for inode in _inodes(pid)}

    def _sockets(self) -> Iterator[tuple[int, str, int]]:
        """Find the far port, the state and the inode of each socket at our port."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if int(local.partition(":")[2], 16) == self._port:
                yield int(remote.partition(":")[2], 16), state, int(rest[5])

    @contextmanager
    def client_of_each(self, host: str = "x") -> Iterator[dict[int, Client]]:
        """Have a client of each worker, that has asked a site of tests.servers.site once, while the block lasts."""
        with ExitStack() as stack:
            found: dict[int, Client] = {}
            for _ in range(_TRIES):
                client = stack.enter_context(closing(Client(self._port)))
                answer = client.ask(host=host)
                assert answer.status == 200, answer
                found.setdefault(self.connections()[client.near], client)
                if found.keys() == self.workers().keys():
                    break
            yield found


class Client(http.client.HTTPConnection):
    """A client that stays connected; `near` is its own port."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=20)
        self.connect()
        self.auto_open = 0  # a connection that has ended is not begun anew
        self.near: int = self.sock.getsockname()[1]

    def ask(self, path: str = "/headers", host: str = "x") -> Answer:
        """Send a GET, and return the answer."""
        self.request("GET", path, headers={"Host": host})
        answer = self.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())

    def open_websocket(self, host: str = "x") -> None:
        """Become a WebSocket."""
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
        self.request("GET", "/ws", headers={"Host": host, **upgrade, **key})
        assert self.getresponse().status == 101

    def echoed(self, text: bytes) -> bytes:
        """Say a short text on a WebSocket; return what is answered (RFC 6455, 5.2; the mask is 0)."""
        self.sock.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        return self.sock.recv(2 + len(text), socket.MSG_WAITALL)[2:]


def runs(pid: int) -> bool:
    """Tell whether a process has not ended yet, whether anybody has taken note of that or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def established(pid: int, port: int) -> int:
    """Return how many connections a process has to a port."""
    inodes = _inodes(pid)
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    there = [one for one in lines if int(one[2].partition(":")[2], 16) == port and one[3] == _ESTABLISHED]
    return sum(int(one[9]) in inodes for one in there)


def answered_by(client: Client, host: str, times: int = 16) -> set[str]:
    """Return which instances of tests.servers.site answer so many requests for a host."""
    return {client.ask(host=host).headers.get("x-instance", "") for _ in range(times)}


def requests_of(proxy: Pointsman, service: str) -> int:
    """Return how many requests to a service have been answered, as the metrics tell."""
    text = ask(proxy.admin_port, "/metrics").text
    series = re.compile(rf'^pointsman_requests_total\{{.*service="{service}".*\}} (\S+)$', re.MULTILINE)
    return sum(int(float(value)) for value in series.findall(text))


def _inodes(pid: int) -> set[int]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kind, _, inode = os.readlink(link).partition(":")
        except OSError:
            continue
        if kind == "socket":
            found.add(int(inode.strip("[]")))
    return found
