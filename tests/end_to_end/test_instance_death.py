"""An instance is killed under load: what it had in flight is lost, nothing else; it comes back and is used again."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman, in_consul
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.consul import ConsulAgent

SERVICE = "death"
NAMES = ("death-1", "death-2", "death-3")
VICTIM = NAMES[1]
INTERVAL, FALL, TIMEOUT = 0.5, 3, 1.0
READING, WRITING = 12, 12  # clients
DYING = 0.1  # seconds that the kernel may take to close a killed process's connections


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_only_what_it_had_in_flight_is_lost(consul: ConsulAgent, tmp_path: Path) -> None:
    probe = {"http": "/healthz", "interval": f"{INTERVAL}s", "timeout": f"{TIMEOUT}s", "fall": FALL, "rise": 2}
    # What requests find out, sooner than any probe, is for test_faults_under_load.py.
    health = {"probe": probe, "passive": {"enabled": False}}
    service = in_consul(consul.address, SERVICE, balancer="round_robin", health=health)
    with ExitStack() as stack:
        instances = {name: stack.enter_context(Instances(tmp_path, name)) for name in NAMES}
        for name, instance in instances.items():
            consul.register(instance.registration(SERVICE, name))
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": service}))
        proxy.until_in_traffic("web", *NAMES)
        slow = f"{proxy.url}/slow?seconds=0.05"  # so that there is always something in flight
        reading = stack.enter_context(Load(tmp_path, slow, clients=READING))
        writing = stack.enter_context(
            Load(tmp_path, slow, clients=WRITING, method="POST", body=2000, name="load-post")
        )  # fmt: skip
        time.sleep(2)  # of traffic while all is well
        before = proxy.endpoints("web")[VICTIM]["in_flight"]
        killed, killed_at = time.monotonic(), time.time()
        instances[VICTIM].kill()
        dead = time.monotonic()
        until(lambda: proxy.events("ejected"), "the victim is ejected")
        (ejected,) = proxy.events("ejected")
        out_of_traffic = time.monotonic()
        time.sleep(2)  # of traffic without it
        while_away = proxy.endpoints("web")[VICTIM]
        instances[VICTIM].start()
        started_again = time.monotonic()
        until(lambda: proxy.events("readmitted"), "the victim is readmitted")
        readmitted = time.monotonic()
        (readmission,) = proxy.events("readmitted")
        asked = while_away["requests"]
        until(lambda: proxy.endpoints("web")[VICTIM]["requests"] > asked + 50, "the victim takes traffic")
        results = {"GET": reading.finish(), "POST": writing.finish()}

    took = datetime.fromisoformat(ejected["time"]).timestamp() - killed_at
    print(f"\nin flight on the instance just before it was killed with {signal.SIGKILL.name}: {before}")
    for method, result in results.items():
        print(f"{method}: {result.sent} requests, {len(result.failed)} failed")
    print(f"ejected {took:.2f} s after: {ejected['reason']}")
    print(f"readmitted {readmitted - started_again:.2f} s after it ran again: {readmission['reason']}")
    assert ejected["endpoint"].endswith(VICTIM)
    assert f"{FALL} probes in a row failed" in ejected["reason"]
    # Each pause strays by 10 %; the last term is the noise of a busy machine.
    assert took < FALL * (INTERVAL * 1.1 + 0.1) + 1
    assert while_away["health"]["state"] == "ejected"
    assert not while_away["takes_traffic"]
    for method, result in results.items():
        for failed in result.failed:
            # In flight in the moment of its death, that is: sent before the kernel had closed its connections.
            assert failed.started < dead + DYING, f"{method}: {failed.started - killed:.3f} s after the kill: {failed}"
            assert failed.ended > killed, f"{method}: {failed}"
            assert failed.reason.startswith("502"), failed
        assert VICTIM not in result.by_instance(out_of_traffic, started_again)
        assert result.by_instance(readmitted, time.monotonic())[VICTIM]
    # Of requests that all take equally long, round robin has a third in flight on each instance, give or take a few.
    # A GET is sent once more elsewhere if its connection had been used before, so most of those lost are POSTs.
    lost = sum(len(result.failed) for result in results.values())
    assert lost <= (READING + WRITING) // len(NAMES) + 2
