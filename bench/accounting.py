"""CPU time and memory of a process and its descendants, as the kernel counts them in /proc.

utime and stime are shown in ticks of 1/100 s, but their sum follows the scheduler's own clock (cputime_adjust in Linux,
kernel/sched/cputime.c): it is no sampling of what ran at a tick. What is lost is the rounding of each to a whole tick.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessGoneError(Exception):
    """The process that was to be accounted for has ended."""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One line of /proc/<pid>/stat, with the time of its reaped children added to its own."""

    pid: int
    parent: int
    state: str
    ticks: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used since it started."""

    cpu_seconds: float
    peak_memory: int
    """Sum over the processes of the most bytes each ever had resident (VmHWM). Pages that two share count twice."""


def parse_stat(line: str) -> ProcessStat:
    """Read a stat line, see proc_pid_stat(5). The command's name may hold blanks and brackets: count from its end."""
    pid, _, rest = line.partition(" ")
    fields = rest.rpartition(")")[2].split()
    # state and ppid are fields 3 and 4; utime, stime, cutime and cstime are fields 14 to 17.
    return ProcessStat(int(pid), int(fields[1]), fields[0], sum(int(field) for field in fields[11:15]))


def parse_peak_memory(status: str) -> int:
    """Bytes of VmHWM in a /proc/<pid>/status; a zombie has no such line, and no memory."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def tree(root: int, processes: Iterable[ProcessStat]) -> list[ProcessStat]:
    """The root and all its descendants. A reaped child needs no place: its time has passed into its parent's."""
    children: dict[int, list[ProcessStat]] = {}
    found = []
    for process in processes:
        children.setdefault(process.parent, []).append(process)
        if process.pid == root:
            found.append(process)
    for process in found:
        found.extend(children.get(process.pid, ()))
    return found


def usage(root: int) -> Usage:
    """What the tree under this process has used so far. Raises ProcessGoneError when the root has ended."""
    members = tree(root, _processes())
    if not members or members[0].state == "Z":
        raise ProcessGoneError(root)
    peak = sum(parse_peak_memory(_read(process.pid, "status")) for process in members)
    return Usage(sum(process.ticks for process in members) / TICKS_PER_SECOND, peak)


def memory(root: int) -> int:
    """Bytes that the tree under this process has resident now; a page that several processes share counts once.

    That is Pss of /proc/<pid>/smaps_rollup. Raises ProcessGoneError when the root has ended.
    """
    members = tree(root, _processes())
    if not members or members[0].state == "Z":
        raise ProcessGoneError(root)
    return sum(parse_shared_memory(_read(process.pid, "smaps_rollup")) for process in members)


def parse_shared_memory(rollup: str) -> int:
    """Bytes of Pss in a /proc/<pid>/smaps_rollup."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _processes() -> list[ProcessStat]:
    lines = [_read(int(entry.name), "stat") for entry in PROC.iterdir() if entry.name.isdigit()]
    return [parse_stat(line) for line in lines if line]


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # a process may end between the listing of /proc and this
