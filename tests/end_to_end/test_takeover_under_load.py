"""Processes take over from each other under load, as `pointsman run -c FILE --takeover` does it: no request fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import COMMAND, Pointsman
from tests.servers.ports import free_port
from tests.servers.program import Program, ask, until

if TYPE_CHECKING:
    from tests.servers.load import Result

NAMES = ("takeover-1", "takeover-2")


class Next(Program):
    """The process that takes over; it is started once it has."""

    def __init__(self, folder: Path, number: int) -> None:
        command = [COMMAND, "run", "-c", str(folder / "pointsman.yaml"), "--takeover"]
        super().__init__(command, folder / f"next-{number}.log", lambda: "took over from process" in self.output())


def rolled(folder: Path, times: int) -> tuple[dict[str, Result], list[float]]:
    """Roll the proxy so often while clients send; return what became of their requests, and how long each took."""
    took = []
    with Instances(folder, *NAMES) as instances:
        web = {"discovery": {"static": instances.addresses()}}
        registry = {"bind": f"127.0.0.1:{free_port()}", "data_dir": str(folder / "registry")}
        proxy = Pointsman(folder, {"web": web}, takeover={"socket": "t.sock"}, registry=registry, drain_timeout="10s")
        slow = f"{proxy.url}/slow?seconds=0.2"
        with (
            proxy,
            Load(folder, proxy.url, clients=6) as reading,
            Load(folder, slow, clients=3, method="POST", body=10**6, name="writing") as writing,
            Load(folder, f"{proxy.url}/download", clients=2, download=3 * 10**6, name="download") as download,
        ):
            _failing(folder, proxy)
            runs: Program = proxy
            for number in range(times):
                begun = time.monotonic()
                successor = Next(folder, number)
                successor.start()
                took.append(time.monotonic() - begun)
                assert runs.wait(15) == 0, runs.output()
                assert "Traceback" not in runs.output()
                runs = successor
            results = {"GET": reading.finish(), "POST": writing.finish(), "download": download.finish()}
            assert proxy.metric("pointsman_takeover_generation") == times
            runs.signal(signal.SIGTERM)
            assert runs.wait(15) == 0, runs.output()
            assert not (folder / "t.sock").exists()
            proxy.kill()
    return results, took


def _failing(folder: Path, proxy: Pointsman) -> None:
    """Have a process killed before it is ready."""
    config = json.loads((folder / "pointsman.yaml").read_text())
    bad = folder / "bad.yaml"
    nowhere = {"web": {"discovery": {"consul": {"service": "web", "address": f"http://127.0.0.1:{free_port()}"}}}}
    bad.write_text(json.dumps({**config, "services": nowhere}))
    with (folder / "killed.log").open("wb") as log:
        child = subprocess.Popen([COMMAND, "run", "-c", str(bad), "--takeover"], stdout=log, stderr=log)
        try:
            until(lambda: proxy.metric("pointsman_takeover_under_way") == 1, "it takes over")
        finally:
            child.kill()
            child.wait()
    until(lambda: proxy.metric('pointsman_takeovers_total{result="failed"}') == 1, "it was seen to fail")
    assert ask(proxy.admin_port, "/readyz").status == 200


def show(times: int, sent: Counter[str], failed: Counter[str]) -> None:
    why = "; ".join(f"{count} x {reason}" for reason, count in failed.items()) or "-"
    print("\n| what | times | sent | failed | why |\n|---|---|---|---|---|")
    print(f"| takeover, processes | {times} | {sent.total():,} | {failed.total()} | {why} |", flush=True)


def counted(results: dict[str, Result]) -> tuple[Counter[str], Counter[str]]:
    sent = Counter({name: result.sent for name, result in results.items()})
    failed = Counter(f"{name}: {one.reason}" for name, result in results.items() for one in result.failed)
    return sent, failed


def test_no_request_fails_while_processes_take_over(tmp_path: Path) -> None:
    sent, failed = counted(rolled(tmp_path, times=1)[0])
    show(1, sent, failed)
    assert sent.total() > 50
    assert not failed


def main() -> int:
    times = int(os.environ.get("SOAK_TAKEOVERS", "10"))
    with tempfile.TemporaryDirectory(prefix="takeovers-") as folder:
        results, took = rolled(Path(folder), times)
    sent, failed = counted(results)
    show(times, sent, failed)
    print(f"from the command to the new one at work: {min(took):.2f} to {max(took):.2f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
