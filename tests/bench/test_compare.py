import json

import pytest
from click.testing import CliRunner

from bench.compare import changes, main
from bench.micro.document import document
from bench.micro.timing import Measured, Sample

HEAD = {"started": "2026-11-26T11:00:00+00:00", "machine": {"cpu": "a fast one", "python": "3.11.2"}, "settings": {}}


def measured(name, *microseconds, yardstick=1.0):
    return Measured(name, [Sample(figure * 1000, yardstick * 1000) for figure in microseconds])


@pytest.fixture
def compare(tmp_path):
    """Compare two lists of what was measured, by the command."""

    def run(old, new, *options, head=HEAD):
        files = []
        for name, cases, written in (("old", old, HEAD), ("new", new, head)):
            files.append(tmp_path / f"{name}.json")
            files[-1].write_text(json.dumps(document(cases, written)))
        return CliRunner().invoke(main, [*map(str, files), *options])

    return run


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ([10, 10, 10], "same"),
        ([9, 11, 12], "same"),  # the ranges meet
        ([14, 15, 16], "slower"),
        ([5, 6, 7], "faster"),
    ],
)
def test_a_case_has_changed_when_its_ranges_do_not_meet(new, verdict):
    (change,) = changes([measured("pick", 9, 10, 11)], [measured("pick", *new)])
    assert change.verdict == verdict


def test_a_slower_machine_is_no_change():
    slow = measured("pick", 27, 30, 33, yardstick=3.0)
    (change,) = changes([measured("pick", 9, 10, 11)], [slow])
    assert change.ratio.median == pytest.approx(1)
    assert change.verdict == "same"


def test_what_got_slower_than_the_limit_fails(compare):
    result = compare(
        [measured("pick", 10, 10), measured("route", 5, 5)], [measured("pick", 13, 13), measured("route", 5, 5)]
    )
    assert result.exit_code == 1
    assert "pick takes 1.30 times as long, more than 1.1" in result.output
    pick, route = result.output.splitlines()[1:3]
    assert pick.split()[:6] == ["pick", "10.00", "µs", "13.00", "µs", "1.30"]
    assert "slower  more than the limit" in pick
    assert route.endswith("same")


def test_the_limit_can_be_another(compare):
    old, new = [measured("pick", 10, 10)], [measured("pick", 13, 13)]
    assert compare(old, new, "--limit", "1.5").exit_code == 0
    assert compare(old, new, "--limit", "1.2").exit_code == 1
    assert compare(old, new, "--limit", "0.5").exit_code == 2


def test_what_may_be_within_the_limit_is_no_failure(compare):
    result = compare([measured("pick", 10, 10, 11, 11)], [measured("pick", 12, 12, 12)])
    assert "1.14" in result.output
    assert "slower" in result.output
    assert result.exit_code == 0


def test_only_what_has_changed_is_shown_when_asked_for(compare):
    both = [measured("pick", 10, 10), measured("route", 5, 5)]
    result = compare(both, [measured("pick", 5, 5), measured("route", 5, 5)], "--changed")
    assert result.exit_code == 0
    assert "faster" in result.output
    assert "route" not in result.output
    assert compare(both, both, "--changed").output == "nothing has changed\n"


def test_cases_that_one_run_lacks_are_named(compare):
    result = compare([measured("a", 1), measured("b", 1)], [measured("b", 1), measured("c", 1)])
    assert result.exit_code == 0
    assert [line.rpartition(": ")[2] for line in result.output.splitlines()[-2:]] == ["a", "c"]


def test_runs_of_two_machines_are_warned_of(compare):
    other = {**HEAD, "machine": {"cpu": "a slow one", "python": "3.11.2"}}
    result = compare([measured("a", 1)], [measured("a", 1)], head=other)
    assert "the runs differ in cpu: a fast one and a slow one" in result.output


def test_runs_without_a_common_case_are_wrong_usage(compare):
    result = compare([measured("a", 1)], [measured("b", 1)])
    assert result.exit_code == 2
    assert "no case in common" in result.output


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[]", "was not written by `python -m bench.micro --json`"),
        ('{"kind": "pointsman micro"}', "is damaged"),
        ('{"kind": "pointsman micro", "cases": [{"name": "a", "samples": [["x", 1]]}]}', "is damaged"),
        ('{"kind": "pointsman micro", "cases": [{"name": "a", "samples": []}]}', "a case without a sample"),
    ],
)
def test_a_file_that_is_none_is_wrong_usage(tmp_path, text, complaint):
    file = tmp_path / "none.json"
    file.write_text(text)
    result = CliRunner().invoke(main, [str(file), str(file)])
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert CliRunner().invoke(main, [str(tmp_path / "missing"), str(file)]).exit_code == 2
