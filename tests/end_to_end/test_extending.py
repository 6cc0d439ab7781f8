"""The package of docs/extending.md, as it stands there: built, installed and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.servers.instances import Instances
from tests.servers.pointsman import COMMAND
from tests.servers.ports import free_ports
from tests.servers.program import ROOT, Program, ask, is_well, until

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/extending.md").read_text()
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
CONFIGURATION = FILES["pointsman.yaml"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into, by pip and without a network."""
    source, target = tmp_path_factory.mktemp("extras"), tmp_path_factory.mktemp("installed")
    for name, text in FILES.items():
        file = source / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    options = ["-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return target


def command(installed: Path, *arguments: object) -> list[str]:
    return ["env", f"PYTHONPATH={installed}{os.pathsep}{ROOT}", COMMAND, *map(str, arguments)]


def test_the_package_is_whole() -> None:
    assert FILES.keys() == {
        "pyproject.toml", "extras/__init__.py", "extras/canary.py", "extras/folder.py", "pointsman.yaml",
    }  # fmt: skip


def test_both_are_used(installed: Path, tmp_path: Path) -> None:
    with Instances(tmp_path, "old-1", "old-2", "new") as instances:
        port, admin_port = free_ports(2)
        folder = tmp_path / "instances/web"
        folder.mkdir(parents=True)
        (folder / "old-1").write_text(f"127.0.0.1:{instances.ports['old-1']}\n")
        (folder / "wrong").write_text("nowhere")
        config = tmp_path / "pointsman.yaml"
        text = CONFIGURATION.replace("/srv/instances", str(folder.parent))
        for shown, ours in (("8080", port), ("9900", admin_port), ("9002", instances.ports["new"])):
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{ours}")
        config.write_text(text)

        def answering(**headers: str) -> set[str]:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
            found = set()
            for _ in range(20):
                with urllib.request.urlopen(request, timeout=10) as response:
                    found.add(response.headers["X-Instance"] or response.read().decode())
            return found

        run = command(installed, "run", "-c", config)
        with Program(run, tmp_path / "pointsman.log", is_well(admin_port, "/readyz")):
            until(lambda: len(ask(admin_port, "/api/v1/services/web").json["endpoints"]) == 2, "both are there")
            assert answering() == {"old-1"}
            assert answering(**{"X-Try-New": "1"}) == {"new"}
            (folder / "old-2").write_text(f"127.0.0.1:{instances.ports['old-2']}\n")
            until(lambda: len(ask(admin_port, "/api/v1/services/web").json["endpoints"]) == 3, "one more is there")
            assert answering() == {"old-1", "old-2"}
            web = ask(admin_port, "/api/v1/services/web").json
            assert (web["registry"]["kind"], web["balancer"]) == ("folder", "canary")
            assert web["registry"]["unreadable"] == ["wrong: not host:port"]


def test_mistakes_are_told(installed: Path, tmp_path: Path) -> None:
    config = tmp_path / "pointsman.yaml"
    text = CONFIGURATION.replace("interval: 0.1", "interval: 0").replace("X-Try-New", "''")
    config.write_text(text + "  # and more\n")
    done = subprocess.run(command(installed, "validate", "-c", config), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "discovery[0].folder: the registry 'folder': interval must be above 0" in done.stderr
    assert "balancer: the balancer 'canary': header and tag must be texts, and not empty" in done.stderr
    config.write_text(CONFIGURATION.replace("interval: 0.1", "interval: often").replace("X-Try-New", "5"))
    done = subprocess.run(command(installed, "validate", "-c", config), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "discovery[0].folder: the registry 'folder': TypeError: " in done.stderr
    assert "balancer: the balancer 'canary': header and tag must be texts, and not empty" in done.stderr
    assert "Traceback" not in done.stderr
    config.write_text(CONFIGURATION.replace("path: /srv/instances, interval", "intervall"))
    done = subprocess.run(command(installed, "validate", "-c", config), capture_output=True, text=True, timeout=30)
    offer = "has no option 'intervall'; its options are path, interval"
    assert f"discovery[0].folder: the registry 'folder' {offer}" in done.stderr
    config.write_text(CONFIGURATION.replace("path: /srv/instances, ", ""))
    done = subprocess.run(command(installed, "validate", "-c", config), capture_output=True, text=True, timeout=30)
    assert "discovery[0].folder: the registry 'folder' needs the option 'path'" in done.stderr


def test_the_commands_know_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/one").write_text("10.0.0.1:80")
    asked = command(installed, "discover", "folder:", "web", "-o", f"path={tmp_path}", "--json")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
    assert [one["id"] for one in json.loads(done.stdout)["instances"]] == ["one"], done.stderr


def test_without_the_package_it_is_an_unknown_key(tmp_path: Path) -> None:
    config = tmp_path / "pointsman.yaml"
    config.write_text(CONFIGURATION)
    done = subprocess.run([COMMAND, "validate", "-c", str(config)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "discovery[0].folder: unknown key" in done.stderr
