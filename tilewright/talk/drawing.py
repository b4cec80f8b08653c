"""Charts as HTML and SVG text: bars whose hatching says the kind, and latency against throughput.

They need no script, scale to a telephone, and differ in grey: by pattern, dash and mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tilewright.talk.figures import KINDS, Point
from tilewright.talk.scales import scales
from tilewright.talk.verdicts import OURS, cases, kind_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 80, 14, 34, 54
DASHES = ("", "7 4", "2 4", "10 3 2 3", "1 3", "12 4")
SHADES = ("#0b6e99", "#3d93b8", "#7bb8d1", "#a9d2e2", "#123f66")
OTHERS = ("#4a4f57", "#a65e1c", "#7d7f2a", "#77467f", "#9a9fa8", "#b03a4a")
MARKS = "osd^v"


def bars(points: Sequence[Point]) -> str:
    """A group a case, a bar a contender; under them, what their lengths stand for (`scales`)."""
    drawn = scales(points)
    parts = []
    for case in cases(points):
        parts.append(f'<h4>{escape(case)}</h4><div class="bars" role="list">')
        parts += [_bar(p, drawn.share(p)) for p in points if p.case == case]
        parts.append("</div>")
    notes = f'<p class="soft">{escape(" ".join(drawn.notes))}</p>' if drawn.notes else ""
    return "".join(parts) + notes


def _bar(p: Point, share: float) -> str:
    names = [p.figure.kind, *["ours"] * p.who.startswith(OURS), *["cut"] * (share > 1)]
    return (
        f'<div role="listitem" title="{escape(_title(p))}"><span>{escape(p.who)}</span>'
        f'<i><b class="{" ".join(names)}" style="width:{100 * min(share, 1):.2f}%"></b></i>'
        f"<em>{escape(shown(p.figure.value, p.figure.unit))}</em></div>"
    )


def scatter(points: Sequence[Point]) -> str:
    """Windows a second (right is more) and the latency of a call (up is longer), both by tens."""
    able = [p for p in points if p.more.get("windows/s")]
    if not able:
        return ""
    xs = [p.more["windows/s"] for p in able]
    ys = [p.figure.value for p in able]
    x, y = _Scale(xs, LEFT, WIDTH - RIGHT), _Scale(ys, HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y)]
    names = list(dict.fromkeys(p.who for p in able))
    styles, order = _styles(names), cases(able)
    for who in names:
        colour, dash, mark = styles[who]
        mine = sorted((p for p in able if p.who == who), key=lambda p: order.index(p.case))
        places = [(x(p.more["windows/s"]), y(p.figure.value), p) for p in mine]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in places)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        parts += [_mark(mark, a, b, colour, _title(p)) for a, b, p in places]
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Latency against throughput">{"".join(parts)}</svg>'
    )
    return svg + _legend(names, styles, able)


def kinds() -> str:
    """What each way of drawing a bar means."""
    items = (
        f'<li><b class="{kind}"></b><strong>{kind}</strong>: {escape(words)}</li>'
        for kind, words in KINDS.items()
        if kind != "claimed"
    )
    return f'<ul class="kinds">{"".join(items)}</ul>'


def shown(value: float, unit: str) -> str:
    """Three figures, and a unit that suits them."""
    if unit == "s" and value >= 7200:
        return f"{value / 3600:,.1f} h"
    if unit == "s" and value >= 120:
        return f"{value / 60:,.1f} min"
    if unit == "ms" and value < 0.1:
        return f"{value * 1e3:.3g} µs"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _title(p: Point) -> str:
    source = f" ({p.figure.source})" if p.figure.source else ""
    return f"{p.who}, {p.case}: {shown(p.figure.value, p.figure.unit)}, {p.figure.kind}{source}"


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, dashes and mark: ours in blues, others in browns and greys."""
    found = {}
    count = [0, 0]
    for name in names:
        mine = name.startswith(OURS)
        i = count[mine]
        count[mine] += 1
        shade = (SHADES if mine else OTHERS)[i % (len(SHADES) if mine else len(OTHERS))]
        found[name] = (shade, DASHES[i % len(DASHES)], MARKS[(i + (0 if mine else 1)) % len(MARKS)])
    return found


def _legend(
    names: Sequence[str], styles: dict[str, tuple[str, str, str]], points: Sequence[Point]
) -> str:
    """With the error of each beside its name."""
    items = []
    for name in names:
        colour, dash, mark = styles[name]
        errors = [p.more["error"] for p in points if p.who == name and p.more.get("error")]
        error = (
            f", error {max(errors):.2g}" if errors and (kind_of(name) or max(errors) > 1e-4) else ""
        )
        items.append(
            f'<span><svg viewBox="0 0 34 10" aria-hidden="true"><line x1="0" x2="34" y1="5" y2="5" '
            f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
            f"{_mark(mark, 17, 5, colour, name)}</svg>{escape(name + error)}</span>"
        )
    return f'<p class="legend">{"".join(items)}</p>'


def _mark(kind: str, x: float, y: float, colour: str, title: str) -> str:
    r = 4.5
    shapes = {
        "o": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"',
        "s": f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"',
        "d": f'<path d="M{x:.1f} {y - r:.1f}l{r} {r}l-{r} {r}l-{r} -{r}z"',
        "^": f'<path d="M{x:.1f} {y - r:.1f}l{r} {2 * r}h-{2 * r}z"',
        "v": f'<path d="M{x:.1f} {y + r:.1f}l{r} -{2 * r}h-{2 * r}z"',
    }  # fmt: skip
    ends = {"o": "circle", "s": "rect", "d": "path", "^": "path", "v": "path"}
    return f'{shapes[kind]} fill="{colour}"><title>{escape(title)}</title></{ends[kind]}>'


class _Scale:
    """Powers of ten from one place to another."""

    def __init__(self, values: Sequence[float], start: float, end: float):
        self.low = math.log10(min(values)) - 0.1
        self.high = math.log10(max(values)) + 0.1
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        found = [10.0**p for p in powers if self.low <= p <= self.high]
        if len(found) < 3:
            found = [
                k * 10.0**p
                for p in powers
                for k in (1, 2, 5)
                if self.low <= math.log10(k * 10.0**p) <= self.high
            ]
        return found


def _axes(x: _Scale, y: _Scale) -> str:
    parts = []
    for value in x.ticks():
        place = x(value)
        parts.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" '
                     f'y2="{HEIGHT - BOTTOM}"/>')  # fmt: skip
        parts.append(_text(place, HEIGHT - BOTTOM + 20, f"{value:,g}", "middle"))
    for value in y.ticks():
        place = y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" '
                     f'y2="{place:.1f}"/>')  # fmt: skip
        parts.append(_text(LEFT - 6, place + 4, f"{value:,g}", "end"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, "windows a second", "middle"))
    parts.append(_text(4, 20, "ms a call (median)", "start"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
