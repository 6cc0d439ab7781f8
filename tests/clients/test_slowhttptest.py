"""slowhttptest: clients that take all the time there is, and an ordinary one among them."""

from __future__ import annotations

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.debian import debian_program
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from tests.servers.instances import Site

TIMEOUTS = {"request_head": "2s", "body_idle": "2s", "stream_idle": "2s"}
CONNECTIONS = 420  # of each kind
RATE = 100  # of each kind, new ones a second
LENGTH = 15  # seconds at most; it ends earlier when all its connections are closed, if it notices
PATIENCE = 3  # seconds in which its own probe wants an answer
KINDS = {
    "heads": ("-H", "/status/200", ("-i", "1", "-x", "24")),
    "bodies": ("-B", "/slow?seconds=0", ("-i", "3", "-s", "100000", "-x", "10")),
    "reads": ("-X", "/download?size=3000000&seed=1", ("-n", "1", "-w", "512", "-y", "1024", "-z", "32")),
}
ESTABLISHED = "01"  # in /proc/net/tcp


def held(port: int) -> int:
    """Count the connections that the server of this port has, by the kernel's word."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == ESTABLISHED and int(row[1].rpartition(":")[2], 16) == port for row in rows)


@pytest.mark.slow
def test_slow_clients(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    slowhttptest = had_or_skipped(request.config, "slowhttptest", lambda: debian_program("slowhttptest"))
    service = {"discovery": {"static": site.addresses()}}

    def attack(kind: str) -> str:
        """Run one of KINDS, and return the reason for its end."""
        mode, path, options = KINDS[kind]
        common = ["-c", CONNECTIONS, "-r", RATE, "-l", LENGTH, "-p", PATIENCE, "-g", "-o", kind, "-u", proxy.url + path]
        done = slowhttptest.run(mode, *map(str, common), *options, timeout=60, folder=tmp_path)
        said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout.decode())
        assert done.returncode == 0, said + done.stderr.decode()
        return said.rpartition("Exit status:")[2].splitlines()[0].strip()

    with (
        Pointsman(tmp_path, {"web": service}, timeouts=TIMEOUTS) as proxy,
        ThreadPoolExecutor() as threads,
        Load(tmp_path, f"{proxy.url}/status/200", clients=4, pause=0.05) as load,
    ):
        attacks = {kind: threads.submit(attack, kind) for kind in KINDS}
        for kind in ("heads", "bodies"):
            assert attacks[kind].result() == "No open connections left", kind
        result = load.finish()
        # Those that read slowly do not notice that their connections are gone; they sit there until their time is up.
        until(lambda: held(proxy.port) == 0, "no connection is held")
        assert not attacks["reads"].done()
        assert attacks["reads"].result() == "Hit test time limit"
        until(lambda: proxy.service("web")["in_flight"] == 0, "nothing is under way any more")
        assert proxy.metric(f'pointsman_requests_refused_total{{listener="127.0.0.1:{proxy.port}"}}') == CONNECTIONS
        assert proxy.metric('pointsman_requests_total{code="4xx",service="web"}') == CONNECTIONS
        assert proxy.metric('pointsman_responses_broken_total{service="web"}') == CONNECTIONS

    for kind in KINDS:
        with (tmp_path / f"{kind}.csv").open() as report:
            seconds = list(csv.DictReader(report))
        assert len(seconds) > CONNECTIONS / RATE
        assert all(int(second["Service Available"]) for second in seconds), kind
        most = max(int(second["Connected"]) for second in seconds)
        print(f"\n{kind}: {CONNECTIONS} connections in {len(seconds)} s, {most} at a time as it saw them", end="")
    slowest = max(one.ended - one.started for one in result.answered)
    print(f"\nthe ordinary clients: {result.sent} requests, the slowest took {slowest * 1000:.0f} ms", end="")
    assert not result.failed
    assert result.sent > 100
