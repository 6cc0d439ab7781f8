"""The tables and the page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.service import Balancer
from proxy.simulate import plots, table
from proxy.simulate.report import page
from proxy.simulate.results import Report, quantile, simulate
from tests.proxy.simulate.test_engine import WORLD
from tests.proxy.simulate.worlds import EVEN, scenario

# Whoever is slow is much too slow for what comes.
SLOW = EVEN.replace("b: {service_time: 50ms}", "b: {service_time: 500ms}") + "title: Slow & <steady>\n"


@pytest.fixture(scope="module")
def report() -> Report:
    policies = [Balancer(type="round_robin"), Balancer(type="least_request", options={"choices": 2})]
    return simulate(scenario(SLOW), policies)


class TestTables:
    def test_a_row_for_each_policy(self, report: Report) -> None:
        lines = table.tables(report).splitlines()
        assert lines[:2] == ["Slow & <steady>", "10s of virtual time, 2 endpoints, 1 proxy, seed 1"]
        head = lines[3].split()
        assert head == list(table.HEAD)
        rows = {line.split("  ")[0]: re.split(" {2,}", line) for line in lines[4:6]}
        assert rows["round_robin"][1:8] == ["100", "275 ms", "50.0 ms", "500 ms", "500 ms", "500 ms", "500 ms"]
        assert rows["least_request choices=2"][1] == "100"

    def test_a_row_for_each_endpoint(self, report: Report) -> None:
        found = list(table.endpoint_rows(report))
        assert [row[0] for row in found] == ["a", "b"]
        assert re.fullmatch(r"50\.0%, 2\.4\d \(3\)", found[1][1])  # five a second, half a second each

    def test_how_far_they_lie_apart(self, report: Report) -> None:
        (told,) = map(table.sentence, report.comparisons)
        assert re.match(r"least_request choices=2 against round_robin: mean [\d.]+ times lower, p50 the same", told)

    def test_errors_are_told_with_their_kinds(self) -> None:
        text = EVEN + "service: {retries: {attempts: 0}}\nevents: [{at: 0s, endpoints: a, failures: {resets: 100%}}]\n"
        found = simulate(scenario(text), [Balancer(type="round_robin"), Balancer(type="random")])
        written = table.tables(found)
        assert "errors of round_robin: reset 5" in written
        assert re.search("errors .*% (instead of 5.00%|as well)", written)
        assert found.outcomes[0].failed_share == 0.05

    def test_of_many_endpoints_a_group_has_one_row(self) -> None:
        text = EVEN.replace("  a: {", "  a: {count: 30, ") + "events: [{at: 1s, endpoints: [a-7, b], slower: 2}]\n"
        found = simulate(scenario(text), [Balancer(type="random")])
        assert [row[0] for row in table.endpoint_rows(found)] == ["a, each of 30", "b", "a-7"]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(None, "-"), (0.0, "0 s"), (0.0000123, "12.3 µs"), (0.001, "1.00 ms"), (0.99996, "1.00 s"), (123.4, "123 s")],
    )
    def test_times_have_three_digits(self, seconds: float | None, text: str) -> None:
        assert table.duration(seconds) == text

    @pytest.mark.parametrize(
        ("ratio", "text"),
        [
            (1.04, "the same"),
            (0.5, "2 times lower"),
            (0.001, "1000 times lower"),
            (8.25, "8.25 times higher"),
            (0.0, "none at all"),
        ],
    )
    def test_a_ratio_in_words(self, ratio: float, text: str) -> None:
        assert table.apart(ratio) == text


class TestFigures:
    def test_quantiles_are_by_nearest_rank(self) -> None:
        assert quantile([], 0.5) is None
        hundred = [float(number) for number in range(1, 101)]
        assert [quantile(hundred, share) for share in (0, 0.5, 0.99, 0.999, 1)] == [1, 50, 99, 100, 100]

    def test_the_figures_as_json(self, report: Report) -> None:
        found = json.loads(report.as_json())
        one = found["policies"][0]
        assert found["title"] == "Slow & <steady>"
        assert one["policy"] == "round_robin"
        assert one["latency"]["p50"] == 0.05
        assert one["latency"]["p999"] == 0.5
        assert one["endpoints"][1]["share"] == 0.5
        assert one["endpoints"][1]["most_queue"] == 3
        assert one["errors"] == {}
        assert found["comparisons"][0]["against"] == "round_robin"
        assert len(one["timeline"]["ends"]) == len(one["timeline"]["p99"]) == len(one["timeline"]["queues"])


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


class TestPage:
    def test_it_needs_nothing_else(self, report: Report) -> None:
        tags = _Tags()
        tags.feed(page(report))
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.found}
        assert not any({"src", "href"} & attributes.keys() for _, attributes in tags.found)

    def test_it_has_all_plots_and_each_is_whole(self, report: Report) -> None:
        written = page(report)
        drawn = re.findall("<svg.*?</svg>", written)
        for one in drawn:
            ET.fromstring(one)
        titles = re.findall("<h2>(.*?)</h2>", written)
        assert titles == [
            "By how much", "What happens", "Latency by quantile", "Latency over time", "Queues over time",
            "How often an endpoint has so many requests or more", "Share of the requests by endpoint", "Endpoints",
        ]  # fmt: skip
        assert len(drawn) == 1 + 2 + 2 + 1 + 2
        assert not re.search(r"\bnan\b|\binf\b|None", "".join(drawn))

    def test_what_is_written_by_hand_stays_text(self, report: Report) -> None:
        assert "<h1>Slow &amp; &lt;steady&gt;</h1>" in page(report)

    def test_errors_events_and_health_are_told(self) -> None:
        text = WORLD.format(seed=1, proxies=2, until=3, what="down: true", batch=1, in_flight=0)
        written = page(simulate(scenario(text), [Balancer(type="first"), Balancer(type="random")]))
        assert "<h2>Errors a second</h2>" in written
        assert "1s to 3s: a-1, b down" in written
        assert "from 4s: rolling restart of a, 1 at a time" in written
        assert "connection refused" in written
        for one in re.findall("<svg.*?</svg>", written):
            ET.fromstring(one)

    def test_of_nothing_but_errors_there_is_a_page_too(self) -> None:
        text = EVEN + "events: [{at: 0s, endpoints: [a, b], down: true}]\n"
        found = simulate(scenario(text), [Balancer(type="first"), Balancer(type="random")])
        assert found.outcomes[0].answered == 0
        assert found.outcomes[0].latency.p99 is None
        assert "100.0%" in table.tables(found)
        assert "<h2>Errors a second</h2>" in page(found)


class TestPlots:
    @given(st.lists(st.floats(1e-6, 1e6), min_size=1))
    def test_axes_hold_all_values_between_round_ticks(self, values: list[float]) -> None:
        for axis in (plots.linear(values, "", str), plots.logarithmic(values, "", str)):
            assert 2 <= len(axis.ticks) <= 20
            for value in values:
                assert -1e-3 <= axis.place(value) <= 1 + 1e-3
            assert [tick for tick, _ in axis.ticks] == sorted({tick for tick, _ in axis.ticks})

    def test_a_line_is_broken_where_a_point_is_missing(self) -> None:
        axis = plots.linear([1.0], "", str)
        line = plots.Line("a", [(0.0, 0.0), (0.2, 0.5), None, (0.6, 1.0), (1.0, 1.0)])
        drawn = plots.lines([line], axis, axis)
        (path,) = re.findall('class="line" d="([^"]*)"', drawn)
        assert path.count("M") == 2
        assert path.count("L") == 2
