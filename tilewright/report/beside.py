"""Two runs side by side on one page: before and after, two machines, measured and modelled.

In: two `Side`s, of a modelled run (`Modelled.report(path, beside=...)`) or of one that was measured
here (`Executable.profile(...)`). Out: HTML that needs nothing else; narrow screens have one side
below the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tilewright.frozen import frozen
from tilewright.report.html import document, swatches, table
from tilewright.report.page import COLOURS

STYLE = """
body { max-width: 84rem } th { white-space: normal; vertical-align: bottom }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem }
.two > div { min-width: 0 } @media (max-width: 50rem) { .two { grid-template-columns: 1fr } }
"""


OUTSIDE = "#c9ccd1"
"""Of what is none of a program's own: the call, threads that wake, other processes."""


@frozen
class Side:
    """`kinds` are seconds by what they are spent on, of `seconds` in all; `more` further figures in
    words; `rows` a table of supersteps as HTML."""

    name: str
    said: str
    seconds: float
    kinds: Mapping[str, float]
    more: Mapping[str, str]
    rows: str


def beside_page(one: Side, other: Side) -> str:
    """What differs first, then each."""
    title = f"{one.name} beside {other.name}"
    longest = max(one.seconds, other.seconds) or 1.0
    sides = "".join(
        f"<div><h2>{escape(side.name)}</h2><p>{escape(side.said)}</p>{_bar(side, longest)}"
        f"{side.rows}</div>"
        for side in (one, other)
    )
    return document(
        title, f"<h1>{escape(title)}</h1>{_figures(one, other)}{swatches(COLOURS)}"
        f'<div class="two">{sides}</div>', STYLE,
    )  # fmt: skip


def _figures(one: Side, other: Side) -> str:
    rows = [["time", _micros(one.seconds), _micros(other.seconds), _ratio(one, other)]]
    for kind in dict.fromkeys((*one.kinds, *other.kinds)):
        mine, theirs = (side.kinds.get(kind) for side in (one, other))
        cells = ("" if s is None else _micros(s) for s in (mine, theirs))
        share = f"{theirs / mine:.2f}" if mine and theirs is not None else ""
        rows.append([f"· {kind}", *cells, share])
    for name in dict.fromkeys((*one.more, *other.more)):
        rows.append([name, *(escape(side.more.get(name, "")) for side in (one, other)), ""])
    return table(["", escape(one.name), escape(other.name), "second / first"], rows)


def _ratio(one: Side, other: Side) -> str:
    return f"{other.seconds / one.seconds:.2f}" if one.seconds else ""


def _micros(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs"


def _bar(side: Side, longest: float) -> str:
    """To the scale of the longer of both."""
    at, found = 0.0, []
    for kind, seconds in side.kinds.items():
        wide = 1000 * seconds / longest
        found.append(
            f'<rect x="{at:.1f}" y="0" width="{wide:.1f}" height="26" '
            f'fill="{COLOURS.get(kind, OUTSIDE)}"><title>{kind}: {_micros(seconds)}</title></rect>'
        )
        at += wide
    return f'<svg viewBox="0 0 1000 26" preserveAspectRatio="none">{"".join(found)}</svg>'
