"""Files that are rotated, paths that cannot be written, and the streams that pointsman was started with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from proxy.access_log.destination import Destination
from proxy.access_log.writer import Writer
from tests.proxy.running import until

ROOT = Path(__file__).parents[3]


def put(destination: Destination, lines: bytes) -> None:
    """Write lines as the writer does."""
    destination.follow()
    start = 0
    while start < len(lines):
        start += destination.write(lines, start, 0.0)


def opened(folder: Path) -> list[str]:
    """List the files below a folder that this process has open."""
    names = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(fd.readlink()))
        except OSError:
            pass  # the folder's own, closed by now
    return [name for name in names if name.startswith(str(folder))]


def test_a_file_that_was_renamed_or_removed_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    destination = Destination(str(path))
    put(destination, b"1\n")
    path.rename(tmp_path / "access.log.1")
    put(destination, b"2\n")
    assert path.read_bytes() == b"2\n"
    path.unlink()
    put(destination, b"3\n")
    assert path.read_bytes() == b"3\n"
    assert (tmp_path / "access.log.1").read_bytes() == b"1\n"
    destination.close()


def test_a_file_that_another_has_made_in_the_place_of_ours_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    destination = Destination(str(path))
    path.rename(tmp_path / "access.log.1")
    path.write_bytes(b"of logrotate\n")
    assert destination.follow()
    assert not destination.follow()
    put(destination, b"1\n")
    assert path.read_bytes() == b"of logrotate\n1\n"
    destination.close()


def test_a_file_that_was_copied_and_truncated_begins_at_its_start(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    destination = Destination(str(path))
    put(destination, b"1\n")
    os.truncate(path, 0)
    put(destination, b"2\n")
    assert path.read_bytes() == b"2\n"
    destination.close()


def test_the_old_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    destination = Destination(str(path))
    for _ in range(5):
        path.unlink()
        put(destination, b"1\n")
    assert opened(tmp_path) == [str(path)]
    destination.close()
    assert opened(tmp_path) == []


def test_a_file_is_not_for_everybody(tmp_path: Path) -> None:
    Destination(str(tmp_path / "access.log")).close()
    assert (tmp_path / "access.log").stat().st_mode & 0o137 == 0


async def test_no_line_is_lost_in_rotations(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    writer = Writer(Destination(str(path)), 1024 * 1024)
    for rotation in range(5):
        for number in range(500):
            writer.put(b"%d\n" % (rotation * 500 + number))
        await until(lambda: writer.written > rotation * 500)  # noqa: B023 - looked at in this round only
        path.rename(tmp_path / f"access.log.{rotation}")
        await asyncio.sleep(0)
    writer.close(10)
    files = [tmp_path / f"access.log.{rotation}" for rotation in range(5)]
    lines = b"".join(file.read_bytes() for file in [*files, path] if file.exists()).split()
    assert [int(line) for line in lines] == list(range(2500))


async def test_a_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = Writer(Destination(str(folder / "access.log")), 1000)
    folder.rename(tmp_path / "old")
    writer.put(b"1\n")
    await until(lambda: writer.failed)
    folder.mkdir()
    await until(lambda: writer.written == 1)
    writer.close(10)
    assert (folder / "access.log").read_bytes() == b"1\n"


@pytest.mark.parametrize(
    ("path", "why", "kind"),
    [
        ("no/such/folder/access.log", "No such file or directory", FileNotFoundError),
        ("", "Is a directory", IsADirectoryError),
        ("file/access.log", "Not a directory", NotADirectoryError),
    ],
)
def test_a_path_that_cannot_be_written(tmp_path: Path, path: str, why: str, kind: type[OSError]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(kind) as caught:
        Destination(str(tmp_path / path))
    assert caught.value.strerror == f"cannot write the access log to {tmp_path / path}: {why}"


def test_lines_that_go_to_a_pipe_are_not_mixed_with_those_of_others() -> None:
    # A pipe of packets shows what was written at once; up to 4096 bytes of that the kernel keeps together: pipe(7).
    script = """
        lines = b"".join(b"a" * (size - 1) + b"\\n" for size in (2, 4096, 4095, 1, 2000, 2000, 200, 100))
        lines += b"b" * 9000 + b"\\n" + b"a\\n" * 3000
        destination, start = Destination("stdout"), 0
        while start < len(lines):
            start += destination.write(lines, start, 0.0)
        sys.stderr.write(str(len(lines)))
    """
    ours, theirs = os.pipe2(os.O_DIRECT)
    length = run(script, theirs)
    os.close(theirs)
    packets = []
    while packet := os.read(ours, 65536):
        packets.append(packet)
    os.close(ours)
    assert length == [str(sum(map(len, packets)))]
    assert all(packet.endswith(b"\n") for packet in packets if b"b" not in packet)
    assert [len(packet) for packet in packets[:4]] == [2, 4096, 4096, 4000]
    assert all(set(packet) <= set(b"b\n") for packet in packets if b"b" in packet)


STREAMED = """
    writer = Writer(Destination("stdout"), 100_000)
    for number in range(3000):
        writer.put(b"%099d\\n" % number)
    deadline = time.monotonic() + 20
    while not (writer.written == 1000 or writer.failed >= 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.close(0.1)
    print(writer.written, writer.dropped, min(writer.failed, 2), file=sys.stderr)
"""


def test_stdout(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        said = run(STREAMED.replace("range(3000)", "range(1000)"), file.fileno())
    assert said == ["1000 0 0"]
    assert [int(line) for line in (tmp_path / "out").read_bytes().split()] == list(range(1000))


def test_a_stdout_that_nobody_reads() -> None:
    ours, theirs = os.pipe()
    script = STREAMED.replace("writer.written == 1000", "writer.written >= 500 and writer.dropped")
    written, dropped, failed = map(int, run(script, theirs)[-1].split())
    os.close(theirs)
    os.close(ours)
    assert 500 <= written < 1000  # of 64 KiB that the pipe holds
    assert written + dropped == 3000
    assert failed == 0  # it still waits


def test_a_stdout_that_does_not_wait_and_nobody_reads() -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    written, dropped, failed = map(int, run(STREAMED, theirs)[-1].split())
    os.close(theirs)
    assert written == len(os.read(ours, 1 << 20)) / 100
    os.close(ours)
    assert 500 <= written < 1000
    assert written + dropped == 3000
    assert failed == 2


def test_a_stdout_whose_reader_is_gone() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    said = run(STREAMED, theirs)
    os.close(theirs)
    assert said[-1] == "0 3000 2"
    assert said.count("cannot write the access log to stdout: Broken pipe; trying again") == 1


def test_a_stdout_that_is_closed() -> None:
    script = """
        try:
            Destination("stdout")
        except OSError as error:
            print(error.strerror, file=sys.stderr)
    """
    assert run(script, None) == ["cannot write the access log to stdout: it is closed"]


def run(script: str, stdout: int | None) -> list[str]:
    """Run a program on this standard output, or on a closed one; return the lines of its standard error."""
    imports = (
        "import sys, time\n"
        "from proxy.access_log.destination import Destination\n"
        "from proxy.access_log.writer import Writer\n"
    )
    command = [sys.executable, "-c", imports + textwrap.dedent(script)]
    if stdout is None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, timeout=60, check=True)
    return done.stderr.decode().splitlines()
