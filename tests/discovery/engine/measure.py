"""How soon a change in Docker or in a Swarm is published: `python -m tests.discovery.engine.measure`.

It takes some two minutes: containers are slow to come and go. Each change is alone, and timed from the call that asks
for it and from the engine's own event, which has a time.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from discovery.keeper import Keeper
from tests.discovery.docker.service import Service as Containers
from tests.discovery.swarm.service import Service as Tasks
from tests.discovery.watching import eventually
from tests.servers.docker import DockerEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discovery.instance import Snapshot

ROUNDS = 50
TASK_ROUNDS = 15  # of a Swarm's tasks, which take some seconds each
PAUSE = 0.1  # seconds between two changes, so that each comes alone


class Measured:
    """What a keeper published, and when."""

    def __init__(self, service: Containers | Tasks) -> None:
        self.engine = service.engine
        self.published: list[tuple[float, Snapshot]] = []
        self.keeper = Keeper(
            "web",
            service.registry(),
            service.name,
            lambda snapshot: self.published.append((time.time(), snapshot)),
            hold=0,
            journal=lambda *_: None,
        )

    async def measure(
        self,
        what: str,
        rounds: int,
        changes: Sequence[tuple[Callable[[], Any], str, Callable[[Snapshot], bool]]],
    ) -> None:
        """Do each change in turn: what is done, the action of the event that it makes, and how it is seen to be there.

        Only the first one of each turn is measured.
        """
        since = time.time()
        asked: list[float] = []
        seen: list[float] = []
        for _ in range(rounds):
            for number, (change, _action, is_there) in enumerate(changes):
                await asyncio.sleep(PAUSE)
                known = len(self.published)
                began = time.time()
                await asyncio.to_thread(change)

                def came(known: int = known, is_there: Any = is_there) -> bool:
                    return any(is_there(snapshot) for _, snapshot in self.published[known:])

                await eventually(came)
                if number == 0:
                    asked.append(began)
                    seen.append(next(at for at, snapshot in self.published[known:] if is_there(snapshot)))
        _show(f"{what}: asked for", asked, seen)
        action = changes[0][1]
        if action:
            told = await asyncio.to_thread(self._events, since, action)
            events = [
                max((at for at in told if began <= at <= end), default=end)
                for began, end in zip(asked, seen, strict=True)
            ]
            _show(f"{what}: Docker's event", events, seen)

    def _events(self, since: float, action: str) -> list[float]:
        query = {"since": f"{since:.3f}", "until": f"{time.time():.3f}", "filters": json.dumps({"event": [action]})}
        status, said = self.engine._call("GET", f"/v1.41/events?{urlencode(query)}", None, "")
        assert status == 200, said
        return [json.loads(line)["timeNano"] / 1e9 for line in said.splitlines() if line.strip()]


def _show(what: str, since: Sequence[float], seen: Sequence[float]) -> None:
    late = sorted(1000 * (then - now) for then, now in zip(seen, since, strict=True))
    p99 = late[int(0.99 * (len(late) - 1))]
    print(f"{what:<44} {len(late):>4} {late[len(late) // 2]:>9.1f} {p99:>9.1f} {late[-1]:>9.1f}", flush=True)


def _states(snapshot: Snapshot) -> list[str]:
    return [one.availability.value for one in snapshot.instances]


async def _docker(engine: DockerEngine) -> None:
    service = Containers(engine)
    service.run("one")
    measured = Measured(service)
    task = asyncio.create_task(measured.keeper.run())
    await eventually(lambda: bool(measured.published))

    def up(snapshot: Snapshot) -> bool:
        return _states(snapshot) == ["up"]

    def act(what: str, **query: str) -> Callable[[], None]:
        return lambda: service.act(what, "one", **query)

    pause = (act("pause"), "pause", lambda snapshot: _states(snapshot) == ["down"])
    unpause = (act("unpause"), "", up)
    gone = (act("kill", signal="KILL"), "die", lambda snapshot: not snapshot.instances)
    start = (act("start"), "start", up)
    drain = (act("kill", signal="TERM"), "kill", lambda snapshot: _states(snapshot) == ["draining"])
    await measured.measure("paused", ROUNDS, [pause, unpause])
    await measured.measure("killed", ROUNDS, [gone, start])
    service.act("kill", "one", signal="KILL")
    await measured.measure("started", ROUNDS, [start, gone])
    service.act("start", "one")
    await measured.measure("told to end", ROUNDS, [drain, gone, start])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    service.close()


async def _swarm(engine: DockerEngine) -> None:
    service = Tasks(engine)
    service.make()
    service.wait(1)
    measured = Measured(service)
    task = asyncio.create_task(measured.keeper.run())
    await eventually(lambda: bool(measured.published))
    numbers = iter(range(2, 1000))
    weight = [1]

    def relabel() -> None:
        weight[0] = next(numbers)
        engine.change_service(service.name, Labels={"pointsman.port": "80", "pointsman.weight": str(weight[0])})

    def labelled(snapshot: Snapshot) -> bool:
        return [one.weight for one in snapshot.instances] == weight

    await measured.measure("a label of the service", ROUNDS, [(relabel, "update", labelled)])
    more = (lambda: engine.scale(service.name, 2), "update", lambda snapshot: _states(snapshot) == ["up", "up"])
    ends = (lambda: engine.scale(service.name, 1), "update", lambda snapshot: "draining" in _states(snapshot))
    less = (lambda: None, "", lambda snapshot: _states(snapshot) == ["up"])
    await measured.measure("one task more", TASK_ROUNDS, [more, ends, less])
    await asyncio.to_thread(engine.scale, service.name, 2)
    await eventually(lambda: more[2](measured.published[-1][1]))
    await measured.measure("one task less, draining", TASK_ROUNDS, [ends, less, more])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    service.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
        engine = DockerEngine(Path(folder))
        try:
            engine.open()
            print(f"{'milliseconds to the publication':<44} {'':>4} {'median':>9} {'p99':>9} {'worst':>9}")
            asyncio.run(_docker(engine))
            engine.make_swarm()
            asyncio.run(_swarm(engine))
        finally:
            engine.close()


if __name__ == "__main__":
    main()
