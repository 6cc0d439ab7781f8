"""The file registry follows real files."""
# ruff: noqa: ASYNC240  # the files are small and on this machine

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from discovery import file
from discovery.file import FileRegistry
from discovery.registry import RegistryError
from tests.discovery.watching import first, has, ids, until, watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text("- a:1\n")
    return path


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only the notices of the file system to learn of changes from."""
    monkeypatch.setattr(file, "LOOK_ANYWAY", 600.0)


def rewrite(path: Path) -> None:
    path.write_text("- b:1\n")


def replace(path: Path) -> None:
    """What `mv`, and editors that write a copy first, do."""
    new = path.with_suffix(".tmp")
    new.write_text("- b:1\n")
    new.rename(path)


def remove_and_create(path: Path) -> None:
    path.rename(path.with_suffix(".bak"))
    path.write_text("- b:1\n")


@pytest.mark.usefixtures("no_looks")
@pytest.mark.parametrize("change", [rewrite, replace, remove_and_create])
async def test_a_change_is_seen(path: Path, change: Callable[[Path], None]):
    async with watching(FileRegistry(path)) as watch:
        before = await until(watch, has("a:1"))
        change(path)
        after = await until(watch, has("b:1"))
    assert (before.continuous, after.continuous) == (False, True)
    assert before.index != after.index


@pytest.mark.usefixtures("no_looks")
async def test_a_change_right_after_the_watch_began_is_seen(path: Path):
    """The file system is listened to before the file is read."""
    for _ in range(20):
        path.write_text("- a:1\n")
        async with watching(FileRegistry(path)) as watch:
            await first(watch)
            replace(path)
            await until(watch, has("b:1"))


@pytest.mark.usefixtures("no_looks")
async def test_the_symbolic_links_of_a_config_map_are_followed(tmp_path: Path):
    """Kubernetes puts `web.yaml -> ..data/web.yaml` and `..data -> ..2026_1`, and swaps the link `..data`."""
    for version, target in (("..2026_1", "a:1"), ("..2026_2", "b:1")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "web.yaml").write_text(f"- {target}\n")
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "web.yaml").symlink_to("..data/web.yaml")
    async with watching(FileRegistry(tmp_path / "web.yaml")) as watch:
        await until(watch, has("a:1"))
        (tmp_path / "..data_tmp").symlink_to("..2026_2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await until(watch, has("b:1"))


async def test_a_change_that_the_file_system_does_not_tell_of_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Here a folder further up is replaced; on NFS it is every change of another machine's."""
    monkeypatch.setattr(file, "LOOK_ANYWAY", 0.1)
    for release, target in (("1", "a:1"), ("2", "b:1")):
        (tmp_path / release).mkdir()
        (tmp_path / release / "web.yaml").write_text(f"- {target}\n")
    (tmp_path / "current").symlink_to("1")
    async with watching(FileRegistry(tmp_path / "current" / "web.yaml")) as watch:
        await until(watch, has("a:1"))
        (tmp_path / "new").symlink_to("2")
        (tmp_path / "new").rename(tmp_path / "current")
        await until(watch, has("b:1"))


async def test_a_look_that_finds_nothing_new_is_a_sign_of_life(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file, "LOOK_ANYWAY", 0.05)
    async with watching(FileRegistry(path)) as watch:
        one, two = await first(watch), await first(watch)
    assert one.instances is two.instances
    assert two.continuous


async def test_json_is_read_where_the_name_says_so(tmp_path: Path):
    path = tmp_path / "web.json"
    path.write_text('[\t{"targets": ["a:1"]}]')  # YAML would not have the tab
    async with watching(FileRegistry(path)) as watch:
        await until(watch, has("a:1"))


async def test_entries_that_make_no_sense_are_named(path: Path):
    path.write_text("- a:1\n- b\n")
    async with watching(FileRegistry(path)) as watch:
        snapshot = await first(watch)
    assert ids(snapshot) == {"a:1"}
    assert snapshot.unreadable[0].startswith("b: must be an address")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"- a:1\n- 'b", "it is no YAML: .*line 2"), (b"a: 1", "must hold a list")]
)
async def test_a_file_that_turns_bad_ends_the_watch(path: Path, content: bytes, said: str):
    async with watching(FileRegistry(path)) as watch:
        await first(watch)
        path.write_bytes(content)
        with pytest.raises(RegistryError, match=said):
            await until(watch, lambda snapshot: ids(snapshot) != {"a:1"})


async def test_a_file_that_vanishes_ends_the_watch(path: Path):
    async with watching(FileRegistry(path)) as watch:
        await first(watch)
        path.unlink()
        with pytest.raises(RegistryError, match="No such file"):
            await until(watch, has())


async def test_what_is_missing_is_named(tmp_path: Path):
    for path in (tmp_path / "web.yaml", tmp_path / "folder" / "web.yaml"):
        async with watching(FileRegistry(path)) as watch:
            with pytest.raises(RegistryError, match=f"{path} cannot be read: No such file"):
                await first(watch)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "web.yaml")
    async with watching(FileRegistry(tmp_path / "web.yaml")) as watch:
        with pytest.raises(RegistryError, match="is no file"):
            await first(watch)


async def test_a_file_that_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file, "SIZE_LIMIT", 5)
    async with watching(FileRegistry(path)) as watch:
        with pytest.raises(RegistryError, match="is larger than"):
            await first(watch)


async def test_more_files_are_watched_than_the_library_has_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file, "LOOK_ANYWAY", 0.5)
    paths = [tmp_path / f"{number}.yaml" for number in range(50)]

    async def follow(path: Path) -> None:
        path.write_text("- a:1\n")
        async with watching(FileRegistry(path)) as watch:
            await first(watch)
            everyone.release()
            await all_began.wait()
            path.write_text("- b:1\n")
            await until(watch, has("b:1"))

    everyone, all_began = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for path in paths:
            group.create_task(follow(path))
        for _ in paths:
            await everyone.acquire()
        all_began.set()
