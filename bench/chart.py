"""The ratios as a picture: a row for each workload, and on it a mark for each peer."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.contenders import OURS, PROXIES
from bench.report import Result
from bench.workloads import Figure

_LEFT, _RIGHT, _TOP, _ROW, _WIDTH = 440, 30, 70, 26, 960
_LOW, _HIGH = 1 / 16, 8.0
"""What the axis shows at least; further out a mark stays at its end."""

_TITLE = f"What {OURS} takes, as a multiple of what each peer takes"

# Colours that tell each other apart on white and on black, and to those who see few; the shapes say the same.
_STYLE = """\
.ink { fill: #1f2328; } .soft { fill: #59636e; } .grid { stroke: #d1d9e0; } .one { stroke: #1f2328; }
.nginx { fill: #1a7f37; } .haproxy { fill: #0969da; } .envoy { fill: #bf3989; } .traefik { fill: #bc4c00; }
.caddy { fill: #6e7781; } .paper { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
.ink { fill: #e6edf3; } .soft { fill: #9198a1; } .grid { stroke: #3d444d; } .one { stroke: #e6edf3; }
.nginx { fill: #3fb950; } .haproxy { fill: #58a6ff; } .envoy { fill: #f778ba; } .traefik { fill: #f0883e; }
.caddy { fill: #b1bac4; } .paper { fill: #0d1117; }
}"""

_SHAPES = {
    "nginx": "M-5,-5h10v10h-10z",
    "haproxy": "M0,-6a6,6 0 1,0 0.01,0z",
    "envoy": "M0,-7l7,7l-7,7l-7,-7z",
    "traefik": "M0,-6l6.5,11h-13z",
    "caddy": "M0,6l6.5,-11h-13z",
}


def chart(results: Sequence[Result]) -> str:
    """An SVG document that reads in light and in dark."""
    height = _TOP + _ROW * len(results) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<title>{_TITLE}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        f'<text class="ink" x="20" y="24">{_TITLE}: left of 1 {OURS} takes less</text>',
    ]
    parts += _legend()
    parts += _axis(height)
    for row, result in enumerate(results):
        parts += _marks(result, _TOP + _ROW * row + _ROW // 2)
    return "\n".join([*parts, "</svg>", ""])


def place(ratio: float) -> float:
    """Where a ratio is from left to right, on a logarithmic scale."""
    within = min(max(ratio, _LOW), _HIGH)
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(within / _LOW) / math.log(_HIGH / _LOW)


def _legend() -> list[str]:
    parts = []
    for number, peer in enumerate(name for name in PROXIES if name in _SHAPES):
        x = _LEFT + number * 100
        parts.append(f'<path class="{peer}" transform="translate({x},44)" d="{_SHAPES[peer]}"/>')
        parts.append(f'<text class="ink" x="{x + 12}" y="49">{peer}</text>')
    return parts


def _axis(height: int) -> list[str]:
    parts = []
    for power in range(-4, 4):
        x, shown = place(2.0**power), f"1/{2**-power}" if power < 0 else f"{2**power}"
        kind = "one" if power == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - 32}"/>')
        parts.append(f'<text class="soft" x="{x:.1f}" y="{height - 14}" text-anchor="middle">{shown}</text>')
    return parts


def _marks(result: Result, y: int) -> list[str]:
    what = {Figure.CPU: "", Figure.MEMORY: " (memory)"}.get(result.workload.figure, " (time)")
    parts = [f'<text class="ink" x="20" y="{y + 4}">{escape(result.workload.title + what)}</text>']
    for peer, summary in result.summaries().items():
        if summary.ratio is None or peer not in _SHAPES:
            continue
        ratio = summary.ratio
        tip = f"{peer}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        parts.append(
            f'<path class="{peer}" transform="translate({place(ratio.median):.1f},{y})" d="{_SHAPES[peer]}">'
            f"<title>{escape(tip)}</title></path>"
        )
    return parts
