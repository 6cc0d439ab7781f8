import json
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.contenders import PROXIES
from bench.install import Programs
from bench.measurement import Sample
from bench.rounds import Cores, MeasurementError, Step
from bench.workloads import WORKLOADS
from tests.bench.test_report import sample


def test_list_names_proxies_and_workloads():
    result = CliRunner().invoke(main, ["--list"])

    assert result.exit_code == 0
    assert {"pointsman", "nginx", "haproxy", "envoy", "traefik", "caddy", "small", "1m", "pool-10000"} <= set(
        result.output.split()
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "nginx,apache"], "there is no 'apache'"),
        (["--workload", "huge"], "there is no 'huge'"),
        (["--only", "nginx", "--assert-ratio", "nginx=1.5"], "does not measure pointsman beside"),
        (["--assert-ratio", "apache=1.5"], "does not measure pointsman beside"),
        (["--assert-ratio", "nginx"], "write it as nginx=1.5"),
        (["--rounds", "0"], "not in the range"),
    ],
)
def test_wrong_usage_ends_with_status_2_before_anything_runs(arguments, complaint):
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert complaint in result.output


_SIX = [name for name, proxy in PROXIES.items() if not proxy.on_request]


class FakeStand:
    """Measures without running anything; those that `fails` names fail."""

    def __init__(self, *, fails: frozenset[str] = frozenset(), errors: int = 0) -> None:
        self.fails = fails
        self.errors = errors
        self.steps: list[tuple[str, int, str]] = []

    def measure(self, step: Step, seconds: int) -> Sample:
        self.steps.append((step.workload.name, step.round, step.proxy))
        if step.proxy in self.fails:
            raise MeasurementError(f"{step.proxy} ended with status 1 under load")
        return sample(step.round, step.proxy, 20, errors=self.errors if step.proxy == "pointsman" else 0)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command with a stand that only pretends."""

    def run(ready: FakeStand, *arguments: str, missing: dict[str, str] | None = None):
        @contextmanager
        def stand(paths, cores):
            yield ready

        found = Programs({}, missing or {})
        monkeypatch.setattr("bench.__main__.programs", lambda proxies, workloads: found)
        monkeypatch.setattr("bench.__main__.stand", stand)
        monkeypatch.setattr("bench.__main__._cores", lambda: Cores((0, 1)))
        monkeypatch.setattr("bench.__main__._exit_by_exception", lambda: None)
        output = tmp_path / "run.json"
        result = CliRunner().invoke(main, [*arguments, "--json", str(output)])
        return result, json.loads(output.read_text()), output.with_suffix(".svg").read_text()

    return run


def test_quick_run_takes_debians_peers_and_the_first_workload(run):
    ready = FakeStand()

    result, document, chart = run(ready, "--quick")

    assert result.exit_code == 0
    assert {step[0] for step in ready.steps} == {"small"}
    assert [step[2] for step in ready.steps] == [
        *["pointsman", "nginx", "haproxy"],
        *["nginx", "haproxy", "pointsman"],
        *["haproxy", "pointsman", "nginx"],
    ]
    assert "[9/9] 105 bytes, 64 connections · round 3 · nginx · about" in result.output
    assert document["settings"] == {"rounds": 3, "seconds": 3, "proxy_core": 0, "load_core": 1}
    assert document["workloads"][0]["summaries"]["nginx"]["ratio"]["median"] == 1.0
    assert chart.startswith("<svg")


def test_whole_run_measures_all_of_both(run):
    ready = FakeStand()

    run(ready, "--rounds", "1")

    assert {(step[0], step[2]) for step in ready.steps} == {
        (workload.name, name) for workload in WORKLOADS for name in _SIX
    }


def test_two_workers_are_measured_when_they_are_named(run):
    ready = FakeStand()

    run(ready, "--workload", "small", "--rounds", "1", "--only", "pointsman,pointsman-2")

    assert [step[2] for step in ready.steps] == ["pointsman", "pointsman-2"]


def test_peer_that_fails_is_named_and_the_run_goes_on(run):
    ready = FakeStand(fails=frozenset({"nginx"}))

    result, document, _ = run(ready, "--quick")

    assert result.exit_code == 0
    assert "105 bytes, 64 connections: nginx failed" in result.output
    assert "FAILED: nginx ended with status 1 under load" in result.output
    assert [step[2] for step in ready.steps].count("nginx") == 1
    assert document["workloads"][0]["failures"] == {"nginx": "nginx ended with status 1 under load"}
    assert len(document["workloads"][0]["samples"]) == 6


def test_peer_that_is_missing_is_named_and_the_run_goes_on(run):
    ready = FakeStand()

    result, document, _ = run(ready, "--workload", "small", "--rounds", "1", missing={"envoy": "no network"})

    assert result.exit_code == 0
    assert "envoy is missing, the run goes on without: no network" in result.output
    assert "envoy" not in {step[2] for step in ready.steps}
    assert document["missing"] == {"envoy": "no network"}


def test_load_that_is_missing_leaves_its_workloads_out(run):
    ready = FakeStand()

    result, document, _ = run(
        ready, "--workload", "half", "--workload", "small", "--rounds", "1", missing={"pace": "no C compiler"}
    )

    assert {step[0] for step in ready.steps} == {"small"}
    assert document["workloads"][0]["failures"] == dict.fromkeys(_SIX, "no C compiler")
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("ready", "limit"),
    [
        (FakeStand(fails=frozenset({"pointsman"})), "nginx=9"),
        (FakeStand(errors=1), "nginx=9"),
        (FakeStand(), "nginx=0.9"),
    ],
)
def test_pointsman_that_fails_or_takes_too_much_is_status_1(run, ready, limit):
    assert run(ready, "--quick", "--assert-ratio", limit)[0].exit_code == 1
