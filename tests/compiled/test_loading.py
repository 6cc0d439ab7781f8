"""What is loaded: what was built, if it was built from what is here, and the sources otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from compiled import build, loading
from compiled.loading import decide
from compiled.modules import LIBRARY, MODULES, PACKAGES
from compiled.stamp import BUILT, ROOT, Stamp, abi, digest, read, why_unfit

if TYPE_CHECKING:
    from pathlib import Path

TOLD = "from proxy.http import exchange; from compiled.loading import outcome; print(exchange.__file__); print(outcome)"
HERE = decide("auto", BUILT)
built = pytest.mark.skipif(not HERE.compiled, reason=f"{HERE.reason}: make compiled")


def run(folder: Path, wanted: str | None = None) -> subprocess.CompletedProcess[str]:
    """Load the data path that is in a folder in a process of its own, and have it tell what it has loaded."""
    env = {name: value for name, value in os.environ.items() if name != loading.VARIABLE}
    if wanted is not None:
        env[loading.VARIABLE] = wanted
    return subprocess.run(
        [sys.executable, "-c", TOLD], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages in a folder of their own, with what was built of them."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(source: Path) -> None:
    source.write_text(source.read_text() + "\nEDITED = True\n")


def outcome_of(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stderr
    file, outcome = ran.stdout.splitlines()
    assert file.endswith(".so" if outcome == "compiled" else ".py")
    return outcome


class TestWhatWasBuilt:
    pytestmark = built

    def test_is_loaded(self, copy: Path) -> None:
        assert outcome_of(run(copy)) == outcome_of(run(copy, "auto")) == outcome_of(run(copy, "1")) == "compiled"

    def test_is_not_loaded_where_nobody_wants_it(self, copy: Path) -> None:
        assert outcome_of(run(copy, "0")) == "interpreted: POINTSMAN_COMPILED=0"

    @pytest.mark.parametrize("source", ["proxy/http/exchange.py", "balancers/pool.py", "proxy/http/buffers.py"])
    def test_gives_way_to_an_edited_source(self, copy: Path, source: str) -> None:
        edit(copy / source)
        assert outcome_of(run(copy)) == f"interpreted: {source} is not what it was built from"
        program = f"import {source[:-3].replace('/', '.')} as edited; assert edited.EDITED"
        subprocess.run(
            [sys.executable, "-c", program], cwd=copy, env={**os.environ, loading.VARIABLE: "auto"}, check=True
        )

    def test_gives_way_to_an_edited_source_that_is_neither_older_nor_longer(self, copy: Path) -> None:
        source = copy / "proxy/http/heads.py"
        times = source.stat()
        source.write_text(source.read_text().replace("more than one Host", "more than 1 Host!!"))
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert outcome_of(run(copy)) == "interpreted: proxy/http/heads.py is not what it was built from"

    def test_comes_back_when_the_edit_is_undone(self, copy: Path) -> None:
        source = copy / "proxy/http/heads.py"
        before = source.read_bytes()
        source.write_bytes(before + b"\n")
        assert outcome_of(run(copy)) != "compiled"
        source.write_bytes(before)
        assert outcome_of(run(copy)) == "compiled"

    def test_does_not_mind_an_edit_of_what_it_knows_nothing_of(self, copy: Path) -> None:
        edit(copy / "proxy/cli.py")
        assert outcome_of(run(copy)) == "compiled"

    def test_gives_way_when_it_is_damaged(self, copy: Path) -> None:
        [library] = (copy / "compiled/built").glob(f"{LIBRARY}*")
        whole = library.read_bytes()
        library.unlink()  # it may be a link to what this process has loaded
        library.write_bytes(whole[: len(whole) // 2])
        assert outcome_of(run(copy)) == f"interpreted: {library.name} is damaged or missing"

    def test_gives_way_when_it_cannot_be_loaded(self, copy: Path) -> None:
        folder = copy / "compiled/built"
        [library] = folder.glob(f"{LIBRARY}*")
        library.unlink()
        library.write_bytes(b"no library")
        stamp = read(folder)
        Stamp(stamp.abi, stamp.sources, {**stamp.files, library.name: digest(library)}).write(folder)
        assert "interpreted: what was built cannot be loaded" in outcome_of(run(copy))
        refused = run(copy, "1")
        assert refused.returncode == 1
        assert "POINTSMAN_COMPILED=1, but what was built cannot be loaded" in refused.stderr

    def test_gives_way_when_it_is_of_another_python(self, copy: Path) -> None:
        folder = copy / "compiled/built"
        stamp = read(folder)
        Stamp("cpython-27", stamp.sources, stamp.files).write(folder)
        assert outcome_of(run(copy)) == f"interpreted: it was built for cpython-27, and this is {abi()}"

    def test_is_demanded_and_not_to_be_had(self, copy: Path) -> None:
        edit(copy / "proxy/http/heads.py")
        refused = run(copy, "1")
        assert refused.returncode == 1
        assert "POINTSMAN_COMPILED=1, but proxy/http/heads.py is not what it was built from" in refused.stderr


class TestDecisions:
    def test_nothing_was_built(self, tmp_path: Path) -> None:
        outcome = decide("auto", tmp_path)
        assert (str(outcome), outcome.unfit, outcome.refused) == ("interpreted: nothing was built", False, False)

    def test_nothing_was_built_and_is_demanded(self, tmp_path: Path) -> None:
        outcome = decide("1", tmp_path)
        assert outcome.refused
        assert outcome.reason == "POINTSMAN_COMPILED=1, but nothing was built; build with: python -m compiled"

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"abi": 1, "sources": 2, "files": 3}', "\x00"])
    def test_a_stamp_that_makes_no_sense(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "stamp.json").write_text(text)
        outcome = decide("auto", tmp_path)
        assert (outcome.compiled, outcome.unfit) == (False, True)
        assert "cannot be used" in outcome.reason

    def test_a_choice_that_is_none(self, tmp_path: Path) -> None:
        outcome = decide("yes", tmp_path)
        assert outcome.refused
        assert outcome.reason == "POINTSMAN_COMPILED=yes: it must be one of auto, 0, 1"

    def test_a_stamp_fits_what_it_was_made_of(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text("A = 1\n")
        (tmp_path / "a.so").write_bytes(b"\x7fELF")
        stamp = Stamp(abi(), {"a.py": digest(tmp_path / "a.py")}, {"a.so": digest(tmp_path / "a.so")})
        stamp.write(tmp_path)
        assert read(tmp_path) == stamp
        assert why_unfit(stamp, tmp_path, tmp_path) == ""
        (tmp_path / "a.py").unlink()
        assert why_unfit(stamp, tmp_path, tmp_path) == "a.py is not what it was built from"


def test_the_command_says_what_is_loaded(copy: Path) -> None:
    program = [sys.executable, "-c", "from proxy.command import main; main()", "version"]
    env = {**os.environ, loading.VARIABLE: "0"}
    told = subprocess.run(program, cwd=copy, env=env, capture_output=True, text=True, check=True).stdout
    assert told.endswith("interpreted: POINTSMAN_COMPILED=0\n")
    edit(copy / "proxy/http/heads.py")
    ran = subprocess.run(
        program, cwd=copy, env={**env, loading.VARIABLE: "1"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("pointsman: POINTSMAN_COMPILED=1, but ")
    assert ran.stderr.count("\n") == 1


class TestBuilding:
    def test_without_a_compiler_it_is_said_what_to_install(self, copy: Path) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "compiled"], cwd=copy, env={**os.environ, "CC": "no-such-compiler"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 3
        assert "there is no C compiler: install gcc" in ran.stderr
        assert "pointsman runs interpreted" in ran.stderr

    def test_each_module_is_there(self) -> None:
        for module in MODULES:
            assert (ROOT / build.path_of(module)).is_file()

    @built
    def test_the_stamp_names_each_module_and_what_it_imports(self) -> None:
        sources = read(BUILT).sources
        assert set(map(build.path_of, MODULES)) <= set(sources)
        assert "proxy/http/buffers.py" in sources  # whose constants are in what was built
        assert "discovery/instance.py" in sources  # named for its types alone
