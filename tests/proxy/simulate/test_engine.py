"""What happens in a world, request by request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.service import Balancer
from proxy.simulate.engine import Engine
from proxy.simulate.results import simulate
from tests.proxy.simulate.worlds import EVEN, failures, latencies, ran, scenario

QUIET = "service: {health: {passive: {enabled: false}}, retries: {attempts: 0}}\n"


class TestRequests:
    def test_in_turn_and_on_time(self) -> None:
        engine = ran(EVEN)
        assert [one.requests for one in engine.endpoints] == [50, 50]
        assert set(latencies(engine).values()) == {0.05}
        assert engine.clock.now <= 10.1

    def test_the_way_there_and_back_counts(self) -> None:
        engine = ran(EVEN.replace("service_time", "distance: 20ms, service_time"))
        assert set(latencies(engine).values()) == {0.07}

    def test_more_than_an_endpoint_works_on_wait_in_it(self) -> None:
        text = EVEN.replace("  b: {service_time: 50ms}\n", "").replace("50ms", "150ms, concurrency: 1")
        engine = ran(text)
        found = latencies(engine)
        assert [found[0.1], found[0.2], found[0.3]] == [0.15, 0.2, 0.25]
        assert engine.endpoints[0].most_queue > 30

    def test_a_full_endpoint_answers_503(self) -> None:
        text = EVEN.replace("  b: {service_time: 50ms}\n", "").replace("50ms", "150ms, concurrency: 1, queue: 1")
        engine = ran(QUIET + text)
        assert 30 <= failures(engine)["5xx"] <= 34  # what it cannot work off
        assert engine.endpoints[0].most_queue == 2

    def test_weights_count(self) -> None:
        engine = ran(EVEN.replace("  a: {", "  a: {weight: 3, "), "weighted_round_robin")
        assert engine.endpoints[0].share == pytest.approx(0.75, abs=0.02)

    def test_as_many_as_are_asked_for(self) -> None:
        engine = ran(EVEN.replace("duration: 10s", "requests: 25"))
        assert engine.recording.begun == engine.recording.over == 25

    def test_what_comes_in_the_warmup_is_left_out(self) -> None:
        whole = scenario(EVEN + "warmup: 5s\n")
        (outcome,) = simulate(whole, [Balancer(type="random")]).outcomes
        assert outcome.requests == 50
        assert sum(one.requests for one in outcome.endpoints) == 50


class TestLimits:
    """One endpoint that takes 150 ms, and a request each 100 ms."""

    ONE = EVEN.replace("  b: {service_time: 50ms}\n", "").replace("50ms", "150ms")

    def test_what_is_too_much_is_refused(self) -> None:
        engine = ran("service: {limits: {in_flight: 1}}\n" + self.ONE)
        assert failures(engine) == {"overload": 50}
        assert engine.endpoints[0].most_queue == 1

    def test_or_waits_in_front_of_the_service(self) -> None:
        engine = ran("service: {limits: {in_flight_per_endpoint: 1, queue: 5}}\n" + self.ONE)
        found = latencies(engine)
        assert [found[0.1], found[0.2], found[0.3]] == [0.15, 0.2, 0.25]
        assert engine.endpoints[0].most_queue == 1
        assert 25 <= failures(engine)["overload"] <= 35
        assert max(found.values()) <= 0.9  # five before it, and its own

    def test_and_not_for_longer_than_it_may(self) -> None:
        service = "service: {limits: {in_flight: 1, queue: 1000}, timeouts: {queue: 500ms}}\n"
        engine = ran(service + self.ONE)
        found = latencies(engine)
        assert 25 <= failures(engine)["overload"] <= 35
        assert max(found.values()) <= 0.651
        assert engine.recording.open == 0

    def test_a_full_endpoint_is_passed_over(self) -> None:
        text = "service: {limits: {in_flight_per_endpoint: 1}}\n" + EVEN.replace(
            "a: {service_time: 50ms}", "a: {service_time: 5s}"
        )
        engine = ran(text)
        assert failures(engine) == {}
        assert engine.endpoints[0].most_queue == 1
        assert engine.endpoints[1].share > 0.95


class TestEvents:
    def test_a_slow_one_is_slow_for_its_time(self) -> None:
        engine = ran(EVEN + "events: [{at: 2s, until: 4s, endpoints: a, slower: 4}]\n")
        slow = [arrived for arrived, seconds in latencies(engine).items() if seconds == 0.2]
        assert len(slow) == 10
        assert all(2.0 <= arrived < 4.0 for arrived in slow)

    def test_a_stalled_one_goes_on_where_it_stopped(self) -> None:
        text = EVEN.replace("rate: 10", "rate: 40") + "events: [{at: 2.01s, until: 4s, endpoints: a, stalled: true}]\n"
        found = latencies(ran(text))
        waited = {arrived: seconds for arrived, seconds in found.items() if seconds > 0.05}
        assert len(waited) in (40, 41)
        begun = {arrived: seconds for arrived, seconds in waited.items() if arrived < 2.01}
        assert set(begun.values()) == {2.04}  # what was under way has lost the 1.99 s, and no more
        for arrived, seconds in waited.items():
            if arrived >= 2.01:
                assert arrived + seconds == pytest.approx(4.05)

    def test_a_dead_one_costs_no_request_while_others_are_left(self) -> None:
        engine = ran(EVEN + "events: [{at: 2s, endpoints: a, down: true}]\n")
        assert failures(engine) == {}
        assert engine.retries == 5  # five refused in a row eject it
        assert engine.recording.told[0][2:4] == ("ejected", "a")

    def test_what_a_dying_one_has_under_way_is_lost_or_tried_again(self) -> None:
        dies = EVEN.replace("50ms", "1s") + "events: [{at: 2.05s, endpoints: a, down: true}]\n"
        once, twice = ran(QUIET + dies), ran(dies)
        assert failures(once) == {"reset": 5}
        assert failures(twice) == {}

    def test_one_that_hangs_is_timed_out(self) -> None:
        text = EVEN + "events: [{at: 2s, until: 3s, endpoints: a, failures: {hangs: 100%}}]\n"
        engine = ran(QUIET.replace("attempts: 0}", "attempts: 0}, timeouts: {response_head: 2s}") + text)
        assert failures(engine) == {"timeout": 5}
        retried = ran("service: {retries: {on: [timeout]}, timeouts: {response_head: 2s}}\n" + text)
        assert failures(retried) == {}
        assert sorted(latencies(retried).values())[-5:] == [2.05] * 5

    def test_errors_eject(self) -> None:
        text = EVEN + "events: [{at: 2s, until: 9s, endpoints: a, failures: {errors: 100%}}]\n"
        engine = ran(text)
        assert failures(engine) == {"5xx": 5}
        assert engine.recording.happened["ejected"] == 1

    def test_an_answer_between_them_forgives_errors(self) -> None:
        """Four in a row, three that go well, and four in a row: not five."""
        errors = "endpoints: a, failures: {errors: 100%}"
        engine = ran(EVEN + f"events: [{{at: 1.95s, until: 2.75s, {errors}}}, {{at: 3.35s, until: 4.15s, {errors}}}]\n")
        assert failures(engine) == {"5xx": 8}
        assert engine.recording.happened["ejected"] == 0

    def test_time_outs_eject(self) -> None:
        text = EVEN + "events: [{at: 2s, until: 9s, endpoints: a, failures: {hangs: 100%}}]\n"
        engine = ran("service: {timeouts: {response_head: 100ms}}\n" + text)
        assert failures(engine) == {"timeout": 5}
        assert engine.recording.happened["ejected"] == 1

    def test_latency_is_told_to_the_policy(self) -> None:
        engine = ran(EVEN.replace("  a: {service_time: 50ms}", "  a: {service_time: 250ms}"), "peak_ewma")
        assert engine.endpoints[0].share < 0.2


class TestProbes:
    PROBED = "service: {health: {probe: {http: /, interval: 1s, timeout: 200ms, fall: 2, rise: 2, jitter: 0%}, "

    @pytest.mark.parametrize("how", ["down: true", "stalled: true", "failures: {hangs: 100%}"])
    def test_a_dead_one_is_ejected_and_comes_back(self, how: str) -> None:
        text = self.PROBED + "passive: {enabled: false}}}\n" + EVEN.replace("10s", "20s")
        engine = ran(text + f"events: [{{at: 3.5s, until: 8.5s, endpoints: a, {how}}}]\n")
        told = [(round(when), kind, endpoint) for when, _, kind, endpoint, _ in engine.recording.told]
        assert told == [(5, "ejected", "a"), (10, "readmitted", "a")]

    def test_one_that_is_out_is_probed_as_often_as_its_interval_says(self) -> None:
        text = self.PROBED.replace("interval: 1s", "interval: 2s, unhealthy_interval: 500ms")
        text += "passive: {enabled: false}}}\n" + EVEN.replace("10s", "20s")
        engine = ran(text + "events: [{at: 3.5s, until: 8.4s, endpoints: a, down: true}]\n")
        told = [(round(when, 1), kind) for when, _, kind, _, _ in engine.recording.told]
        [(out, ejected), (back, readmitted)] = told
        assert (ejected, readmitted) == ("ejected", "readmitted")
        assert 4.5 <= out <= 4.7  # the second failure, half a second after the first one
        assert 8.9 <= back <= 9.6  # two that pass

    def test_one_that_its_requests_ejected_is_probed_sooner(self) -> None:
        text = self.PROBED.replace("interval: 1s", "interval: 8s, unhealthy_interval: 200ms")
        text += "passive: {base_ejection_time: 1s}}}\n" + EVEN.replace("10s", "20s")
        engine = ran(text + "events: [{at: 1s, until: 7s, endpoints: a, down: true}]\n")
        told = [(when, kind) for when, _, kind, _, _ in engine.recording.told]
        assert [kind for _, kind in told] == ["ejected", "readmitted"]  # its probes keep it out when its second is over
        assert 7 < told[1][0] < 8

    def test_an_idle_service_is_probed_less(self) -> None:
        text = self.PROBED.replace("interval: 1s", "interval: 1s, idle_interval: 1h, idle_after: 2s")
        text += "passive: {enabled: false}}}\n" + EVEN.replace("10s", "40s").replace(
            "process: even", "process: even, changes: [{at: 5s, rate: 0}, {at: 30s, rate: 20}]"
        )
        event = "events: [{at: 15s, until: 32s, endpoints: a, down: true}]\n"
        told = [(when, kind) for when, _, kind, _, _ in ran(text + event).recording.told]
        assert [kind for _, kind in told] == ["ejected", "readmitted"]
        assert 30 < told[0][0] < 32.5  # not before there are requests again

    def test_a_grpc_probe_sees_a_stall(self) -> None:
        text = self.PROBED.replace("http: /", "grpc: ''") + "passive: {enabled: false}}}\n" + EVEN
        engine = ran(text + "events: [{at: 3.5s, until: 8.5s, endpoints: a, stalled: true}]\n")
        assert engine.recording.told[0][2:4] == ("ejected", "a")

    def test_a_tcp_probe_does_not_see_a_stall(self) -> None:
        text = self.PROBED.replace("http: /", "tcp: true") + "passive: {enabled: false}}}\n" + EVEN
        engine = ran(text + "events: [{at: 3.5s, until: 8.5s, endpoints: a, stalled: true}]\n")
        assert engine.recording.told == []

    def test_a_probe_waits_its_turn(self) -> None:
        """So one that has too much to do fails its probes, and those of the others that get its share may follow."""
        text = self.PROBED + "passive: {enabled: false}}}\n" + EVEN.replace("a: {", "a: {concurrency: 1, ")
        busy = ran(text.replace("a: {concurrency: 1, service_time: 50ms}", "a: {concurrency: 1, service_time: 1s}"))
        assert busy.recording.told[0][2:4] == ("ejected", "a")
        assert "no answer in time" in busy.recording.told[0][4]

    def test_errors_meet_probes_only_where_it_is_said(self) -> None:
        event = "events: [{at: 3s, endpoints: a, failures: {errors: 100%, probes: %s}}]\n"
        for probes, ejected in (("false", 0), ("true", 1)):
            text = self.PROBED + "passive: {enabled: false}}}\n" + EVEN + event.replace("%s", probes)
            assert ran(text).recording.happened["ejected"] == ejected


class TestRollouts:
    def test_a_rolling_restart_with_a_drain_loses_nothing(self) -> None:
        text = EVEN.replace("  a: {", "  a: {count: 3, ")
        engine = ran(QUIET + text + "rollouts: [{at: 1s, endpoints: a, drain: 1s, start: 500ms}]\n")
        assert failures(engine) == {}
        assert engine.retries == 0
        assert engine.recording.happened["joined"] == 4 + 3
        assert engine.recording.happened["left"] == 3

    def test_a_proxy_that_is_told_late_meets_those_that_are_gone(self) -> None:
        late = EVEN + "registry: {delay: 2s}\nrollouts: [{at: 1s, endpoints: [a], drain: 0s, start: 3s}]\n"
        engine = ran(late)
        assert failures(engine) == {}  # a refused connection is tried elsewhere
        assert engine.retries >= 5

    def test_a_short_drain_loses_what_takes_longer(self) -> None:
        text = QUIET + EVEN.replace("50ms", "1s") + "rollouts: [{at: 2.05s, endpoints: a, drain: 100ms}]\n"
        assert failures(ran(text)) == {"reset": 4}  # those of the last second, but for what ended in the drain

    def test_a_new_one_is_slow_while_it_is_cold(self) -> None:
        rollout = "rollouts: [{at: 1s, endpoints: a, drain: 1s, start: 0s, cold: {slower: 3, lasting: 2s}}]\n"
        slow = [arrived for arrived, seconds in latencies(ran(EVEN + rollout)).items() if seconds == 0.15]
        assert 9 <= len(slow) <= 11
        assert all(2.0 <= arrived <= 4.0 for arrived in slow)


class TestProxies:
    def test_each_has_a_view_of_its_own(self) -> None:
        """Two proxies of the same world: each ejects for itself, and sees a change in its own time."""
        text = EVEN.replace("10s", "20s") + "proxies: 2\nevents: [{at: 2s, endpoints: a, down: true}]\n"
        engine = ran(text)
        ejected = [(proxy, endpoint) for _, proxy, kind, endpoint, _ in engine.recording.told if kind == "ejected"]
        assert sorted(ejected) == [(0, "a"), (1, "a")]

    def test_each_has_its_share(self) -> None:
        engine = ran(EVEN.replace("rate: 10", "rate: 200") + "proxies: 4\n")
        asked = [sum(endpoint.requests for endpoint in sidecar.pool.endpoints) for sidecar in engine.sidecars]
        assert sum(asked) == 1999
        assert min(asked) > 400


class TestSeed:
    def test_the_same_seed_gives_the_same_figures(self) -> None:
        text = EVEN.replace("even", "poisson").replace("50ms", "{exponential: 50ms}") + "seed: 7\nproxies: 2\n"
        policies = [Balancer(type=name) for name in ("least_request", "peak_ewma")]
        one, two = (simulate(scenario(text), policies).as_json() for _ in range(2))
        assert one == two
        assert simulate(scenario(text.replace("7", "8")), policies).as_json() != one

    def test_requests_are_the_same_under_each_policy(self) -> None:
        text = EVEN.replace("even", "poisson").replace("50ms", "{exponential: 50ms}")
        one, two = ran(text, "random"), ran(text, "least_request")
        assert latencies(one) == latencies(two)  # nobody waits for anybody here


WORLD = """\
duration: 10s
seed: {seed}
proxies: {proxies}
registry: {{delay: 100ms, spread: 1s}}
arrivals: {{rate: 60, changes: [{{at: 3s, rate: 200}}, {{at: 5s, rate: 20, over: 2s}}]}}
service:
  health: {{probe: {{http: /, interval: 500ms, timeout: 100ms, fall: 2}}, passive: {{base_ejection_time: 1s}}}}
  retries: {{attempts: 2, 'on': [reset, timeout, 5xx]}}
  timeouts: {{response_head: 300ms, queue: 200ms}}
  limits: {{in_flight: {in_flight}, in_flight_per_endpoint: 15, queue: 20}}
