"""A scenario is checked as strictly as the configuration."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from balancers.policies import names
from config.errors import ConfigError
from proxy.simulate.reading import changed, load, parse, schema
from tests.proxy.simulate.test_engine import WORLD
from tests.proxy.simulate.worlds import EVEN, scenario

FOLDER = Path(__file__).parents[3] / "bench/scenarios"
VALIDATOR = Draft202012Validator(schema())


def errors_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as failed:
        scenario(text)
    return str(failed.value).splitlines()


MISTAKES = {
    "": ["s.yaml: empty; a scenario has at least duration, arrivals and endpoints"],
    "[]": ["s.yaml:1: must be a mapping with the keys duration, arrivals and endpoints, not a list"],
    EVEN + "polices: [random]": ["s.yaml:6: polices: unknown key; did you mean 'policies'?"],
    EVEN.replace("rate", "rat"): [
        "s.yaml:2: arrivals.rate: this key is required",
        "s.yaml:2: arrivals.rat: unknown key; did you mean 'rate'?",
    ],
    EVEN.replace("a: {", "a: {delay: 1s, "): None,
    EVEN.replace("duration: 10s", "duration: ten"): [
        "s.yaml:1: duration: must be a duration such as 500ms, 5s, 1m30s or 2h, not 'ten'"
    ],
    EVEN.replace("duration: 10s\n", ""): ["s.yaml:1: must have duration or requests, which say when it ends"],
    EVEN.replace("rate: 10,", "rate: fast,"): [
        "s.yaml:2: arrivals.rate: must be a number from 0 to 1,000,000 requests a second, not 'fast'"
    ],
    EVEN.replace("rate: 10,", "rate: true,"): [
        "s.yaml:2: arrivals.rate: must be a number from 0 to 1,000,000 requests a second, not true"
    ],
    EVEN.replace("rate: 10,", "rate: 0,"): ["s.yaml:2: arrivals: must bring at least one request within the duration"],
    EVEN.replace("rate: 10,", "rate: 1000000,").replace("10s", "1h"): [
        (
            "s.yaml:2: arrivals: must bring 10000000 requests at most, not 3600000000; shorten the duration, "
            "or give requests"
        )
    ],
    EVEN.replace("duration: 10s", "requests: 5").replace("rate: 10,", "rate: 0,"): [
        "s.yaml:2: arrivals: must bring 5 requests in the end: its last rate is 0"
    ],
    EVEN.replace("10s", "2d"): ["s.yaml:1: duration: must be over within 1d, not after 2d"],
    EVEN.replace("duration: 10s", "requests: 1000000"): [
        "s.yaml:1: requests: must be over within 1d, not after 1d3h46m40s"
    ],
    EVEN.replace("a: {", "a: {count: 9999, ").replace("b: {", "b: {count: 2, "): [
        "s.yaml:3: endpoints: must be 10000 endpoints at most, not 10001"
    ],
    EVEN.replace("even", "odd"): ["s.yaml:2: arrivals.process: must be poisson or even, not 'odd'"],
    EVEN.replace("even", "even, changes: [{at: 5s, rate: 1, over: 5s}, {at: 7s, rate: 2}]"): [
        "s.yaml:2: arrivals.changes[1].at: must not come before the change above it is over, at 10s"
    ],
    EVEN + "warmup: 10s": ["s.yaml:6: warmup: must be over before the end, at 10s"],
    EVEN + "policies: [randm, {type: least_request, choices: 1}, first]": [
        f"s.yaml:6: policies[0]: there is no balancer 'randm'; there are {', '.join(names())}",
        "s.yaml:6: policies[1]: the balancer 'least_request': choices must be a whole number from 2 to 100, not 1",
    ],
    EVEN + "policies: []": ["s.yaml:6: policies: must have at least one item"],
    EVEN + "policies: random": ["s.yaml:6: policies: must be a list, not 'random'; write [random]"],
    EVEN + "service: {guard: {}, health: {pasive: {}}, retries: {hedge_after: 1s}}": [
        "s.yaml:6: service.health.pasive: unknown key; did you mean 'passive'?",
        "s.yaml:6: service.guard: has no meaning in a simulation; leave it out",
        "s.yaml:6: service.retries.hedge_after: has no meaning in a simulation; leave it out",
    ],
    EVEN + "service: {health: {panic_header: true, probe: {http: /, body: ok, method: GET, headers: {a: b}}}}": [
        f"s.yaml:6: service.health.{key}: has no meaning in a simulation; leave it out"
        for key in ("panic_header", "probe.body", "probe.method", "probe.headers")
    ],
    EVEN + "events: [{at: 5s, until: 5s, endpoints: a, slower: 2}]": [
        "s.yaml:6: events[0]: must have an until that is after at"
    ],
    EVEN + "events: [{at: 5s, endpoints: a}]": [
        "s.yaml:6: events[0]: must have one of slower, service_time, stalled, down, failures"
    ],
    EVEN + "events: [{at: 5s, endpoints: [a, bb], down: yes}]": [
        "s.yaml:6: events[0].down: must be true, not 'yes'",
        "s.yaml:6: events[0].endpoints: there is no 'bb' under endpoints; did you mean 'b'?",
    ],
    EVEN + "rollouts: [{at: 5s, endpoints: c}]": [
        "s.yaml:6: rollouts[0].endpoints: there is no 'c' under endpoints; there are: a, b"
    ],
    EVEN.replace("a: {service_time: 50ms}", "a: {service_time: {exponential: 1s, constant: 1s}}"): [
        "s.yaml:4: endpoints.a.service_time: must have exactly one of constant, exponential, normal, lognormal, bimodal"
    ],
    EVEN.replace("a: {service_time: 50ms}", "a: {service_time: soon}"): [
        "s.yaml:4: endpoints.a.service_time: must be a duration such as 500ms, 5s, 1m30s or 2h, not 'soon'"
    ],
    EVEN.replace("a: {service_time: 50ms}", "a: {service_time: 0s}"): [
        "s.yaml:4: endpoints.a.service_time.constant: must be more than 0s; this wait cannot be without an end"
    ],
    EVEN.replace("a: {", "a: {failures: {errors: 60%, hangs: 50%}, "): [
        "s.yaml:4: endpoints.a.failures: has shares that add up to more than 100%"
    ],
    EVEN.replace("a: {", "a: {failures: {errors: 60}, "): [
        (
            "s.yaml:4: endpoints.a.failures.errors: must be a share from 0 to 1, or a percentage: write 60% if that is "
            "meant"
        )
    ],
    EVEN.replace("  b:", "  a-1: {service_time: 1s}\n  b:").replace("a: {", "a: {count: 2, "): [
        "s.yaml:5: endpoints.a-1: has an endpoint of the same name as a: a-1"
    ],
    "duration: 1s\narrivals: {rate: 10}\nendpoints: {}\n": ["s.yaml:3: endpoints: must have at least one endpoint"],
    "duration: 1s\narrivals: {rate: 10}\nendpoints: {my web: {service_time: 1s}}\n": [
        "s.yaml:3: endpoints[\"my web\"]: must be a name of 1 to 128 letters, digits, '.', '_' or '-', not 'my web'"
    ],
    EVEN + "seed: -1\nproxies: 0\nwarmup: ${WARMUP}\n": [
        "s.yaml:6: seed: must be at least 0, not -1",
        "s.yaml:7: proxies: must be at least 1, not 0",
        "s.yaml:8: warmup: the environment variable WARMUP is not set; set it, or write ${WARMUP:-default}",
    ],
}


@pytest.mark.parametrize(("text", "errors"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_mistakes_are_told_all_at_once_with_line_and_key(text: str, errors: list[str] | None) -> None:
    found = errors_of(text)
    if errors is None:
        assert len(found) == 1
    else:
        assert found == errors


PIECES = [None, True, -1, 0, 0.5, 1e9, "", "a", "1s", "50%", "poisson", [], ["a"], {}, {"at": 1}, [{"at": "1s"}]]


def places_in(data: Any) -> list[tuple[Any, Any]]:
    found = []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        found.append((data, key))
        if isinstance(value, dict | list):
            found += places_in(value)
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_written_is_a_scenario_or_a_mistake(data: st.DataObject) -> None:
    written = yaml.safe_load(WORLD.format(seed=1, proxies=2, until=3, what="slower: 2", batch=1, in_flight=0))
    for _ in range(data.draw(st.integers(1, 3))):
        places = places_in(written)
        holder, key = places[data.draw(st.integers(0, len(places) - 1))]
        holder[key] = copy.deepcopy(data.draw(st.sampled_from(PIECES)))
    text = yaml.safe_dump(written)
    told = ""
    try:
        scenario(text)
    except ConfigError as error:
        told = str(error)
    assert "must be another value than" not in told


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(Path("nowhere.yaml"))


def test_words_are_read_as_in_the_configuration() -> None:
    read = scenario(WORLD.format(seed=1, proxies=2, until=3, what="slower: 2", batch=1, in_flight=0))
    assert read.registry.delay == 0.1
    assert read.endpoints["b"].failures.errors == 0.05
    assert read.service.health.probe is not None
    assert read.service.health.probe.interval == 0.5
    assert read.events[0].endpoints == ("a-1", "b")
    assert read.events[1].endpoints == ("a",)


def test_variables_are_put_in() -> None:
    assert parse(EVEN + "seed: ${SEED}", name="s", environ={"SEED": "5"}).seed == 5


def test_what_the_command_line_says_is_checked_too() -> None:
    read = scenario(EVEN)
    assert changed(read, {}) is read
    altered = changed(read, {"seed": 4, "policies": ["random", {"type": "peak_ewma", "decay": 5}], "duration": 3.0})
    assert (altered.seed, altered.duration) == (4, 3.0)
    assert altered.policies[1].options == {"decay": 5}
    assert altered.endpoints == read.endpoints
    with pytest.raises(ConfigError, match="command line: policies\\[0\\]: there is no balancer 'nobody'"):
        changed(read, {"policies": ["nobody"]})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_those_in_bench_are_scenarios(path: Path) -> None:
    assert load(path).title
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


class TestSchema:
    def test_it_is_a_schema(self) -> None:
        Draft202012Validator.check_schema(schema())

    def test_it_takes_what_a_user_may_write(self) -> None:
        VALIDATOR.validate(
            yaml.safe_load(WORLD.format(seed=1, proxies=2, until=3, what="slower: 2", batch=1, in_flight=0))
        )

    @pytest.mark.parametrize(
        "text",
        [
            EVEN + "polices: [random]",
            EVEN.replace("10s", "ten"),
            EVEN.replace("even", "odd"),
            EVEN + "service: {guard: {}}",
            EVEN.replace("rate: 10,", "rate: '10',"),
            EVEN + "events: [{endpoints: a}]",
        ],
    )
    def test_it_refuses_mistakes(self, text: str) -> None:
        assert not VALIDATOR.is_valid(yaml.safe_load(text))

    def test_every_key_is_described(self) -> None:
        whole = schema()
        for definition in [whole, *whole["$defs"].values()]:
            for form in (definition, *definition.get("anyOf", ())):
                for key, value in form.get("properties", {}).items():
                    assert value.get("description") or "$ref" in value, key

    def test_defaults_are_as_a_user_writes_them(self) -> None:
        parts = schema()["$defs"]
        assert parts["Rollout"]["properties"]["drain"]["default"] == "5s"
        assert parts["Failures"]["properties"]["errors"]["default"] == "0%"
