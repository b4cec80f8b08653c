"""The talk's LSTM on a page of its own: latency against throughput by precision, and as tables.

In: a record with its outcomes. Out: HTML without scripts or addresses, and the same tables by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from tilewright.talk import drawing, verdicts
from tilewright.talk.figures import Point
from tilewright.talk.lstm import bench
from tilewright.talk.page import conditions, described, document, troubles
from tilewright.talk.record import Talk
from tilewright.talk.steps import of_workload, on_page
from tilewright.talk.tables import row

NET = (
    f"Two layers of {bench.HIDDEN} units read {bench.STEPS} steps of {bench.INPUTS} inputs and "
    "give one number; 160.6 million multiply-adds a window. Weights are random. An error is the "
    "root mean square against float64, over the deviation of the answers."
)
CORES = (
    "Ours has a tile a core; a peer has one thread or one a core, whichever is faster. Bfloat16 "
    "of ours is weights alone, bfloat16x16 what meets them too; int8 is weights by row with 16-bit "
    "activations, int8x8 both in 8 bits."
)
BATCHED = "One call answers a whole batch: its latency is that of each window in it."


AGAINST = "Times as fast as the best peer that is no less precise"
KINDS = {kind: words for kind, words in verdicts.KINDS.items() if kind != verdicts.GPU}


def page(talk: Talk) -> str:
    """Of what there is; steps that are not done yet are left out."""
    found = points(talk)
    warnings = [*troubles(dict(talk.outcomes)), *_left(talk)]
    body = [
        "<h1>An LSTM: latency against throughput</h1>",
        f'<p class="soft">{escape(described(talk))}</p>',
        f"<p>{escape(NET)} {escape(BATCHED)}</p>",
        *(f'<p class="warn">{escape(line)}</p>' for line in warnings),
        *([_chart(found)] if found else []),
    ]
    for title, rows in tables(found).items():
        cells = ([escape(cell) for cell in cells] for cells in rows)
        text = "".join(row("td" if i else "th", own, left=1) for i, own in enumerate(cells))
        body.append(
            f"<section><h2>{escape(title)}</h2><div class=scroll><table>{text}</table></div>"
            "</section>"
        )
    return document("An LSTM: latency against throughput", [*body, conditions([talk], CORES)])


def _chart(found: Sequence[Point]) -> str:
    """With a sentence that says what marks are."""
    batches = [batch.removeprefix("batch ") for batch in verdicts.cases(found)]
    told = f"A line is a contender, a mark on it a batch; in its order: {', '.join(batches)}."
    return f'<section>{drawing.scatter(found)}<p class="soft">{escape(told)}</p></section>'


def _left(talk: Talk) -> list[str]:
    """What there was no time for, if anything."""
    cases = [s.case for s in on_page() if s.workload == "lstm" and s.name not in talk.outcomes]
    again = "the same command goes on with them"
    return [f"Not measured yet: {', '.join(cases)}; {again}."] if cases else []


def points(talk: Talk) -> list[Point]:
    """Of all batches that are done."""
    return [p for o in of_workload(talk.outcomes, "lstm").values() for p in o.points]


def tables(found: Sequence[Point]) -> dict[str, list[list[str]]]:
    """By title: a head, then rows; none without a cell, and no such column."""
    batches = verdicts.cases(found)
    head = [batch.removeprefix("batch ") for batch in batches]
    made = {AGAINST: [["", *KINDS.values()], *_against(found, batches)]}
    shown = {
        "Milliseconds a call (median), by batch": lambda p: _figure(p.figure.value),
        "Windows a second, by batch": lambda p: f"{p.more['windows/s']:,.0f}",
        "Milliseconds a call (99th percentile), by batch": lambda p: (
            _figure(p.more["p99 ms"]) if "p99 ms" in p.more else ""
        ),
    }
    for title, text in shown.items():
        made[title] = [["", "error", *head], *_by_contender(found, batches, text)]
    filled = {title: _filled(rows) for title, rows in made.items()}
    return {title: rows for title, rows in filled.items() if len(rows) > 1}


def _against(found: Sequence[Point], batches: Sequence[str]) -> list[list[str]]:
    """A row a batch: the median over rounds of the ratio inside each, and whose; by precision."""
    rows = []
    for batch in batches:
        here = [p for p in found if p.case == batch]
        pairs = [verdicts.against_best(here, kind) for kind in KINDS]
        cells = ("" if p is None else f"{p.ratio.value:.2f} × {p.peer.who}" for p in pairs)
        rows.append([batch, *cells])
    return rows


def _by_contender(
    found: Sequence[Point], batches: Sequence[str], text: Callable[[Point], str]
) -> list[list[str]]:
    at = {(p.who, p.case): p for p in found}
    rows = []
    for who in dict.fromkeys(p.who for p in found):
        errors = [e for p in found if p.who == who and (e := p.more.get("error")) is not None]
        cells = [text(at[who, b]) if (who, b) in at else "" for b in batches]
        rows.append([who, f"{max(errors):.2g}" if errors else "", *cells])
    return rows


def _filled(rows: list[list[str]]) -> list[list[str]]:
    """Without rows that say nothing, and without such columns."""
    head, *rest = rows
    rest = [cells for cells in rest if any(cells[1:])]
    kept = [i for i in range(len(head)) if i == 0 or any(cells[i] for cells in rest)]
    return [[cells[i] for i in kept] for cells in (head, *rest)]


def _figure(value: float) -> str:
    return drawing.shown(value, "").strip()
