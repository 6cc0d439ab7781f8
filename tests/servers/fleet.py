"""The instances of one service, a process each, in a file that pointsman follows."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tests.servers.instances import Instances
from tests.servers.program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.pointsman import Pointsman

_GENTLE_END = 15.0  # seconds within which an instance ends that nobody sends anything any more


class Fleet:
    """Instances that run while the block lasts, each of which can be made to fail in its own way."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.names = names
        self._file = folder / "instances.json"
        self._instances = {name: Instances(folder, name) for name in names}
        self._offered = list(names)
        self._stack = ExitStack()
        self._write()

    def __enter__(self) -> Self:
        with ThreadPoolExecutor(len(self.names)) as starting:
            for instance in self._instances.values():
                self._stack.callback(instance.kill)
            list(starting.map(Instances.start, self._instances.values()))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def discovery(self) -> dict[str, object]:
        """That part of a service's configuration."""
        return {"file": str(self._file)}

    def roll(self, name: str, proxy: Pointsman, service: str) -> None:
        """Replace an instance as a deployment does: withdraw it, let it end, start it anew, offer it again."""
        self._offered.remove(name)
        self._write()
        until(lambda: name not in proxy.in_traffic(service), f"{name} is out of traffic")
        instance = self._instances[name]
        instance.signal(signal.SIGTERM)
        status = instance.wait(_GENTLE_END)
        assert status == 0, instance.output()
        instance.start()
        self._offered.append(name)
        self._write()
        until(lambda: name in proxy.in_traffic(service), f"{name} is in traffic again")

    def kill(self, name: str) -> None:
        self._instances[name].kill()

    def start(self, name: str) -> None:
        self._instances[name].start()

    def freeze(self, name: str) -> None:
        self._instances[name].freeze()

    def thaw(self, name: str) -> None:
        self._instances[name].thaw()

    def behave(self, name: str, how: str) -> None:
        """Tell it at its side door to answer `500`, to `reset` in mid-body, or to be `well`."""
        assert ask(self._instances[name].port, f"/behave?how={how}", "POST").status == 200

    def asked(self) -> int:
        """How many requests have reached the instances."""
        return sum(instance.asked(name) for name, instance in self._instances.items())

    def _write(self) -> None:
        """Write the file anew, and rename it into place."""
        offered = [
            {"id": name, "address": f"127.0.0.1:{self._instances[name].port}"}
            for name in self.names
            if name in self._offered
        ]
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(offered))
        new.rename(self._file)
