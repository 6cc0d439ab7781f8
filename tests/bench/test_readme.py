import json
import sys

import pytest

from bench.readme import README, MarkersMissingError, main, replaced, section
from bench.report import Result, document
from bench.workloads import WORKLOADS
from tests.bench.test_report import DRIFTING

RUN = {
    "started": "2026-11-26T12:00:00+00:00",
    "machine": {
        "cpu": "Some Processor",
        "cores": 2,
        "kernel": "6.1",
        "system": "Debian GNU/Linux 12",
        "python": "3.11.7",
        "commit": "0123abc",
        "versions": {
            "nginx": "nginx version: nginx/1.22.1",
            "haproxy": "HAProxy version 2.6.12-1+deb12u4",
            "envoy": "/cache/envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL",
            "uvloop": "0.23.0",
            "httptools": "0.9.0",
        },
    },
    "settings": {"rounds": 3, "seconds": 3},
    "missing": {"caddy": "no network"},
    "workloads": document([Result(WORKLOADS[0], DRIFTING, {"haproxy": "it ended"})]),
}


def test_table_has_ratios_versions_and_the_machine():
    lines = section(RUN).splitlines()

    assert "|  | pointsman | nginx 1.22.1 | HAProxy 2.6.12 |" in lines
    assert (
        "| 105 bytes, 64 connections | 44.0 µs (24.0 to 104) | 1.20 \N{MULTIPLICATION SIGN} 40.0 µs | failed |" in lines
    )
    assert "the median of 3 rounds of 3 s" in section(RUN)
    assert (
        "Measured on 2026-11-26: Some Processor, 2 cores, Debian GNU/Linux 12, kernel 6.1, Python 3.11.7, uvloop"
        " 0.23.0, httptools 0.9.0, pointsman at 0123abc, interpreted." in lines
    )
    assert "Left out because it could not be had: caddy." in lines


def test_only_what_stands_between_the_markers_is_replaced():
    assert replaced("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n", "new") == (
        "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n"
    )


@pytest.mark.parametrize("text", ["", "<!-- bench -->\n", "<!-- /bench -->\n<!-- bench -->\n"])
def test_without_markers_nothing_is_written(text):
    with pytest.raises(MarkersMissingError):
        replaced(text, "new")


def test_readme_has_a_place_for_the_table():
    assert replaced(README.read_text(), "new").count("new\n<!-- /bench -->") == 1


def test_command_writes_the_file(tmp_path, monkeypatch):
    run, readme = tmp_path / "run.json", tmp_path / "README.md"
    run.write_text(json.dumps(RUN))
    readme.write_text("# Title\n<!-- bench -->\n<!-- /bench -->\n")
    monkeypatch.setattr(sys, "argv", ["readme", str(run), str(readme)])

    main()

    assert "| 105 bytes, 64 connections |" in readme.read_text()


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["nowhere.json"], 1)])
def test_wrong_usage_is_said(arguments, status, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["readme", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == status
    assert capsys.readouterr().err


def test_it_says_how_the_data_path_ran_and_how_the_kernel_minds_congestion():
    ran = {"pointsman": "pointsman 0.1.0 (Python 3.11.7), compiled", "congestion_control": "bbr"}
    machine = RUN["machine"]
    assert isinstance(machine, dict)
    text = section({**RUN, "missing": {}, "machine": {**machine, **ran}})
    assert text.endswith("pointsman at 0123abc, compiled.")
    assert "kernel 6.1 with bbr, Python" in text
