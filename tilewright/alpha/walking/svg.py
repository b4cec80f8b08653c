"""Small figures as SVG text: they scale to a telephone, and weigh nothing.

In: numbers. Out: one `<svg>` each, 640 units wide; text is set by the style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 84, 8, 10, 26
INK, GRID = "#1f2933", "#e4e9ee"
MOST_POINTS = 320
"""Of a line: more than the width shows nothing more."""
DATES = 4
"""Labels below lines: on a telephone they leave no room for more."""
APART = 0.8
"""Between groups of bars, in bars."""
TICKS, STEPS = 5, (1, 2, 2.5, 5, 10)
"""At most, of a vertical scale; and round steps, times a power of ten."""


def lines(
    dates: Sequence[str],
    series: Mapping[str, tuple[np.ndarray, str]],
    label: str,
    bands: Sequence[tuple[np.ndarray, np.ndarray, str]] = (),
    dots: np.ndarray | None = None,
    height: int = 240,
) -> str:
    """Lines over dates, each `(values, colour)` by name, over bands `(low, high, colour)`."""
    kept = np.unique(np.linspace(0, len(dates) - 1, MOST_POINTS).astype(int))
    values = [v for v, _ in series.values()] + [side for b in bands for side in b[:2]]
    values += [] if dots is None else [dots]
    plot = _Plot(np.concatenate(values), height)
    x = LEFT + (WIDTH - LEFT - RIGHT) * kept / max(len(dates) - 1, 1)
    parts = [plot.axis()]
    for low, high, colour in bands:
        there = [*zip(x, plot.y(low[kept]), strict=True)]
        back = [*zip(x, plot.y(high[kept]), strict=True)][::-1]
        parts.append(f'<polygon points="{_points(there + back)}" fill="{colour}"/>')
    for values, colour in (pair for pair in series.values()):
        points = _points(zip(x, plot.y(values[kept]), strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" '
                     'stroke-width="2"/>')  # fmt: skip
    for place, value in () if dots is None else zip(x, plot.y(dots[kept]), strict=True):
        parts.append(f'<circle cx="{place:.1f}" cy="{value:.1f}" r="2" fill="{INK}"/>')
    marked = np.unique(np.linspace(0, len(dates) - 1, DATES).astype(int))
    months = len({dates[i][:7] for i in marked}) == len(marked)
    for i in marked:
        place = LEFT + (WIDTH - LEFT - RIGHT) * i / max(len(dates) - 1, 1)
        anchor = "start" if i == 0 else "end" if i == len(dates) - 1 else "middle"
        day = dates[i][:7] if months else dates[i][-5:]
        parts.append(_text(place, height - 6, day, anchor))
    return _svg(parts, height, label) + legend({n: c for n, (_, c) in series.items()})


def bars(
    names: Sequence[str],
    values: np.ndarray,
    label: str,
    colours: Sequence[str],
    errors: np.ndarray | None = None,
    height: int = 240,
    line: float | None = None,
    low: float | None = None,
    group: int = 1,
) -> str:
    """A bar each, from 0 or from `low`, with an error; a dotted line at `line`.

    So many bars as are a `group` stand together over one name.
    """
    spread = 0.0 if errors is None else np.nan_to_num(errors)
    ends = np.concatenate([np.ravel(values - spread), np.ravel(values + spread)])
    zero = 0.0 if low is None else low
    plot = _Plot(np.append(ends, [zero] + ([] if line is None else [line])), height)
    gap = APART if group > 1 else 0.0
    room = (WIDTH - LEFT - RIGHT) / (len(values) + gap * len(names))
    parts = [plot.axis()]
    base = float(plot.y(np.array(zero)))
    for i, value in enumerate(values):
        place = i + gap * (i // group + 0.5)
        x, y = LEFT + room * (place + 0.15), float(plot.y(np.array(value)))
        if np.isfinite(value):
            parts.append(
                f'<rect x="{x:.1f}" y="{min(y, base):.1f}" width="{0.7 * room:.1f}" '
                f'height="{abs(y - base):.1f}" fill="{colours[i % len(colours)]}"/>'
            )
        middle = LEFT + room * (place + 0.5)
        if errors is not None and np.isfinite(errors[i]):
            a, b = plot.y(np.array([value - errors[i], value + errors[i]]))
            parts.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{a:.1f}" y2="{b:.1f}" '
                         f'stroke="{INK}" stroke-width="1.5"/>')  # fmt: skip
    for i, name in enumerate(names):
        if name:
            middle = LEFT + room * (group + gap) * (i + 0.5)
            parts.append(_text(middle, height - 6, name, "middle"))
    if plot.low < zero < plot.high:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}" '
                     f'stroke="{INK}"/>')  # fmt: skip
    if line is not None:
        y = float(plot.y(np.array(line)))
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                     f'stroke="{INK}" stroke-dasharray="3 4"/>')  # fmt: skip
    return _svg(parts, height, label)


def legend(colours: Mapping[str, str]) -> str:
    """Names in their colours, in the page's text."""
    items = (f'<span style="--c:{c}">{escape(name)}</span>' for name, c in colours.items())
    return f'<p class="legend">{"".join(items)}</p>'


class _Plot:
    """A vertical scale for some values."""

    def __init__(self, values: np.ndarray, height: int):
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        pad = 0.05 * (high - low) or 0.5
        self.low, self.high, self.height = low - pad, high + pad, height

    def y(self, values: np.ndarray) -> np.ndarray:
        share = (np.nan_to_num(values) - self.low) / (self.high - self.low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def ticks(self) -> list[str]:
        """Round numbers, as they are written."""
        least = (self.high - self.low) / TICKS
        power = math.floor(math.log10(least))
        factor = next(f for f in STEPS if f * 10.0**power >= least * (1 - 1e-9))
        step, digits = factor * 10.0**power, max(0, (factor == 2.5) - (factor == 10) - power)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [f"{i * step:z.{digits}f}" for i in range(first, last + 1)]

    def axis(self) -> str:
        parts = []
        for text in self.ticks():
            y = float(self.y(np.array(float(text))))
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                         f'stroke="{GRID}"/>')  # fmt: skip
            parts.append(_text(LEFT - 6, y + 4, text, "end"))
        return "".join(parts)


def _points(pairs: object) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)  # type: ignore[attr-defined]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: int, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
