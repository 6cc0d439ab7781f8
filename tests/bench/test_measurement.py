"""Each kind of load once, by the very programs, in front of proxies that any Debian has."""

import os
import shutil
from dataclasses import replace
from functools import partial

import pytest

from bench import idle, measurement
from bench.contenders import OURS, our_program
from bench.rounds import Cores, MeasurementError, Step, stand
from bench.workloads import WORKLOADS, Generator
from tests.servers.debian import debian_program
from tests.servers.wanted import had_or_skipped

BY_NAME = {workload.name: workload for workload in WORKLOADS}


@pytest.fixture(scope="module")
def ready(request, pace_program):
    programs = {
        name: had_or_skipped(request.config, name, partial(debian_program, name)).path
        for name in ("nginx", "haproxy", "wrk")
    }
    if h2load := shutil.which("h2load"):
        programs["h2load"] = h2load
    programs |= {OURS: str(our_program()), "pace": pace_program}
    with stand(programs, Cores(tuple(sorted(os.sched_getaffinity(0))))) as started:
        yield started


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(measurement, "WARM_UP", 1)
    monkeypatch.setattr(idle, "FIRST", 20)
    monkeypatch.setattr(idle, "SETTLED", 0)


@pytest.mark.parametrize("proxy", [OURS, "nginx", "haproxy"])
@pytest.mark.parametrize("name", ["small", "upload", "tls-new", "websocket", "added", "idle", "pool-100"])
@pytest.mark.usefixtures("short")
def test_every_kind_of_load_measures_every_proxy(ready, name, proxy):
    workload = BY_NAME[name]
    if workload.generator is Generator.H2LOAD:
        if shutil.which("h2load") is None:
            pytest.skip("no h2load")
        workload = replace(workload, rate=100)
    if workload.generator is Generator.IDLE:
        workload = replace(workload, connections=50)
    if workload.rate:
        workload = replace(workload, rate=100)

    sample = ready.measure(Step(workload, 1, proxy), 1)

    assert sample.requests > 0
    assert sample.errors == 0
    assert 0 < sample.p50 <= sample.p99 <= sample.p999
    assert sample.peak_memory > 1024 * 1024
    assert (sample.added_p50 is not None) == (name == "added")
    assert (sample.memory_each is not None) == (name == "idle")
    assert (sample.rate is not None) == (workload.generator in (Generator.PACE, Generator.H2LOAD))


def test_proxy_that_does_not_start_is_named_with_what_it_said(ready, monkeypatch):
    monkeypatch.setitem(ready._programs, OURS, "/bin/false")

    with pytest.raises(MeasurementError, match="pointsman ended with status 1 before it answered"):
        ready.measure(Step(BY_NAME["small"], 1, OURS), 1)
