"""A modelled run as one page: a verdict in words, supersteps, memory, levers, the program.

In: a `Run`, its occupancy, levers, the program's text. Out: HTML that needs nothing else: no
script, no address; charts are SVG, and narrow screens scroll tables on their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from tilewright.simulate.cycles import Run, Superstep
from tilewright.simulate.levers import Lever
from tilewright.simulate.occupancy import Occupancy

MOST_ROWS, MOST_POINTS, MOST_TEXT = 400, 600, 200_000
KINDS = ("compute", "exchange", "sync")
COLOURS = {"compute": "#2a6f97", "exchange": "#e07a3f", "sync": "#8a8f98"}

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { font-size: 1.1rem } .note { opacity: .75; font-size: .9rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2rem .7rem .2rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
td:first-child, th:first-child { text-align: left }
td.name { text-align: left; max-width: 22rem; overflow: hidden; text-overflow: ellipsis }
svg { width: 100%; height: auto; display: block } svg text { fill: currentColor; font-size: 12px }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em }
pre { overflow: auto; max-height: 30rem; font-size: 12px; border: 1px solid var(--line);
  padding: .7rem }
.ends { display: flex; justify-content: space-between }
@media (max-width: 34rem) { table { font-size: 12px } body { margin: 1rem auto } }
"""


def page(
    name: str, said: str, run: Run, held: Occupancy, levers: Sequence[Lever], text: str
) -> str:
    """The whole page; `said` is its verdict."""
    machine = run.machine
    parts = [
        f"<h1>{escape(name)} on {escape(machine.name)}</h1>",
        '<p class="note">Modelled, not measured: every figure below follows from the plan and the '
        f"machine's file ({escape(machine.source)}).</p>",
        f'<p class="verdict">{escape(said)}</p>',
        "<h2>Where the cycles go</h2>",
        key(),
        _bars(run),
        superstep_rows(run.supersteps),
        "<h2>What is dearest</h2>",
        _operations(run),
        "<h2>What another machine would change</h2>",
        '<p class="note">Time as a share of the present one, at the same plan.</p>',
        _levers(levers),
        "<h2>Memory by tile</h2>",
        _memory(run, held),
        "<h2>Memory of the fullest tile, step by step</h2>",
        _line(held.by_moment, machine.tile.memory),
        "<h2>The program</h2>",
        f"<pre>{escape(text[:MOST_TEXT])}{_cut(text)}</pre>",
    ]
    return document(f"{name} on {machine.name}", "".join(parts))


