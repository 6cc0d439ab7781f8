"""A supervisor whose children do what a test tells them: `python -m tests.proxy.workers.supervised OPTIONS`.

What the children see and do is written to standard output, an object of JSON a line. They are told what to do by
datagrams to sockets of a folder, `control` and `worker-N`.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from proxy.workers import supervisor
from proxy.workers.channel import ENDED, Link
from proxy.workers.messages import Asked, Begin, Ended, Ending, Keep, Kill, Notify, Spot, Started
from proxy.workers.supervisor import Kept, Supervisor

options: dict[str, Any] = {
    "folder": "",
    "workers": 2,
    "begins": True,  # the control process lets workers be started
    "fails": 0,  # the status with which it ends at once
    "dies": [],  # the generations of it that are ended by a signal, once they have said that they are there
    "lingers": False,  # it does nothing when it is asked to end
    "stubborn": [],  # the numbers of workers that never end
    "patience": 35.0,
    "last": 5.0,
    "longest_pause": 5.0,
    "forks_fail": 0,  # so many times
    "files": 0,  # the limit of file descriptors
}


def say(who: str, what: str, **more: object) -> None:
    """Write a line, in one piece."""
    line = json.dumps({"who": who, "what": what, "pid": os.getpid(), **more}) + "\n"
    os.write(1, line.encode())


class Told:
    """Somebody who is told what to do."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        path = Path(options["folder"], who)
        path.unlink(missing_ok=True)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._sock, self._read)

    def _read(self) -> None:
        words = json.loads(self._sock.recv(65536))
        getattr(self, words[0])(*words[1:])

    def end(self, status: int = 0) -> None:
        if not self.status.done():
            self.status.set_result(status)

    def die_of_a_fault(self) -> None:
        self.status.set_exception(LookupError("a fault of this test"))

    def leave(self, status: object) -> None:
        self.status.set_exception(SystemExit(status))

    def run(self, command: list[str]) -> None:
        say(self.who, "output", text=subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class Control(Told):
    """A control process."""

    def __init__(self, end: socket.socket, kept: Kept | None) -> None:
        super().__init__("control")
        self.link = Link(end, self.heard, self.left_alone)
        self.sockets = kept.sockets if kept is not None else []
        self.workers: dict[int, Link] = {}
        self.ends = False
        addresses = [sock.getsockname() for sock in self.sockets]
        told = (kept.restarts, kept.why, kept.state) if kept is not None else (0, "", None)
        self.generation = told[0]
        say("control", "is there", restarts=told[0], why=told[1], state=told[2], kept=addresses)
        self.link.start()
        if options["begins"]:
            self.begin()

    def begin(self) -> None:
        self.link.send(Begin())

    def keep(self, count: int, state: object = None) -> None:
        """Listen on so many new sockets, instead of those before."""
        for sock in self.sockets:
            sock.close()
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.link.send(Keep((Spot("listener", "somewhere", False, count),), state), self.sockets)
        say("control", "keeps", addresses=[sock.getsockname() for sock in self.sockets])

    def accept(self) -> None:
        sock, _ = self.sockets[0].accept()
        sock.sendall(b"hello")
        sock.close()

    def ending(self) -> None:
        self.link.send(Ending())

    def kill(self, number: int, pid: int) -> None:
        self.link.send(Kill(number, pid, "the test wants it"))

    def notify(self, text: str) -> None:
        self.link.send(Notify(text))

    def tell(self, number: int, text: str) -> None:
        self.workers[number].send(text)

    def damage(self) -> None:
        self.link._sock.send(b"\x03no message")

    def hang_up(self) -> None:
        self.link.close()

    def heard(self, message: object, sockets: list[socket.socket]) -> None:
        match message:
            case Started(number, pid):
                link = Link(sockets[0], partial(self.heard_of, number), partial(self.gone, number, pid))
                if number in self.workers:  # whose end we have not seen yet
                    self.workers[number].close()
                self.workers[number] = link
                link.start()
                say("control", "started", number=number, worker=pid)
            case Ended(number, pid, why, pause):
                say("control", "ended", number=number, worker=pid, why=why, pause=pause)
            case Asked(name):
                say("control", "asked", signal=name)
                if name != "SIGHUP" and not self.ends and not options["lingers"]:
                    self.ends = True
                    self.ending()
                    for link in self.workers.values():
                        link.send("end")
                    self.end_when_alone()

    def heard_of(self, number: int, message: object, sockets: list[socket.socket]) -> None:
        say("control", "heard", number=number, text=message)

    def gone(self, number: int, pid: int, why: str) -> None:
        if why != ENDED:
            say("control", "fault", text=f"worker {number} is gone: {why}")
        self.workers.pop(number).close()
        self.end_when_alone()

    def end_when_alone(self) -> None:
        if self.ends and not any(number not in options["stubborn"] for number in self.workers):
            self.end(5)

    def left_alone(self, why: str) -> None:
        say("control", "is left alone", why=why)
        self.end()


class Worker(Told):
    """A worker."""

    def __init__(self, number: int, end: socket.socket) -> None:
        super().__init__(f"worker-{number}")
        self.is_stubborn = number in options["stubborn"]
        self.link = Link(end, self.heard, self.left_alone)
        say(self.who, "is there")
        self.link.start()

    def tell(self, text: str) -> None:
        self.link.send(text)

    def heard(self, message: object, sockets: list[socket.socket]) -> None:
        say(self.who, "heard", text=message)
        if message == "end" and not self.is_stubborn:
            self.end()

    def left_alone(self, why: str) -> None:
        say(self.who, "is left alone", why=why)
        if not self.is_stubborn:
            self.end()


async def control(end: socket.socket, kept: Kept | None) -> int:
    if options["fails"]:
        return int(options["fails"])
    one = Control(end, kept)
    if one.generation in options["dies"]:
        await one.link.flush(5.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return await one.status


async def worker(number: int, end: socket.socket) -> int:
    return await Worker(number, end).status


def fork_fails(count: int) -> None:
    """Have the next so many calls of fork(2) find no room for another process."""
    fork, left = os.fork, [count]

    def failing() -> int:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    os.fork = failing


class Counted(Supervisor):
    """Counts how often it wakes up."""

    waits = 0

    def _wait(self, until: float = 0.0) -> None:
        Counted.waits += 1
        super()._wait(until)


def main() -> None:
    options.update(json.loads(sys.argv[1]))
    logging.basicConfig(level="INFO")
    supervisor._LAST = options["last"]
    supervisor._LONGEST_PAUSE = options["longest_pause"]
    if options["files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    fork_fails(options["forks_fail"])
    status = Counted(
        options["workers"],
        lambda end, kept: uvloop.run(control(end, kept)),
        lambda number, end: uvloop.run(worker(number, end)),
        options["patience"],
    ).run()
    say("supervisor", "ends", status=status, waits=Counted.waits)
    sys.exit(status)


if __name__ == "__main__":
    main()
