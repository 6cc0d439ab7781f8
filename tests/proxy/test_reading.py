"""A configuration that is read by a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from config.errors import ConfigError
from proxy import reading
from proxy.config_file import ConfigFile, UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
listeners: [{bind: "127.0.0.1:0"}]
routes: [{service: web, headers: {X-A: "1"}}]
services:
  web:
    discovery: {consul: {service: web, token: "${TOKEN:-abc}"}}
    tls: {ca: ca.pem}
"""


def program(folder: Path, text: str) -> str:
    """A program that is run instead of Python."""
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def test_a_file_is_what_it_is_when_we_read_it_ourselves(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.yaml"
    file.write_text(CONFIG)
    assert reading.read_file(file) == ConfigFile(file).load()


def test_so_are_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.yaml"
    file.write_text("listeners: []\nroutes: [{service: web}, {}]\nservices: {web: {balancr: x}}")
    with pytest.raises(UnreadableError) as here:
        ConfigFile(file).load()
    with pytest.raises(UnreadableError) as there:
        reading.read_file(file)
    assert str(there.value) == str(here.value)
    assert there.value.digest == here.value.digest
    assert there.value.error.problems[0].path == here.value.error.problems[0].path


def test_a_text_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "known")  # for files, not for what was written by hand
    config = reading.read_text(CONFIG, "command line")
    consul = config.services["web"].sources[0].consul
    assert consul is not None
    assert consul.token is not None
    assert consul.token.get_secret_value() == "abc"


def test_one_that_stays_reads_what_is_in_the_file_by_then(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.yaml"
    file.write_text(CONFIG)
    try:
        before = reading.read_file(file, stay=True)
        [process] = reading._kept
        file.write_text(CONFIG.replace("web", "shop"))
        after = reading.read_file(file, stay=True)
        assert reading._kept == [process]
    finally:
        reading.dismiss()
    assert (set(before.config.services), set(after.config.services)) == ({"web"}, {"shop"})
    assert not reading._kept


def test_one_that_has_left_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pointsman.yaml"
    file.write_text(CONFIG)
    monkeypatch.setattr(reading, "STAYS", 0.001)
    try:
        before = reading.read_file(file, stay=True)
        [process] = reading._kept
        assert process._popen.stdout is not None
        assert process._popen.stdout.read() == b""  # it ends by itself
        assert reading.read_file(file, stay=True) == before
        assert reading._kept != [process]
    finally:
        reading.dismiss()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kill -9 $$", "the process that was to do it ended with signal 9"),
        ("exit 3", "the process that was to do it ended with status 3"),
    ],
)
def test_a_process_that_comes_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, text))
    with pytest.raises(ConfigError, match=f"a.yaml: could not be read: {why}$"):
        reading.read_file(tmp_path / "a.yaml")


def test_no_process_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"a.yaml: could not be read: no process can be started: No such file"):
        reading.read_file(tmp_path / "a.yaml")


def test_one_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exec sleep 60"))
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    with pytest.raises(ConfigError, match=r"that took more than 0\.05 s$"):
        reading.read_file(tmp_path / "a.yaml")
