"""A service under load while its instances fail: what became of each request, and which fault may answer for it."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from tests.servers.fleet import Fleet
from tests.servers.load import WRONG, Load, Result, percentile
from tests.servers.pointsman import Pointsman
from tests.servers.program import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.servers.load import Failed

SERVICE = "web"
BODY = 2000  # bytes of each POST
_FLUSH = 10.0  # seconds in which pointsman has written its access log


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed, as its client saw it and as pointsman's access log has it; that is empty if it has not."""

    method: str
    seen: Failed
    logged: Mapping[str, Any]

    @property
    def why(self) -> str:
        """In a few words: the status, or how it broke off, and what pointsman or the instance said."""
        ends = f"{self.logged['downstream_end']}/{self.logged['upstream_end']}" if self.logged else "not logged"
        if not self.seen.status or self.seen.broken or self.seen.reason.startswith(WRONG):
            return f"{'broke off in mid-body' if self.seen.broken else self.seen.reason} ({ends})"
        said = self.logged.get("error") or "the instance's own answer"
        return f"{self.seen.status} {said.partition(':')[0]} ({ends})"


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to an instance: requests may fail of it from `since` on, if they were sent before `until`.

    Only those that this instance had in flight, and of those only the ones that are not idempotent: any other can be
    sent to another instance. A response that has begun cannot be taken back, whatever the method; it must break off,
    so that nobody takes it for the whole.
    """

    kind: Literal["kill", "freeze", "500", "reset"]
    victim: str
    since: float
    until: float

    def excuses(self, failure: Failure) -> bool:
        """Tell whether this fault is why the request failed, and may be."""
        seen, logged = failure.seen, failure.logged
        if logged.get("endpoint") != self.victim or seen.ended < self.since or seen.started > self.until:
            return False
        ends = (seen.status, logged["downstream_end"], logged["upstream_end"])
        if logged["downstream_end"] == "broken":
            # The client's kernel may throw away what it has of a response when the reset arrives, head and all.
            visible = seen.broken or not seen.status
            why = {"kill": "reset", "freeze": "timeout", "reset": "reset"}
            return visible and logged["upstream_end"] == why.get(self.kind)
        match self.kind:
            case "kill":
                return failure.method == "POST" and ends == (502, "complete", "reset")
            case "freeze":
                return failure.method == "POST" and ends == (504, "complete", "timeout")
            case "500":
                return failure.method == "POST" and ends == (500, "complete", "complete")
            case "reset":
                return False  # it lets every response begin


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all requests."""

    results: Mapping[str, Result]
    failures: list[Failure]

    @property
    def sent(self) -> int:
        return sum(result.sent for result in self.results.values())

    @property
    def p99(self) -> float:
        """Seconds; of those that went well."""
        return percentile(sorted(time for result in self.results.values() for time in result.latencies()), 0.99)

    def why(self) -> Counter[str]:
        """Count the failures by method and reason."""
        return Counter(f"{failure.method} {failure.why}" for failure in self.failures)

    def unexcused(self, *faults: Fault) -> list[Failure]:
        """List the failures that none of the faults can answer for."""
        return [failure for failure in self.failures if not any(fault.excuses(failure) for fault in faults)]


class Scene:
    """Instances in a process each, pointsman in front of them, and GETs and POSTs side by side on kept connections.

    `health` is that key of the service, `more` are others of the configuration. With `download` the GETs are downloads
    of so many bytes, compared byte for byte; all other requests take `slow` seconds, so that some are always in flight.
    """

    def __init__(
        self,
        folder: Path,
        *names: str,
        health: Mapping[str, object],
        clients: int = 12,
        pause: float = 0.02,
        download: int = 0,
        slow: float = 0.02,
        **more: object,
    ) -> None:
        self._folder = folder
        self._clients, self._pause, self._download, self._slow = clients, pause, download, slow
        self._log = folder / "access.log"
        self._stack = ExitStack()
        self.descriptors = 0  # those that pointsman had before there were clients
        self.fleet = Fleet(folder, *names)
        service = {"discovery": self.fleet.discovery, "balancer": "round_robin", "health": health}
        log = {"path": str(self._log), "sample": "0%"}  # so that only what failed is written
        self.proxy = Pointsman(folder, {SERVICE: service}, descriptors=0, access_log=log, **more)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.fleet)
            stack.enter_context(self.proxy)
            self.proxy.until_in_traffic(SERVICE, *self.fleet.names)
            self.descriptors = self.proxy.descriptors()
            slow = f"{self.proxy.url}/slow?seconds={self._slow}"
            read = f"{self.proxy.url}/download" if self._download else slow
            self._reading = stack.enter_context(
                Load(self._folder, read, clients=self._clients, pause=self._pause, download=self._download, name="get")
            )
            self._writing = stack.enter_context(
                Load(
                    self._folder, slow, clients=self._clients, pause=self._pause, method="POST", body=BODY, name="post"
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def ejection(self, victim: str, after: int = 0) -> dict[str, Any]:
        """Wait until the victim is ejected, by an event with a number above `after`; return the event."""
        until(lambda: self._events("ejected", victim, after), f"{victim} is ejected")
        return self._events("ejected", victim, after)[0]

    def readmission(self, victim: str, after: int) -> dict[str, Any]:
        """Likewise for its readmission."""
        until(lambda: self._events("readmitted", victim, after), f"{victim} is readmitted")
        return self._events("readmitted", victim, after)[0]

    def in_flight(self, victim: str) -> int:
        """How many requests it has at present."""
        return int(self.proxy.endpoints(SERVICE)[victim]["in_flight"])

    def until_asked(self, victim: str, times: int = 20) -> None:
        """Wait until it has got so many more requests."""
        before = self.proxy.endpoints(SERVICE)[victim]["requests"]
        until(lambda: self.proxy.endpoints(SERVICE)[victim]["requests"] >= before + times, f"{victim} is asked")

    def finish(self) -> Outcome:
        """End the load; return what became of it."""
        results = {"GET": self._reading.finish(), "POST": self._writing.finish()}
        failed = [(method, one) for method, result in results.items() for one in result.failed]
        wanted = {one.request_id for _, one in failed}
        end = time.monotonic() + _FLUSH
        while not wanted <= (logged := self._logged()).keys() and time.monotonic() < end:
            time.sleep(0.05)
        return Outcome(results, [Failure(method, one, logged.get(one.request_id, {})) for method, one in failed])

    def _events(self, kind: str, victim: str, after: int) -> list[dict[str, Any]]:
        return [event for event in self.proxy.events(kind, after) if event["endpoint"].endswith(victim)]

    def _logged(self) -> dict[str, Mapping[str, Any]]:
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        records = (json.loads(line) for line in lines if line.endswith("\n"))
        return {record["request_id"]: record for record in records}


def after_ms(event: Mapping[str, Any], moment: float) -> float:
    """Return how many milliseconds an event came after a moment of the wall clock."""
    return (datetime.fromisoformat(event["time"]).timestamp() - moment) * 1000


def count_methods(failures: Iterable[Failure]) -> Counter[str]:
    """Count failures by method."""
    return Counter(failure.method for failure in failures)
