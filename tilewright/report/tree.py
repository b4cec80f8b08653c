"""A modelled run as a tree: loops, what is in them, and what each takes.

In: supersteps in order, each with the loops around it. Out: HTML whose branches open and close by
themselves, without a script; those where most of the time goes are open.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from tilewright.simulate.outcome import Superstep

OPEN = 0.5
"""A branch with such a part of all cycles is open at first."""
SMALL, MANY = 1e-3, 3
"""Parts of all cycles below which so many supersteps in a row are folded into one line."""


def tree(rows: Sequence[Superstep]) -> str:
    total = sum(row.cycles * row.times for row in rows) or 1.0
    return f'<div class="tree">{_branches(list(enumerate(rows)), 0, total)}</div>'


def _branches(rows: Sequence[tuple[int, Superstep]], depth: int, total: float) -> str:
    """`depth` loops are around all of the rows; neighbours with one more in common are a branch."""
    found = []
    for label, group in groupby(rows, lambda row: (*row[1].inside, "")[depth]):
        inner = list(group)
        found.append(_branch(label, inner, depth, total) if label else _leaves(inner, total))
    return "".join(found)


def _leaves(rows: Sequence[tuple[int, Superstep]], total: float) -> str:
    found = []
    for small, group in groupby(rows, lambda row: _share([row], total) < SMALL):
        some = list(group)
        leaves = "".join(_leaf(number, row, total) for number, row in some)
        if small and len(some) >= MANY:
            leaves = (
                f"<details><summary>{len(some)} supersteps <b>{_share(some, total):.1%}</b>"
                f"</summary>{leaves}</details>"
            )
        found.append(leaves)
    return "".join(found)


def _share(rows: Sequence[tuple[int, Superstep]], total: float) -> float:
    return sum(row.cycles * row.times for _, row in rows) / total


def _branch(label: str, rows: Sequence[tuple[int, Superstep]], depth: int, total: float) -> str:
    share = _share(rows, total)
    words = label.partition(": ")[2]
    return (
        f"<details{' open' if share >= OPEN else ''}><summary>{escape(words)} "
        f"<b>{share:.1%}</b></summary>{_branches(rows, depth + 1, total)}</details>"
    )


def _leaf(number: int, row: Superstep, total: float) -> str:
    share = _share([(number, row)], total)
    names = ", ".join(row.names[:3]) or ("from or to the host" if row.host else "exchange")
    return (
        f'<p title="{escape(", ".join(row.names))}"><b>{share:.1%}</b> {number} '
        f'<span class="note">{row.compute:,.0f} + {row.exchange:,.0f} + {row.sync:,.0f}</span> '
        f"{escape(names)}</p>"
    )
