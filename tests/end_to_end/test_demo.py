"""`pointsman demo` does what its words promise."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.load import Load
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_ports
from tests.servers.program import Program, ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator


def samples(registry: int) -> list[int]:
    """The processes of the demo's instances, which its registry's port tells from those of others."""
    ours = [b"proxy.sample", f"http://127.0.0.1:{registry}".encode()]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if all(word in words for word in ours):
            found.append(int(folder.name))
    return found


@contextmanager
def none_left_behind(registry: int) -> Iterator[None]:
    """Kill what a failed test leaves of the demo's instances."""
    try:
        yield
    finally:
        for pid in samples(registry):
            os.kill(pid, signal.SIGKILL)


def names(answers: Iterator[str]) -> list[str]:
    """Who says hello, in `hello from web-1 (process 123)`."""
    return [answer.split()[2] for answer in answers]


def test_the_demo(tmp_path: Path) -> None:
    listen, admin, registry = free_ports(3)
    log = tmp_path / "demo.log"
    command = [COMMAND, "demo", "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}"]
    command += ["--registry", f"127.0.0.1:{registry}"]
    demo = Program(command, log, lambda: "Ctrl-C ends all of it" in log.read_text())

    def events(kind: str) -> list[str]:
        found = ask(admin, "/api/v1/events").json["events"]
        return [event["endpoint"].rpartition("/")[2] for event in found if event["kind"] == kind]

    with none_left_behind(registry), demo:
        words = log.read_text()
        print(words)
        for port in (listen, admin, registry):
            assert f"127.0.0.1:{port}" in words
        to_stop = re.search(r"kill (\d+) .*stop (\S+):", words)
        to_kill = re.search(r"kill -9 (\d+) .*kill (\S+):", words)
        assert to_stop
        assert to_kill
        processes = samples(registry)
        assert len(processes) == 3
        turns = names(ask(listen, "/").text for _ in range(6))
        assert turns[:3] == turns[3:]
        assert set(turns) == {"web-1", "web-2", "web-3"}

        with Load(tmp_path, f"http://127.0.0.1:{listen}/", clients=8) as load:
            stopped_at = time.monotonic()
            os.kill(int(to_stop[1]), signal.SIGTERM)
            gone = until(lambda: to_stop[2] in events("left"), "the stopped one has left")
            until(lambda: int(to_stop[1]) not in samples(registry), "its process has ended")
            result = load.finish()
        assert not result.failed
        assert to_stop[2] not in names(one.instance for one in result.answered if one.started > gone)

        os.kill(int(to_kill[1]), signal.SIGKILL)
        killed_at = time.monotonic()
        ejected = until(lambda: to_kill[2] in events("ejected"), "the killed one is ejected")
        (left,) = {"web-1", "web-2", "web-3"} - {to_stop[2], to_kill[2]}
        assert set(names(ask(listen, "/").text for _ in range(4))) == {left}

        demo.signal(signal.SIGINT)
        status = demo.wait(15)
        print(f"{to_stop[2]} left {gone - stopped_at:.2f} s after SIGTERM; {result.sent} requests, none failed")
        print(f"{to_kill[2]} was ejected {ejected - killed_at:.1f} s after SIGKILL; the demo ended with {status}")
        assert status == 0
        assert not samples(registry)
        assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_a_demo_that_is_killed_leaves_no_instance_behind(tmp_path: Path) -> None:
    listen, admin, registry = free_ports(3)
    log = tmp_path / "demo.log"
    command = [COMMAND, "demo", "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}"]
    command += ["--registry", f"127.0.0.1:{registry}"]
    with none_left_behind(registry), Program(command, log, lambda: "Ctrl-C ends all of it" in log.read_text()) as demo:
        assert len(samples(registry)) == 3
        demo.signal(signal.SIGKILL)
        until(lambda: not samples(registry), "the instances have noticed, and ended")
