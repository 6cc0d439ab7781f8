"""How soon all workers heed what the control process has learned; it is to be within 20 ms."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from tests.end_to_end.test_control_killed import told
from tests.servers.instances import Site
from tests.servers.load import percentile
from tests.servers.pointsman import Pointsman
from tests.servers.processes import Client, Processes
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("workers-1", "workers-2")
CHANGES = 10
_DEADLINE = 2.0  # seconds that a busy machine may make of 20 ms


class Asking:
    """A client that asks without a pause: when it asked and when it was answered, by the wall clock, and by whom."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="asks")
        self.answers: list[tuple[float, float, str]] = []
        self._thread.start()

    def finish(self) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.is_set():
            asked = time.time()
            answer = self._client.ask()
            self.answers.append((asked, time.time(), answer.headers["x-instance"]))


def _all_answered_by(asking: list[Asking], name: str) -> bool:
    return all(one.answers and one.answers[-1][2] == name for one in asking)


def test_a_change_reaches_all_workers_at_once(tmp_path: Path) -> None:
    file = tmp_path / "web.json"
    with Site(tmp_path, *NAMES) as instances:
        addresses = instances.addresses()
        told(file, addresses[:1])
        with (
            Pointsman(tmp_path, {"web": {"discovery": {"file": str(file)}}}, workers=2) as proxy,
            Processes(proxy, proxy.port).client_of_each() as clients,
        ):
            asking = [Asking(client) for client in clients.values()]
            try:
                for number in range(1, CHANGES + 1):
                    name = NAMES[number % 2]
                    told(file, [addresses[number % 2]])
                    until(partial(_all_answered_by, asking, name), "the change")
            finally:
                for one in asking:
                    one.finish()
            joined = [event for event in proxy.events("joined") if event["service"] == "web"][1:]
    late = []
    for event in joined:
        moment = datetime.fromisoformat(event["time"]).timestamp()
        for one in asking:
            # The first that the new instance answers at all is asked at the latest when the worker knows of it.
            name = event["endpoint"]
            late.append(next(ended for _, ended, who in one.answers if ended > moment and who == name) - moment)
    late.sort()
    print(
        f"\n{CHANGES} changes, 2 workers: from the change in the control process to the first answer of the new "
        f"instance p50 {percentile(late, 0.5) * 1000:.1f}, p99 {percentile(late, 0.99) * 1000:.1f} ms"
    )
    assert len(joined) == CHANGES
    assert late[-1] < _DEADLINE
