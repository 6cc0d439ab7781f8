"""pointsman itself, as users run it: `pointsman run -c FILE` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.ports import free_ports
from tests.servers.program import Program, ask, is_well, until
from tests.servers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.program import Answer

COMMAND = str(Path(sys.executable).with_name("pointsman"))
# What tests that say nothing of workers run with: POINTSMAN_TEST_WORKERS=2 tries all of them with two.
WORKERS = {"workers": int(wanted)} if (wanted := os.environ.get("POINTSMAN_TEST_WORKERS")) else {}
_END = 15.0  # seconds within which SIGTERM ends it


def in_consul(address: str, service: str, **more: object) -> dict[str, object]:
    """A service of the configuration whose instances are found in Consul; `more` are its other keys."""
    return {"discovery": {"consul": {"service": service, "address": address}}, **more}


class Pointsman(Program):
    """One pointsman on ports of its own.

    `services` is that part of the configuration; the first is the default route's, and each has a route for its name
    as host. `more` are other keys of the configuration, instead of what stands here. `descriptors` is how many it may
    have; 0: as many as we.
    The block's end sends SIGTERM and expects exit status 0.
    """

    def __init__(self, folder: Path, services: Mapping[str, object], *, descriptors: int = 0, **more: object) -> None:
        self.port, self.admin_port = free_ports(2)
        config = {
            "listeners": [{"bind": f"127.0.0.1:{self.port}"}],
            "routes": [*({"host": name, "service": name} for name in services), {"service": next(iter(services))}],
            "services": services,
            "admin": {"bind": f"127.0.0.1:{self.admin_port}"},
            "log": {"format": "text"},
            **WORKERS,
            **more,
        }
        file = folder / "pointsman.yaml"
        file.write_text(json.dumps(config, indent=2))  # JSON is YAML
        command = [COMMAND, "run", "-c", str(file)]
        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        super().__init__(command, folder / "pointsman.log", is_well(self.admin_port, "/readyz"))

    def __exit__(self, *error: object) -> None:
        if self._process is not None and error[0] is None:
            self.signal(signal.SIGTERM)
            status = self.wait(_END)
            assert status == 0, f"pointsman ended with status {status}:\n{self.output()}"
        self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def readyz(self) -> Answer:
        return ask(self.admin_port, "/readyz")

    def admin(self, path: str) -> Any:
        """Ask the admin API for `/api/v1` and this path."""
        answer = ask(self.admin_port, f"/api/v1{path}")
        assert answer.status == 200, f"{path}: {answer}"
        return answer.json

    def service(self, name: str) -> Any:
        return self.admin(f"/services/{name}")

    def endpoints(self, service: str) -> dict[str, Any]:
        """The endpoints by the ID that they were registered under, without the name of the node."""
        return {endpoint["id"].rpartition("/")[2]: endpoint for endpoint in self.service(service)["endpoints"]}

    def in_traffic(self, service: str) -> set[str]:
        """The endpoints that are picked from."""
        return {name for name, endpoint in self.endpoints(service).items() if endpoint["takes_traffic"]}

    def until_in_traffic(self, service: str, *names: str) -> float:
        """Wait until these endpoints, and no others, are picked from; return the moment."""
        return until(lambda: self.in_traffic(service) == set(names), f"{', '.join(names)} in traffic")

    def events(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.admin(f"/events?since={since}")["events"]
        return [event for event in events if event["kind"] == kind]

    def metric(self, line: str) -> float:
        """The value of a series, named as it stands in the exposition: `pointsman_panic{service="web"}`."""
        for found in ask(self.admin_port, "/metrics").text.splitlines():
            name, _, value = found.rpartition(" ")
            if name == line:
                return float(value)
        raise AssertionError(f"there is no metric {line}")

    def clients(self) -> int:
        """How many clients are connected to it."""
        return int(self.metric(f'pointsman_downstream_connections{{listener="127.0.0.1:{self.port}"}}'))

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class MemoryPeak(Watching):
    """Watches the resident memory while the block lasts, a hundred times a second: `growth` over its beginning."""

    def __init__(self, pointsman: Pointsman) -> None:
        super().__init__(0.01)
        self._pointsman = pointsman
        self.base = self.peak = pointsman.memory()

    @property
    def growth(self) -> int:
        """Bytes."""
        return self.peak - self.base

    def look(self) -> bool:
        self.peak = max(self.peak, self._pointsman.memory())
        return True
