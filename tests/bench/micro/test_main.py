import json

import pytest
from click.testing import CliRunner

from bench.micro.__main__ import main
from bench.micro.cases import cases


@pytest.fixture(autouse=True)
def any_core(monkeypatch):
    """The tests that come after these are not to be bound to one core."""
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: None)


def test_a_run_prints_a_table_and_writes_what_compare_reads(tmp_path):
    file = tmp_path / "there" / "micro.json"
    result = CliRunner().invoke(main, ["--quick", "--only", "route/1", "--rounds", "2", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert "route/1000 " in result.output
    assert "round 2 of 2" in result.output
    written = json.loads(file.read_text())
    assert written["machine"]["cores"] > 0
    assert "pointsman" in written["machine"]["versions"]
    assert [case["name"] for case in written["cases"]] == [f"route/{count}" for count in (1, 10, 100, 1000, 10_000)]
    assert all(len(case["samples"]) == 2 for case in written["cases"])


def test_the_cases_are_listed():
    result = CliRunner().invoke(main, ["--list"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [case.name for case in cases()]


def test_a_case_that_is_none_is_wrong_usage():
    result = CliRunner().invoke(main, ["--only", "teapot"])
    assert result.exit_code == 2
    assert "no case has 'teapot' in its name; --list shows what there is" in result.output


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    output = str(tmp_path / "file" / "micro.json")
    result = CliRunner().invoke(main, ["--quick", "--only", "route/10000", "--rounds", "1", "--json", output])
    assert result.exit_code == 1
    assert "the samples could not be written" in result.output
