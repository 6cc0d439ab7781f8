"""A console of README.md: its commands are run, and must say what README.md has them say."""

from __future__ import annotations

import asyncio
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from click.testing import CliRunner

from proxy.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.readme.snippets import Snippet
    from tests.readme.staging import Stage

_ADMIN = "127.0.0.1:9900"  # where README.md's pointsman has its admin API
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


@dataclass(frozen=True, slots=True)
class Console:
    """One snippet; a call of it runs it against a pointsman."""

    snippet: Snippet

    async def __call__(self, staged: Stage) -> None:
        admin = staged.table[_ADMIN]
        back = {ours: theirs for theirs, ours in staged.table.items()}
        for command, expected in dialogue(self.snippet.text):
            said = await _run(replaced(command, staged.table), admin)
            heard = _TIME.sub("TIME", replaced(said, back)).strip()
            assert heard == _TIME.sub("TIME", expected).strip(), f"$ {command}\n{heard}"


def dialogue(text: str) -> list[tuple[str, str]]:
    """Each command, without a comment, and what is said to it."""
    found = re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n)*)", text)
    return [(re.sub(r"\s+# .*", "", command), said) for command, said in found]


def replaced(text: str, table: Mapping[str, str]) -> str:
    """Put what addresses are elsewhere in the place of each."""
    for old, new in table.items():
        text = text.replace(old, new).replace(old.replace("127.0.0.1", "localhost"), new)
    return text


async def _run(command: str, admin: str) -> str:
    program, *words = shlex.split(command)
    if program == "pointsman":
        done = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--admin", admin])
        return done.output
    shell = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(shell.communicate(), 10)
    return said.decode()
