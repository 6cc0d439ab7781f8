"""All instances in a Swarm are replaced under load, and no request fails.

The test's own instances answer; a task on the host's network stands for each, says where it is, and is ended as
it would be. An instance's process ends when its task has.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from tests.discovery.swarm.service import Service as Tasks
from tests.servers.instances import Instances
from tests.servers.load import Load
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.docker import DockerEngine

OLD, NEW = ("old-1", "old-2"), ("new-1", "new-2")


def test_all_tasks_are_replaced_under_load(swarm: DockerEngine, tmp_path: Path) -> None:
    """Each service has one task, for all tasks of a service have one port, and here they are on one machine."""
    with closing(Tasks(swarm)) as service, ExitStack() as stack:
        running = {name: stack.enter_context(Instances(tmp_path, name)) for name in (*OLD, *NEW)}

        def make(name: str) -> None:
            labels = {"pointsman.port": str(running[name].port), "team": service.name}
            service.make(labels, suffix=f"-{name}", network="host")

        for name in OLD:
            make(name)
        discovery = {"labels": {"team": service.name}, "engine": swarm.address}
        proxy = stack.enter_context(Pointsman(tmp_path, {"web": {"discovery": {"swarm": discovery}}}))

        def in_traffic() -> set[str]:
            """The instances, without the numbers of their tasks."""
            return {name.removeprefix(f"{service.name}-").partition(".")[0] for name in proxy.in_traffic("web")}

        until(lambda: in_traffic() == set(OLD), "the old ones in traffic")
        with Load(tmp_path, proxy.url) as load:
            for name in NEW:
                make(name)
            until(lambda: in_traffic() == {*OLD, *NEW}, "all in traffic")
            for name in OLD:
                swarm.scale(f"{service.name}-{name}", 0)
            until(lambda: in_traffic() == set(NEW), "only the new ones in traffic")
            for name in OLD:
                _until_ended(swarm, f"{service.name}-{name}")
                running[name].kill()
            result = load.finish()
        assert proxy.service("web")["registry"]["kind"] == "swarm"
    assert not result.failed
    assert len(result.answered) > 100


def _until_ended(swarm: DockerEngine, service: str) -> None:
    query = {"filters": json.dumps({"service": [service]})}
    end = time.monotonic() + 20

    def is_running() -> bool:
        return any(task["Status"]["State"] == "running" for task in swarm.call("GET", "/tasks", None, query) or [])

    while is_running():
        assert time.monotonic() < end
        time.sleep(0.05)