endpoints:
  a: {{count: 3, concurrency: 2, queue: 5, distance: 1ms, service_time: {{lognormal: {{median: 20ms, p99: 400ms}}}}}}
  b: {{service_time: {{bimodal: {{fast: 5ms, slow: 500ms, slow_share: 10%}}}}, failures: {{errors: 5%, resets: 5%}}}}
events:
  - {{at: 1s, until: {until}s, endpoints: [a-1, b], {what}}}
  - {{at: 2s, until: 4s, endpoints: a, {what}}}
rollouts: [{{at: 4s, endpoints: a, drain: 100ms, start: 200ms, at_once: {batch}}}]
"""
WHAT = ["slower: 20", "stalled: true", "down: true", "failures: {refused: 30%, hangs: 30%}", "service_time: 1s"]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    proxies=st.integers(1, 3),
    until=st.integers(2, 9),
    what=st.sampled_from(WHAT),
    batch=st.integers(1, 3),
    in_flight=st.sampled_from([0, 10]),
    policy=st.sampled_from(["random", "least_request", "peak_ewma", "weighted_round_robin", "first", "ring_hash"]),
)
def test_whatever_happens_every_request_ends_once_and_every_count_comes_back(
    seed: int, proxies: int, until: int, what: str, batch: int, in_flight: int, policy: str
) -> None:
    text = WORLD.format(seed=seed, proxies=proxies, until=until, what=what, batch=batch, in_flight=in_flight)
    engine = Engine(scenario(text), Balancer(type=policy))
    engine.run()
    recording = engine.recording
    assert recording.open == 0
    assert len(recording.latency) + len(recording.failed_of) == recording.begun
    assert all(seconds >= 0 for seconds in recording.latency)
    for sidecar in engine.sidecars:
        assert sidecar.pool.load.in_flight == 0
        assert all(endpoint.in_flight == 0 for endpoint in sidecar.pool.endpoints)
        assert sidecar.places is not None
        assert (sidecar.places.taken, sidecar.places.waiting) == (0, 0)
    assert sum(one.share for one in engine.endpoints) == pytest.approx(1.0)
    assert all(tally.count >= 0 for tally in engine.tallies.values())
