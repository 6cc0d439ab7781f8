"""The fuzzers run, for a moment; the one that is guided by coverage only where atheris can be had."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz.coverage import seed_inputs, try_input

SECONDS = 6


def test_the_seeds_are_inputs() -> None:
    for data in seed_inputs():
        try_input(data)


def test_what_is_tried_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fuzzing, "_ROUND", 3)
    fuzzing._try_until(time.monotonic() + 0.01)
    first = capsys.readouterr().out.partition("\n")[0]
    assert re.search(r" s  requests 3 \(\d+ messages\), responses 3 ", first)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed; `make fuzz` tries to"
)
def test_nothing_is_found_in_a_moment() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.coverage", str(SECONDS), "-seed=1"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    [count] = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    assert int(count) > len(seed_inputs()), "nothing but the seeds was tried"
