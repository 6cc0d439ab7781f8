"""`pointsman register` in a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.servers.pointsman import COMMAND
from tests.servers.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

QUICK = ("--ttl", "1s", "--check-interval", "50ms", "--deregister-delay", "300ms")


class Registrant(Program):
    """Keeps an instance in a registry; it is ready when it has said one of `says`.

    It gets the options given, and runs the command if there is one. With `wanted`, what stands under `register` in a
    file, it gets that file.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        command: Sequence[str] = (),
        wanted: Sequence[Mapping[str, object]] = (),
        says: Sequence[str] = (": registered ",),
        name: str = "registrant",
    ) -> None:
        self._says = says
        whole = [COMMAND, "register", *options]
        if wanted:
            file = folder / f"{name}.yaml"
            file.write_text(json.dumps({"register": wanted, "log": {"format": "text"}}))
            whole += ["-c", str(file)]
        if command:
            whole += ["--", *command]
        super().__init__(whole, folder / f"{name}.log", self._has_said)

    def has_said(self, text: str) -> bool:
        return text in self.log.read_text()

    def _has_said(self) -> bool:
        return any(map(self.has_said, self._says))
