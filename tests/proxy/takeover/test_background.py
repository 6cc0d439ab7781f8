"""The command that ends once the process serves which it leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys, time
from proxy.takeover.background import into_background
print("before")
serves = into_background()
{}
"""


def run(work: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(work)], capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("work", "ended"),
    [
        ("print('works', flush=True); serves(); sys.stdin.read(); sys.exit(7)", (0, "before\nworks\n")),
        ("sys.exit('no good')", (1, "before\nno good\n")),
        ("import os; os.kill(os.getpid(), 9)", (247, "before\n")),
    ],
)
def test_it_ends_as_it_went(work: str, ended: tuple[int, str]) -> None:
    assert run(work) == ended
