"""Plots as SVG: lines over a scale, and bars. No more than a report needs; nothing is loaded from anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Told apart by those who see few colours, too (Okabe and Ito, "Color Universal Design", 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 10, 40
_DASHES = ("", "7 4", "2 3")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a name; it is broken where a point is missing. `place` chooses its colour, -1 for grey."""

    name: str
    points: Sequence[Point | None]
    place: int = 0
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the horizontal axis that something happened in."""

    begin: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where an axis goes, its ticks with their texts, and its title."""

    least: float
    most: float
    ticks: Sequence[tuple[float, str]]
    title: str
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1 within the axis."""
        if self.logarithmic:
            low, high = math.log(self.least), math.log(self.most)
            return (math.log(max(value, self.least)) - low) / (high - low)
        return (value - self.least) / (self.most - self.least)


def linear(values: Iterable[float], title: str, form: Callable[[float], str], pieces: int = 5) -> Axis:
    """Return an axis from 0 over all values, with round ticks that cut it into some so many pieces."""
    least = 0.0
    most = max([value for value in values if value > least], default=least + 1.0)
    step = _round_step((most - least) / pieces)
    count = max(1, math.ceil((most - least) / step - 1e-9))
    ticks = [(least + number * step, form(least + number * step)) for number in range(count + 1)]
    return Axis(least, least + count * step, ticks, title)


def logarithmic(values: Iterable[float], title: str, form: Callable[[float], str]) -> Axis:
    """Return an axis in powers of ten over all values above 0, with ticks at 1, 2 and 5 where there is room."""
    above = [value for value in values if value > 0]
    low, high = min(above, default=0.1), max(above, default=1.0)
    first = math.floor(math.log10(low) + 1e-9)
    last = max(math.ceil(math.log10(high) - 1e-9), first + 1)
    digits = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
    least = max((tick for tick in ticks if tick <= low * 1.0001), default=ticks[0])
    most = min((tick for tick in ticks if tick >= high * 0.9999), default=ticks[-1])
    if most <= least:
        most = least * 10
    kept = [tick for tick in ticks if least * 0.999 <= tick <= most * 1.001]
    return Axis(least, most, [(tick, form(tick)) for tick in kept], title, logarithmic=True)


def lines(
    series: Sequence[Line], across: Axis, up: Axis, *, bands: Sequence[Band] = (), width: int = 720, height: int = 300
) -> str:
    """Draw lines."""
    frame = _Frame(across, up, width, height)
    parts = [frame.open(), *frame.bands(bands), *frame.grid()]
    for line in series:
        colour = COLOURS[line.place % len(COLOURS)] if line.place >= 0 else "#999"
        dash = _DASHES[line.place // len(COLOURS) % len(_DASHES)] if line.place >= 0 else ""
        path = "".join(frame.path(line))
        parts.append(
            f'<path class="line" d="{path}" stroke="{colour}" stroke-dasharray="{dash}">'
            f"<title>{escape(line.name)}</title></path>"
        )
    return "".join([*parts, *frame.axes(), "</svg>"])


def bars(
    values: Sequence[tuple[str, float, bool]], up: Axis, *, width: int = 340, height: int = 220, place: int = 0
) -> str:
    """Draw a bar for each value; those with a mark stand out."""
    across = Axis(0, max(len(values), 1), [], "")
    frame = _Frame(across, up, width, height)
    parts = [frame.open(), *frame.grid()]
    colour = COLOURS[place % len(COLOURS)]
    for number, (name, value, marked) in enumerate(values):
        left, right = frame.x(number + 0.12), frame.x(number + 0.88)
        top, bottom = frame.y(value), frame.y(up.least)
        wide, high = max(right - left, 0.5), max(bottom - top, 0.0)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" '
            f'fill="{colour}" fill-opacity="{1 if marked else 0.45}"><title>{escape(name)}</title></rect>'
        )
        if len(values) <= 12 or marked:
            middle, base = frame.x(number + 0.5), height - _BOTTOM + 14
            weight = ' font-weight="600"' if marked else ""
            turned = f'transform="rotate(-35 {middle:.1f} {base})" text-anchor="end"'
            anchor = turned if len(values) > 4 else 'text-anchor="middle"'
            text = escape(name if len(name) <= 9 else f"{name[:8]}…")
            parts.append(f'<text x="{middle:.1f}" y="{base}" {anchor}{weight}>{text}</text>')
    return "".join([*parts, *frame.axes(), "</svg>"])


def legend(names: Sequence[tuple[str, int]]) -> str:
    """Write which colour is whose."""
    entries = []
    for name, place in names:
        colour = COLOURS[place % len(COLOURS)] if place >= 0 else "#999"
        entries.append(f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>')
    return f'<p class="legend">{"".join(entries)}</p>'


class _Frame:
    """Where things lie in a plot."""

    def __init__(self, across: Axis, up: Axis, width: int, height: int) -> None:
        self._across, self._up = across, up
        self._width, self._height = width, height

    def x(self, value: float) -> float:
        return _LEFT + self._across.place(value) * (self._width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = min(max(self._up.place(value), 0.0), 1.0)
        return self._height - _BOTTOM - share * (self._height - _TOP - _BOTTOM)

    def open(self) -> str:
        title = escape(self._up.title)
        return f'<svg viewBox="0 0 {self._width} {self._height}" role="img" aria-label="{title}">'

    def bands(self, bands: Sequence[Band]) -> Iterable[str]:
        for band in bands:
            left = self.x(max(band.begin, self._across.least))
            right = self.x(min(band.end, self._across.most))
            if right > left:
                yield (
                    f'<rect class="band" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" '
                    f'height="{self._height - _TOP - _BOTTOM}"><title>{escape(band.text)}</title></rect>'
                )

    def grid(self) -> Iterable[str]:
        for value, text in self._up.ticks:
            y = self.y(value)
            yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{self._width - _RIGHT}"/>'
            yield f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for value, text in self._across.ticks:
            x = self.x(value)
            yield f'<path class="grid" d="M{x:.1f} {_TOP}V{self._height - _BOTTOM}"/>'
            yield f'<text x="{x:.1f}" y="{self._height - _BOTTOM + 16}" text-anchor="middle">{escape(text)}</text>'

    def axes(self) -> Iterable[str]:
        base = self._height - _BOTTOM
        yield f'<path class="axis" d="M{_LEFT} {_TOP}V{base}H{self._width - _RIGHT}"/>'
        if self._across.title:
            middle = (_LEFT + self._width - _RIGHT) / 2
            yield f'<text x="{middle}" y="{self._height - 5}" text-anchor="middle">{escape(self._across.title)}</text>'

    def path(self, line: Line) -> Iterable[str]:
        pen_up, height = True, 0.0
        for point in line.points:
            if point is None:
                pen_up = True
                continue
            x, y = self.x(point[0]), self.y(point[1])
            if line.steps and not pen_up:
                yield f"L{x:.1f} {height:.1f}"
            yield f"{'M' if pen_up else 'L'}{x:.1f} {y:.1f}"
            pen_up, height = False, y


def _round_step(step: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next((digit * power for digit in (1.0, 2.0, 5.0) if digit * power >= step * 0.999), 10 * power)
