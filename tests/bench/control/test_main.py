import json
import os

import pytest
from click.testing import CliRunner

from bench.control import __main__ as command
from bench.control.run import Size
from tests.servers.fetch import UnavailableError

TINY = Size(rounds=1, changes=2, services=5, instances=2, settle=0, rest=0.2, changing=0.4, rate=20)


@pytest.fixture(autouse=True)
def signals_as_they_were(monkeypatch):
    monkeypatch.setattr(command, "_exit_by_exception", lambda: None)


def test_a_run_measures_changes_and_load(consul_program, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "QUICK", TINY)
    cores = os.sched_getaffinity(0)
    file = tmp_path / "there" / "control.json"
    result = CliRunner().invoke(command.main, ["--quick", "--only", "pointsman", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert "delays · round 1 of 1 · pointsman" in result.output
    assert "5 services with 10 instances" in result.output
    written = json.loads(file.read_text())
    assert [change["kind"] for change in written["changes"]] == ["register", "deregister"] * 2
    assert all(change["errors"] == 0 for change in written["changes"])
    (load,) = written["loads"]
    assert 0 < load["changing"]["changes"] <= 8  # fewer where the machine holds us up
    assert load["rest"]["peak_memory"] > 2**20
    assert written["machine"]["cores"] == os.cpu_count()
    assert os.sched_getaffinity(0) == cores


def test_what_is_not_begun_in_time_is_left_out_and_told_of(consul_program, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "QUICK", Size(rounds=1, services=1, instances=1, most=0))
    file = tmp_path / "control.json"
    result = CliRunner().invoke(command.main, ["--quick", "--only", "pointsman", "--json", str(file)])
    assert result.exit_code == 1
    assert "pointsman: left out, since the run is to end within 0 s" in result.output
    assert len(json.loads(file.read_text())["failures"]) == 2


def test_a_proxy_that_ends_is_a_failure_of_the_run(consul_program, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "QUICK", TINY)
    monkeypatch.setattr(command, "programs", lambda names: {"pointsman": "/bin/false"})
    file = tmp_path / "control.json"
    arguments = ["--quick", "--only", "pointsman", "--part", "delay", "--json", str(file)]
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 1
    assert "pointsman: ended" in result.output
    assert json.loads(file.read_text())["changes"] == []


def test_a_consul_that_cannot_be_had_is_told_of(monkeypatch):
    def unavailable():
        raise UnavailableError("consul comes from a Debian package")

    monkeypatch.setattr("bench.control.programs.consul_program", unavailable)
    result = CliRunner().invoke(command.main, ["--quick", "--only", "pointsman"])
    assert result.exit_code == 1
    assert "Error: consul comes from a Debian package" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--only", "nginx"], "there is no 'nginx'; there are: pointsman, haproxy"), (["--part", "all"], "'all' is not")],
)
def test_wrong_usage_ends_with_status_2(arguments, complaint):
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 2
    assert complaint in result.output
