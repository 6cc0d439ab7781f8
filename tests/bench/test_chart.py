import xml.etree.ElementTree as ET

import pytest

from bench.chart import chart, place
from bench.report import Result
from bench.workloads import WORKLOADS
from tests.bench.test_report import DRIFTING, sample

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*results: Result) -> ET.Element:
    return ET.fromstring(chart(list(results)))


def test_every_workload_has_a_row_and_every_peer_a_mark():
    picture = drawn(
        Result(WORKLOADS[0], DRIFTING), Result(WORKLOADS[1], [sample(1, "pointsman", 10), sample(1, "caddy", 80)])
    )

    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert WORKLOADS[0].title in texts
    assert WORKLOADS[1].title in texts
    tips = [title.text for path in picture.iter(f"{SVG}path") for title in path]
    assert tips == ["nginx: 1.20 (1.10 to 1.30)", "caddy: 0.12 (0.12 to 0.12)"]


def test_it_reads_in_light_and_in_dark():
    [style] = drawn().iter(f"{SVG}style")

    assert style.text is not None
    light, dark = style.text.split("@media (prefers-color-scheme: dark)")
    for name in ("ink", "paper", "nginx", "haproxy", "envoy", "traefik", "caddy"):
        assert f".{name} " in light
        assert f".{name} " in dark


def test_workload_that_failed_has_a_row_without_marks():
    picture = drawn(Result(WORKLOADS[0], [], {"nginx": "it ended"}))

    assert WORKLOADS[0].title in [element.text for element in picture.iter(f"{SVG}text")]
    assert not [title for path in picture.iter(f"{SVG}path") for title in path]


def test_scale_is_that_of_ratios():
    assert place(2) - place(1) == pytest.approx(place(1) - place(0.5))


@pytest.mark.parametrize("ratio", [-3.0, 0.0, 1e-9])
def test_ratio_beyond_the_axis_stays_at_its_end(ratio):
    assert place(ratio) == place(1 / 16)
    assert place(1000.0) == place(8)
