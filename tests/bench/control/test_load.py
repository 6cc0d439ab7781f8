import os
import sys

import pytest

from bench.control import instance
from bench.control.load import wait_for_all, watch
from bench.control.wire import Wire, request
from bench.servers import running
from tests.servers.ports import free_port
from tests.servers.program import until


def answers(port, address):
    try:
        with Wire(port) as wire:
            return wire.ask(request("/")).body.decode() == address
    except OSError:
        return False


def test_instances_answer_with_their_address(tmp_path):
    port = free_port()
    command = [sys.executable, instance.__file__, str(port), "127.0.0.1"]
    with running("instances", command, [min(os.sched_getaffinity(0))], tmp_path):
        until(lambda: answers(port, "127.0.0.1"), "it answers")
        wait_for_all(port, ["one", "two"], lambda: True)


def test_a_proxy_that_does_not_route_to_all_is_told_of():
    with pytest.raises(TimeoutError, match=r"did not route to one within 0\.1 s"):
        wait_for_all(free_port(), ["one"], lambda: True, 0.1)
    with pytest.raises(TimeoutError, match="ended"):
        wait_for_all(free_port(), ["one"], lambda: False)


def test_a_window_has_what_two_processes_used():
    def work():
        end = os.times().user + 0.1
        while os.times().user < end:
            sum(range(10_000))
        return 7

    window = watch(os.getpid(), os.getppid(), work)
    assert window.changes == 7
    assert window.cpu >= 0.09
    assert window.share == window.cpu / window.seconds
    assert window.consul >= 0
    assert window.peak_memory > 2**20
