"""The tables of the page: ours against the best peers, the numbers under a chart, machines.

In: points, machine files. Out: HTML text. A ratio is that of `verdicts.py`, inside one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from tilewright.talk import drawing, verdicts
from tilewright.talk.figures import Point
from tilewright.talk.verdicts import KINDS, Verdict

FEW = 4
"""So many verdicts are sentences; more of them are a table."""
AGAINST = (
    "Times as fast as the best peer that is no less precise: the median over rounds, quartiles in "
    "brackets."
)


def against(points: Sequence[Point]) -> str:
    """A row a case, a column a precision; where there are few, or only one precision, sentences."""
    found = verdicts.verdicts(points)
    kinds = [kind for kind in KINDS if any(kind == of for _, of in found)]
    if len(found) <= FEW or len(kinds) == 1:
        return items("found", verdicts.sentences(points))
    rows = [
        row("td", [escape(case), *(_verdict(found.get((case, kind))) for kind in kinds)], left=9)
        for case in dict.fromkeys(case for case, _ in found)
    ]
    head = row("th", ["", *(KINDS[kind] for kind in kinds)], left=9)
    return (
        f'<p class="soft">{escape(AGAINST)}</p><div class="scroll">'
        f'<table class="fit">{head}{"".join(rows)}</table></div>'
    )


def _verdict(found: Verdict | None) -> str:
    if found is None:
        return ""
    said = "; ".join(filter(None, [found.words, found.unlike]))
    words = f"; {said}" if said else ""
    ratio = found.ratio
    return (
        f"<strong>{ratio.value:.2f} ×</strong> "
        f"<span class=whole>({ratio.low:.2f}–{ratio.high:.2f})</span> "
        f"<small>{escape(found.peer.who + words)}</small>"
    )


def numbers(points: Sequence[Point]) -> str:
    """All that is behind a chart; how many times as fast ours is beside what was in its run."""
    extra = list(dict.fromkeys(name for p in points for name in p.more))
    head = ["of", "by", "value", "quartiles", "kind", "ours is", *extra]
    rows = []
    for p in points:
        cells = [escape(p.case), escape(p.who), drawing.shown(p.figure.value, p.figure.unit)]
        cells += [_quartiles(p), p.figure.kind, _times(p, points)]
        cells += [cell(p.more.get(name)) for name in extra]
        rows.append(row("td", cells))
    sources = dict.fromkeys(p.figure.source for p in points if p.figure.source)
    note = f'<p class="soft">Sources: {escape("; ".join(sources))}.</p>' if sources else ""
    return (
        f'<details><summary>The numbers</summary><div class="scroll"><table>{row("th", head)}'
        f"{''.join(rows)}</table></div>{note}</details>"
    )


def _times(p: Point, points: Sequence[Point]) -> str:
    """Ours against a peer of the same run, in its precision or, said, in another."""
    if p.who.startswith(verdicts.OURS) or not p.figure.run:
        return ""
    here = [q for q in points if q.figure.run == p.figure.run]
    kind = verdicts.kind_of(p.who)
    mine = verdicts.ours(here, kind, p.more.get("error"))
    if mine is None:
        return ""
    found = Verdict(kind, mine, p, verdicts.times_as_fast(mine.figure, p.figure))
    return f"{found.ratio.value:.2f} ×{f' ({found.unlike})' * bool(found.unlike)}"


def _quartiles(p: Point) -> str:
    if len(p.figure.rounds) < 3:
        return ""
    low, high = np.nanpercentile(p.figure.rounds, [25, 75])
    return f"{drawing.shown(float(low), '').strip()}–{drawing.shown(float(high), '').strip()}"


def machines() -> str:
    """Parallelism, memory and bandwidth of processors, computed from their files."""
    from tilewright.machine import machine, names
    from tilewright.report.machines import overview

    found = overview({name: machine(name) for name in names()})
    rows = (row("td", [_named(name), *map(escape, cells)]) for name, *cells in found.rows)
    notes = "".join(f"<li>{escape(note)}.</li>" for note in found.notes)
    table = f'<table class="fit">{row("th", list(found.columns))}{"".join(rows)}</table>'
    return f'<div class="scroll">{table}</div><ul class="soft">{notes}</ul>'


def _named(machine: str) -> str:
    """What it is asked for by, and its name on a line of its own."""
    asked, _, name = machine.removesuffix(")").partition(" (")
    return f"{escape(asked)}<br><small>{escape(name)}</small>"


def cell(value: Any) -> str:
    """Three digits, or all before the point; words as they are."""
    if value is None:
        return ""
    if not isinstance(value, float | int):
        return escape(str(value))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def row(kind: str, cells: Sequence[str], left: int = 2) -> str:
    """Of a table; the first `left` cells are words."""
    tags = (f"<{kind}{' class=left' * (i < left)}>{text}</{kind}>" for i, text in enumerate(cells))
    return f"<tr>{''.join(tags)}</tr>"


def items(kind: str, lines: Sequence[str]) -> str:
    """A list of sentences, or nothing."""
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{listed}</ul>' if listed else ""
