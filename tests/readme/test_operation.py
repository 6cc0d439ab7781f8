"""How it is run."""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.proxy.running import until
from tests.readme.consoles import dialogue
from tests.readme.instances import serving
from tests.readme.staging import rewritten, static_addresses
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_port, free_ports
from tests.servers.program import Program, ask
from tests.servers.program import until as wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.readme.consoles import Console
    from tests.readme.snippets import Snippet
    from tests.readme.staging import Staged

# What systemd does between fork and exec: the socket becomes descriptor 3.
_ACTIVATE = """
import os, sys
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.runs("Metrics and the admin API", "Metrics and the admin API 2")
async def test_metrics_and_the_admin_api(stage: Staged, console: Console) -> None:
    async with stage() as staged:
        await staged.ask()
        await console(staged)
        assert (await staged.pointsman.admin("/livez"))[0] == 200
        _, told = await staged.pointsman.admin("/api/v1/services/web")
        assert [one["state"] for one in told["endpoints"]] == ["healthy", "healthy"]


@pytest.mark.runs("The access log")
async def test_the_access_log(stage: Staged, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with stage() as staged:
        answer = await staged.ask("/items?token=secret", headers={"User-Agent": "test"})
        await until(lambda: log.exists() and log.read_text())
        line = json.loads(log.read_text())
        assert (line["service"], line["status"], line["attempts"]) == ("web", 200, 1)
        assert line["address"] == staged.instances[answer.text].address
        assert line["target"] == "/items?token=REDACTED"
        assert (line["downstream_end"], line["upstream_end"]) == ("complete", "complete")


def written(snippet: Snippet, folder: Path) -> tuple[Path, dict[str, Any], dict[str, str]]:
    """Write a file with a snippet, on free ports and with instances that are not there."""
    listen, admin = free_ports(2)
    config = snippet.configuration()
    table = {"127.0.0.1:8080": f"127.0.0.1:{listen}", "127.0.0.1:9900": f"127.0.0.1:{admin}"}
    for name in static_addresses(config):
        table.setdefault(name, f"127.0.0.1:{free_port()}")
    ours = rewritten(config, table)
    file = folder / "pointsman.yaml"
    file.write_text(yaml.safe_dump(ours))
    return file, ours, table


@pytest.mark.runs("Reload", "Reload 2")
async def test_reload(parts: list[Snippet], tmp_path: Path) -> None:
    async with serving("one", tmp_path) as one, serving("two", tmp_path) as two:
        file, config, table = written(parts[0], tmp_path)
        listen, admin = (int(table[name].rpartition(":")[2]) for name in ("127.0.0.1:8080", "127.0.0.1:9900"))

        def change(address: str, **more: object) -> None:
            config["services"]["web"]["discovery"]["static"] = [address]
            (tmp_path / "new").write_text(yaml.safe_dump({**config, **more}))
            (tmp_path / "new").replace(file)

        def now_answers(name: str) -> None:
            """Wait until this one does; nobody is refused until then."""

            def answered() -> bool:
                answer = ask(listen, "/")
                assert answer.status == 200
                return answer.text == name

            wait_until(answered, f"{name} answers")

        def reloads(result: str) -> int:
            return int(ask(admin, "/api/v1/config").json["reloads"][result])

        def go_through() -> None:
            now_answers("one")
            change(two.address, reload={"watch": False})
            [(command, expected)] = dialogue(parts[1].text)
            words = [COMMAND, *command.split()[1:], "--admin", f"127.0.0.1:{admin}"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
            assert done.stdout == expected
            now_answers("two")
            change(two.address)
            applied = reloads("applied")
            program.signal(signal.SIGHUP)
            wait_until(lambda: reloads("applied") == applied + 1, "the file is watched again")
            change(one.address)
            now_answers("one")
            file.write_text("listeners: [")
            program.signal(signal.SIGHUP)
            wait_until(lambda: reloads("refused"), "refused")
            now_answers("one")
            program.signal(signal.SIGTERM)
            assert program.wait(10) == 0

        change(one.address, reload={"watch": False})  # until the command has been tried
        command = [COMMAND, "run", "-c", str(file)]
        program = Program(command, tmp_path / "log", lambda: ask(admin, "/readyz").status == 200)
        await asyncio.to_thread(program.start)
        try:
            await asyncio.to_thread(go_through)
        finally:
            program.kill()


@pytest.mark.runs("Takeover")
async def test_takeover(parts: list[Snippet], tmp_path: Path) -> None:
    async with serving("there", tmp_path) as there:
        file, config, table = written(parts[0], tmp_path)
        config["services"]["web"]["discovery"]["static"] = [there.address]
        file.write_text(yaml.safe_dump(config))
        listen, admin = (int(table[name].rpartition(":")[2]) for name in ("127.0.0.1:8080", "127.0.0.1:9900"))
        command = [COMMAND, "run", "-c", str(file)]
        old = Program(command, tmp_path / "old.log", lambda: ask(admin, "/readyz").status == 200)
        log = tmp_path / "new.log"
        new = Program([*command, "--takeover"], log, lambda: "took over from process" in log.read_text())

        def go_through() -> None:
            old.start()
            assert ask(listen, "/").text == "there"
            new.start()
            for _ in range(20):
                assert ask(listen, "/").text == "there"
            assert old.wait(15) == 0
            assert ask(listen, "/").text == "there"
            new.signal(signal.SIGTERM)
            assert new.wait(15) == 0

        try:
            await asyncio.to_thread(go_through)
        finally:
            old.kill()
            new.kill()


@pytest.mark.runs("Workers")
async def test_workers(parts: list[Snippet], tmp_path: Path) -> None:
    async with serving("there", tmp_path) as there:
        file, config, table = written(parts[0], tmp_path)
        config["services"]["web"]["discovery"]["static"] = [there.address]
        file.write_text(yaml.safe_dump(config))
        listen, admin = (int(table[name].rpartition(":")[2]) for name in ("127.0.0.1:8080", "127.0.0.1:9900"))
        log = tmp_path / "workers.log"
        program = Program([COMMAND, "run", "-c", str(file)], log, lambda: ask(admin, "/readyz").status == 200)

        def go_through() -> None:
            program.start()
            for _ in range(20):
                assert ask(listen, "/").text == "there"
            metrics = ask(admin, "/metrics").text
            assert 'pointsman_requests_total{code="2xx",service="web"} 20.0' in metrics
            count = len(os.sched_getaffinity(0))
            assert count == 1 or f'pointsman_workers{{state="serving"}} {count}.0' in metrics
            program.signal(signal.SIGTERM)
            assert program.wait(15) == 0

        try:
            await asyncio.to_thread(go_through)
        finally:
            program.kill()


@pytest.mark.runs("Ending")
async def test_ending(stage: Staged) -> None:
    async with stage() as staged:
        for one in staged.instances.values():
            one.pause = 0.3
        request = asyncio.create_task(staged.ask())
        await until(lambda: staged.application.services["web"].traffic.in_flight)
        async with staged.pointsman.session.post(staged.pointsman.admin_url + "/-/drain") as answer:
            assert answer.status in {200, 202}
        ending = asyncio.create_task(staged.application.drain())
        assert (await request).status == 200
        await ending
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", int(staged.table["127.0.0.1:8080"].rpartition(":")[2]))


@pytest.mark.runs("systemd", "systemd 2")
def test_systemd(parts: list[Snippet], tmp_path: Path) -> None:
    units = configparser.ConfigParser()
    units.optionxform = str  # type: ignore[assignment, method-assign]
    for part in parts:
        units.read_string(part.text)
    file, _, table = written(parts[0], tmp_path)
    host, port = table[units["Socket"]["ListenStream"]].split(":")
    _, *words = units["Service"]["ExecStart"].split()
    command = [COMMAND, *(str(file) if word.startswith("/") else word for word in words)]
    assert units["Service"]["Type"] == "notify-reload"
    with (
        socket.create_server((host, int(port))) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        (tmp_path / "log").open("wb") as log,
    ):
        told.bind(str(tmp_path / "notify"))
        told.settimeout(10)
        watchdog = int(units["Service"]["WatchdogSec"]) * 1000  # a thousandth of what it says
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(watchdog)}
        child = subprocess.Popen(
            [sys.executable, "-c", _ACTIVATE, str(listening.fileno()), *command],
            env=environment, stderr=log, pass_fds=[listening.fileno()],
        )  # fmt: skip
        try:
            for signalled, words_of_it in ((0, ("READY=1", "WATCHDOG=1")), (signal.SIGHUP, ("RELOADING=1", "READY=1"))):
                if signalled:
                    child.send_signal(signalled)
                for word in words_of_it:
                    while word not in told.recv(4096).decode():
                        pass
            assert ask(int(port), "/").status == 502  # it accepts there
            child.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in told.recv(4096).decode():
                pass
            assert child.wait(int(units["Service"]["TimeoutStopSec"])) == 0
        finally:
            child.kill()
            child.wait()
