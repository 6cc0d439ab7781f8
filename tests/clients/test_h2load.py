"""h2load: many connections, many requests, and each of them answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.servers.debian import DebianProgram, debian_program
from tests.servers.instance import content
from tests.servers.wanted import had_or_skipped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.pointsman import Pointsman

CLIENTS = 64
COUNTS = re.compile(
    r"^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$"
    r"\nstatus codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def h2load(request: pytest.FixtureRequest) -> DebianProgram:
    return had_or_skipped(request.config, "h2load", lambda: debian_program("h2load"))


@pytest.mark.parametrize(
    ("requests", "path", "options"),
    [
        (6000, "/status/200", []),
        (6000, "/status/200", ["--max-concurrent-streams=4"]),  # which are pipelined in HTTP/1.1
        (1500, "/download?size=100000&seed=1", []),
        (1500, "/chunked?size=30000&seed=1", []),
        (1500, "/upload", ["--data=body"]),
    ],
    ids=["small", "pipelined", "large", "chunked", "upload"],
)
def test_all_succeed(
    h2load: DebianProgram, proxy: Pointsman, tmp_path: Path, requests: int, path: str, options: list[str]
) -> None:
    (tmp_path / "body").write_bytes(content(1, 0, 20_000))
    before = {name: one["requests"] for name, one in proxy.endpoints("web").items()}
    arguments = ["--h1", f"--clients={CLIENTS}", f"--requests={requests}", *options, proxy.url + path]
    done = h2load.run(*arguments, timeout=60, folder=tmp_path)
    report = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    counts = COUNTS.search(report)
    assert counts, report
    total, started, ended, succeeded, *others = map(int, counts.groups())
    assert (total, started, ended, succeeded) == (requests, requests, requests, requests), report
    assert others == [0, 0, 0, requests, 0, 0, 0], report
    shares = {name: one["requests"] - before[name] for name, one in proxy.endpoints("web").items()}
    assert sum(shares.values()) == requests
    assert max(shares.values()) - min(shares.values()) <= 1
    print(f"\n{succeeded} of {total} succeeded on {CLIENTS} connections; by instance: {shares}", end="")
