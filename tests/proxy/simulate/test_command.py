"""`pointsman simulate` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.proxy.simulate.worlds import EVEN
from tests.servers.pointsman import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(EVEN)
    return path


def simulated(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def test_a_table_and_the_files_that_were_asked_for(file: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "r.html", tmp_path / "r.json"
    result = simulated(file, "--html", page, "--json", figures)
    assert result.exit_code == 0, result.output
    assert "POLICY" in result.stdout
    assert "least_request against weighted_round_robin" in result.stdout
    assert result.stderr == ""  # no bar where there is no terminal
    assert page.read_text().startswith("<!doctype html>")
    assert [one["policy"] for one in json.loads(figures.read_text())["policies"]] == [
        "weighted_round_robin",
        "least_request",
        "peak_ewma",
    ]


def test_options_take_the_place_of_what_the_scenario_says(file: Path, tmp_path: Path) -> None:
    figures = tmp_path / "r.json"
    options = ["--policy", "random", "--policy", "{type: peak_ewma, decay: 5}", "--seed", 9, "--requests", 20]
    result = simulated(file, *options, "--duration", "5s", "--json", figures)
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text())
    assert [one["policy"] for one in found["policies"]] == ["random", "peak_ewma decay=5"]
    assert [one["requests"] for one in found["policies"]] == [20, 20]
    assert found["seed"] == 9
    assert found["duration"] == pytest.approx(2.0)


def test_the_schema_needs_no_scenario() -> None:
    result = simulated("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "pointsman scenario"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "say what to simulate"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["FILE", "--policy", "nobody"], "command line: policies[0]: there is no balancer 'nobody'"),
        (["FILE", "--policy", "{type"], "--policy:1: not YAML"),
        (["FILE", "--duration", "long"], "must be a duration"),
        (["FILE", "--requests", "0"], "command line: requests: must be at least 1, not 0"),
        (["FILE", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_usage_ends_with_2(file: Path, arguments: list[str], text: str) -> None:
    result = simulated(*(str(file) if one == "FILE" else one for one in arguments))
    assert result.exit_code == 2
    assert text in result.stderr


def test_mistakes_in_the_scenario_end_with_2(file: Path) -> None:
    file.write_text(EVEN.replace("even", "odd") + "seeds: 1\n")
    result = simulated(file)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{file}:2: arrivals.process: must be poisson or even, not 'odd'",
        f"{file}:6: seeds: unknown key; did you mean 'seed'?",
    ]


def test_a_report_that_cannot_be_written_ends_with_1(file: Path, tmp_path: Path) -> None:
    result = simulated(file, "--html", tmp_path / "none" / "r.html")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr


def test_a_terminal_sees_how_far_it_has_come(file: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [COMMAND, "simulate", str(file)], stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert b"POLICY" in done.stdout
    assert b"100%" in shown
    assert b"peak_ewma" in shown
    assert b"###" in shown