def document(title: str, body: str, style: str = "") -> str:
    """A page with nothing outside of it."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
    )
    return f"{head}<body>{body}</body></html>\n"


def verdict(run: Run, held: Occupancy, law: str = "") -> str:
    """In words: how long, what limits it, whether it fits, what to look at."""
    machine, cycles = run.machine, run.cycles or 1.0
    shares = {kind: run.total(kind) / cycles for kind in KINDS}
    limit = max(shares, key=lambda kind: shares[kind])
    flops = run.counts.flops / run.seconds if run.seconds else 0.0
    used = held.needed / machine.tile.memory
    return (
        f"One run takes {run.cycles:,.0f} cycles, {_seconds(run.seconds)}; {shares[limit]:.0%} of "
        f"them are {limit}. Tiles are at work {run.busy:.0%} of the time"
        f"{f', {flops / 1e12:,.3g} TFLOP/s' if flops > 1e9 else ''}. The fullest tile holds "
        f"{held.needed:,} bytes, {used:.0%} of its memory. {_advice(limit, run)}{_line_of(run)}"
        f"{f' Sums go by the law {law!r}.' if law not in ('', 'host') else ''}"
    )


def _line_of(run: Run) -> str:
    """Of a pipeline, how even its parts are."""
    if not run.parts:
        return ""
    cycles = ", ".join(f"{part:,.0f}" for part in run.parts)
    return f" {len(run.parts)} parts, a chip each, take {cycles} cycles in a turn."


def compared(ways: Mapping[str, Run | str]) -> str:
    """In words: an instance a tile against an instance a chip."""
    one = "a tile an instance" if "chips" in ways else "all chips together"
    words = {"tiles": one, "chips": "a chip an instance", "chip": "one chip alone"}
    return "; ".join(
        f"{words[name]}: {found if isinstance(found, str) else _seconds(found.seconds)}"
        for name, found in ways.items()
    )


def _advice(limit: str, run: Run) -> str:
    if limit == "exchange":
        return "Tiles wait for data: fewer, larger blocks, or weights that stay, would help."
    if limit == "sync":
        return "Steps are short: several of them between two syncs would help."
    if run.busy < 0.5:
        return "Most tiles have nothing to do: more instances, or longer batches, would help."
    return "It is bound by arithmetic."


def _seconds(seconds: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds * 1e9:,.3g} ns"


def key() -> str:
    swatches = "".join(f'<span style="background:{COLOURS[kind]}"></span>{kind}' for kind in KINDS)
    return f'<p class="key note">{swatches}</p>'


def _bars(run: Run) -> str:
    """One bar of the whole run."""
    at, found = 0.0, []
    for kind in KINDS:
        wide = 1000 * run.total(kind) / (run.cycles or 1.0)
        found.append(
            f'<rect x="{at:.1f}" y="0" width="{wide:.1f}" height="26" fill="{COLOURS[kind]}">'
            f"<title>{kind}: {run.total(kind):,.0f} cycles</title></rect>"
        )
        at += wide
    return f'<svg viewBox="0 0 1000 26" preserveAspectRatio="none">{"".join(found)}</svg>'


def superstep_rows(rows: Sequence[Superstep]) -> str:
    shown = sorted(rows, key=lambda row: -row.cycles * row.times)[:MOST_ROWS]
    kept = [row for row in rows if any(row is other for other in shown)]
    head = "superstep,times,compute,exchange,sync,bytes passed,tiles busy,vertices".split(",")
    body = []
    for number, row in enumerate(kept):
        cells = [
            f"{'· ' * row.depth}{number}", f"{row.times:,.0f}", f"{row.compute:,.0f}",
            f"{row.exchange:,.0f}", f"{row.sync:,.0f}", f"{row.passed:,.0f}",
            f"{row.busy:.0%}" if row.compute else "",
        ]  # fmt: skip
        names = escape(", ".join(row.names[:3]) or ("from or to the host" if row.host else ""))
        body.append([*cells, names])
    return table(head, body, names_last=True)


def _operations(run: Run) -> str:
    """Codelets by the cycles of the supersteps that they are the dearest of."""
    found: dict[str, float] = {}
    for row in run.supersteps:
        if row.names:
            found[row.names[0]] = found.get(row.names[0], 0.0) + row.compute * row.times
    order = sorted(found, key=lambda name: -found[name])[:20]
    rows = [
        [escape(n), f"{found[n]:,.0f}", f"{found[n] / run.cycles:.0%}", escape(_lines(run, n))]
        for n in order
    ]
    return table(["vertex", "cycles", "of all", "line"], rows, names_last=True)


def _lines(run: Run, name: str) -> str:
    """The first two places of a vertex in the user's text."""
    lines = run.lines.get(name, ())
    return "; ".join(lines[:2]) + (f"; {len(lines) - 2} more" if len(lines) > 2 else "")


def _levers(levers: Sequence[Lever]) -> str:
    rows = [[lever.figure, f"{lever.halved:.2f}", f"{lever.doubled:.2f}"] for lever in levers]
    return table(["figure", "halved", "doubled"], rows)


def _memory(run: Run, held: Occupancy) -> str:
    note = (
        f"Tile {held.fullest} is the fullest. {held.always:,} bytes of it live through the whole "
        "run. Code, vertex state and lists of messages are not counted; a tenth is left to them."
    )
    return f'<p class="note">{note}</p>' + _line(held.by_tile, run.machine.tile.memory)


def _line(values: np.ndarray, limit: int) -> str:
    """A filled line, its limit dashed; of many values the largest of each run of neighbours."""
    if values.size == 0:
        return ""
    step = -(-values.size // MOST_POINTS)
    padded = np.pad(values, (0, -values.size % step), mode="edge").reshape(-1, step).max(axis=1)
    top = max(float(padded.max()), float(limit)) or 1.0
    wide = 1000 / padded.size
    corners = [
        f"{x:.1f},{180 - 170 * value / top:.1f}"
        for i, value in enumerate(padded)
        for x in (i * wide, (i + 1) * wide)
    ]
    line = 180 - 170 * limit / top
    return (
        f'<p class="note">Dashed: the tile\'s memory, {limit:,} bytes.</p>'
        '<svg viewBox="0 0 1000 182"><polygon fill="#2a6f9799" points="0,180 '
        f'{" ".join(corners)} 1000,180"/><line x1="0" x2="1000" y1="{line:.1f}" y2="{line:.1f}" '
        'stroke="#e07a3f" stroke-width="2" stroke-dasharray="6 5"/></svg>'
        f'<p class="note ends"><span>0</span><span>{values.size - 1:,}</span></p>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], names_last: bool = False) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    body = []
    for row in rows:
        cells = [f"<td>{cell}</td>" for cell in row]
        if names_last:
            cells[-1] = f'<td class="name" title="{row[-1]}">{row[-1]}</td>'
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><tr>{top}</tr>{"".join(body)}</table></div>'


def _cut(text: str) -> str:
    more = len(text) - MOST_TEXT
    return f"\n... {more:,} characters more" if more > 0 else ""
