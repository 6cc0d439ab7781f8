import os
import subprocess
import sys

import pytest

from bench.accounting import (
    ProcessGoneError,
    ProcessStat,
    memory,
    parse_peak_memory,
    parse_shared_memory,
    parse_stat,
    tree,
    usage,
)

STAT = "4242 (a) (b c) S 17 4242 4242 0 -1 4194304 900 80 0 0 310 290 7 5 20 0 3 0 123456 1000000 2000"


def test_stat_line_is_read_from_behind_the_commands_name():
    assert parse_stat(STAT) == ProcessStat(pid=4242, parent=17, state="S", ticks=310 + 290 + 7 + 5)


def test_peak_memory_is_in_bytes():
    assert parse_peak_memory("Name:\tnginx\nVmPeak:\t  9000 kB\nVmHWM:\t    512 kB\nVmRSS:\t    300 kB\n") == 512 * 1024


def test_zombie_has_no_memory():
    assert parse_peak_memory("Name:\tnginx\nState:\tZ (zombie)\n") == 0


def test_memory_that_is_shared_counts_by_its_share():
    assert parse_shared_memory("Rss:  900 kB\nPss:   640 kB\nPss_Anon: 3 kB\n") == 640 * 1024


def test_memory_of_a_living_process_and_its_children():
    alone = memory(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        child = memory(process.pid)
        together = memory(os.getpid())
        process.stdin.close()
    assert alone > 1024 * 1024
    assert together > child > 0


def test_tree_holds_descendants_and_nobody_else():
    processes = [
        ProcessStat(pid, parent, "S", 0) for pid, parent in [(1, 0), (7, 5), (5, 1), (6, 1), (9, 7), (8, 6), (10, 5)]
    ]

    assert sorted(process.pid for process in tree(5, processes)) == [5, 7, 9, 10]


def test_tree_of_an_unknown_process_is_empty():
    assert tree(5, [ProcessStat(1, 0, "S", 0), ProcessStat(6, 5, "S", 0)]) == []


def test_usage_of_a_living_process():
    found = usage(os.getpid())

    assert found.cpu_seconds > 0
    assert found.peak_memory > 1024 * 1024


def test_process_that_ended_is_an_error_before_and_after_it_is_reaped():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessGoneError):
            usage(process.pid)
        with pytest.raises(ProcessGoneError):
            memory(process.pid)
        process.wait()
        with pytest.raises(ProcessGoneError):
            usage(process.pid)
